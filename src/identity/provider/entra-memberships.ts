/**
 * Keeps what live sessions and access keys may in step with the groups of Entra ID. When an account is due is
 * written down, so that a restart neither forgets one nor asks for all at once. An account counts here from its
 * sign-in until it has neither sessions nor keys.
 *
 * Record `entra/ACCOUNT`: JSON {v: 1, provider, tenantId, objectId, dueMs}.
 */
import { z } from 'zod';
import { limits, type Clock } from '../../base/index.js';
import type { Iam } from '../iam.js';
import { azureGroupsClaim } from '../reserved-claims.js';
import type { Entra, EntraMember } from './entra.js';
import { isObjectId } from './entra-settings.js';
import type { GraphUser } from './graph-directory.js';
import { GraphError } from './graph-error.js';

export const membershipPrefix = 'entra/';

export interface MembershipRecords {
  load(visit: (name: string, value: Uint8Array) => void): Promise<void>;
  /** All or none; null removes. */
  write(changes: readonly { readonly name: string; readonly value: Uint8Array | null }[]): Promise<void>;
}

export interface MembershipOptions {
  readonly iam: Pick<Iam, 'accessKeysOf' | 'externalAccounts' | 'updateExternal' | 'removeExternal'>;
  readonly records: MembershipRecords;
  /** By the name of the OpenID provider. */
  readonly directories: ReadonlyMap<string, Pick<Entra, 'tenantId' | 'user'>>;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** From 0 to 1, without 1. */
  readonly random: () => number;
  /** For what an operator should know; never a secret. */
  readonly log: {
    info(text: string, fields?: Readonly<Record<string, unknown>>): void;
    warn(text: string, fields?: Readonly<Record<string, unknown>>): void;
  };
}

const membershipSchema = z.object({
  v: z.literal(1),
  provider: z.string().max(64),
  tenantId: z.string().max(128),
  objectId: z.string().refine(isObjectId),
  dueMs: z.number(),
});
type Membership = z.infer<typeof membershipSchema>;

interface Settled {
  readonly account: string;
  readonly before: Membership;
  readonly after: Membership | null;
}

const minuteMs = 60_000;
/** How often it is looked for what is due. */
const lookEveryMs = 5_000;
/** Look-ups at once: each is two calls, and Graph counts them by tenant. */
const lookUpsMax = 4;
/** Accounts of one round; what is left over is due in the next. */
const roundMax = 400;
/** A directory that failed is asked again after this long, or when it says; an account that did, a little later. */
const retryMs = 2 * minuteMs;
const accountRetryMs = 5 * minuteMs;
/** No time that is set lies further ahead: then the clock was, maybe by years, and has been put right. */
const aheadMsMax = limits.membershipMinutes.max * minuteMs;
/** Failures in a row after which it is the directory rather than the account. */
const failuresMax = 3;

export class EntraMemberships {
  readonly #options: MembershipOptions;
  readonly #memberships = new Map<string, Membership>();
  /** Directories that failed lately: how often in a row, and until when they are left alone. */
  readonly #failing = new Map<string, { readonly count: number; readonly untilMs: number }>();
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** Reads what is due when; accounts without a record, of an import or a crash, are due now. */
  async open(): Promise<void> {
    const { records, iam, log } = this.#options;
    await records.load((name, value) => {
      const membership = decode(value);
      if (membership !== null) this.#memberships.set(name.slice(membershipPrefix.length), membership);
    });
    const orphans = new Map<string, number>();
    for (const { account, provider, claims } of iam.externalAccounts('openid')) {
      if (!claims.has(azureGroupsClaim)) continue;
      const objectId = claims.get('oid');
      const directory = this.#options.directories.get(provider);
      const known = this.#memberships.get(account);
      if (directory === undefined || (known !== undefined && known.tenantId !== directory.tenantId)) {
        orphans.set(provider, (orphans.get(provider) ?? 0) + 1);
      } else if (known === undefined && typeof objectId === 'string' && isObjectId(objectId)) {
        const { tenantId } = directory;
        this.#memberships.set(account, { v: 1, provider, tenantId, objectId: objectId.toLowerCase(), dueMs: 0 });
      }
    }
    for (const [provider, accounts] of orphans) {
      log.warn('accounts of Entra ID have no rights by their groups: their tenant is not set up any more', {
        provider,
        accounts,
      });
    }
  }

  start(): void {
    this.#timer = setInterval(() => void this.refreshDue(), lookEveryMs);
    this.#timer.unref();
    // What became due while the server was down.
    void this.refreshDue();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#round;
  }

  /** After a sign-in, with what it learned: also the account's other sessions and keys have these groups from now on. */
  async signedIn(account: string, { provider, tenantId }: Pick<Entra, 'provider' | 'tenantId'>, member: EntraMember) {
    const { objectId, groups } = member;
    const known = this.#memberships.get(account);
    const membership: Membership = { v: 1, provider, tenantId, objectId, dueMs: this.#nextDueMs() };
    this.#memberships.set(account, membership);
    // The older time that is stored is sooner, and so never too late.
    const isStored = known !== undefined && isSame(known, membership);
    if (!isStored) await this.#options.records.write([change(account, membership)]);
    await this.#setGroups(account, groups);
  }

  /** What is due now; one round at a time. Never rejects. */
  refreshDue(): Promise<void> {
    this.#round ??= this.#refreshRound()
      .catch((error: unknown) => {
        this.#options.log.warn('memberships of Entra ID could not be refreshed; it is tried again', { err: error });
      })
      .finally(() => (this.#round = null));
    return this.#round;
  }

  async #refreshRound(): Promise<void> {
    const due = this.#due();
    const settled: Settled[] = [];
    const lookUp = async (): Promise<void> => {
      for (let next = due.shift(); next !== undefined && !this.#isClosed; next = due.shift()) {
        const [account, before] = next;
        if (this.#isResting(before.provider)) continue;
        const after = await this.#refresh(account, before);
        if (after !== 'failed') settled.push({ account, before, after });
      }
    };
    const lanes = Array.from({ length: lookUpsMax }, lookUp);
    await Promise.allSettled(lanes);
    await this.#settle(settled);
    // A bug or a drive: whoever waits is told.
    await Promise.all(lanes);
  }

  /** Those longest overdue first. */
  #due(): [string, Membership][] {
    const nowMs = this.#options.clock.nowMs();
    const { directories } = this.#options;
    return [...this.#memberships]
      .filter(([, { provider, tenantId }]) => directories.get(provider)?.tenantId === tenantId)
      .filter(([, { dueMs }]) => dueMs <= nowMs || dueMs > nowMs + aheadMsMax)
      .sort(([, left], [, right]) => left.dueMs - right.dueMs)
      .slice(0, roundMax);
  }

  /** The membership as it is from now on; null for an account that is over. */
  async #refresh(account: string, membership: Membership): Promise<Membership | null | 'failed'> {
    const { iam, directories, log } = this.#options;
    const { provider, objectId } = membership;
    const directory = directories.get(provider);
    if (directory === undefined) return 'failed';
    if (!iam.accessKeysOf(account).some((key) => key.parentSource === 'openid')) return null;
    let user: GraphUser;
    try {
      user = await directory.user(objectId);
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      this.#failed(account, membership, error);
      return 'failed';
    }
    this.#answered(provider);
    if (user.state === 'enabled') {
      await this.#setGroups(account, user.groups);
      return { ...membership, dueMs: this.#nextDueMs() };
    }
    const ended = await iam.removeExternal(account, 'openid');
    log.info(
      user.state === 'gone'
        ? 'a user is gone from Entra ID: its sessions and access keys have ended'
        : 'a user is disabled in Entra ID: its sessions and access keys have ended',
      { provider, objectId, ended },
    );
    return null;
  }

  async #setGroups(account: string, groups: readonly string[]): Promise<void> {
    await this.#options.iam.updateExternal(account, 'openid', {
      claimChanges: new Map([[azureGroupsClaim, groups]]),
    });
  }

  /** One write for the round. A sign-in meanwhile knows better. */
  async #settle(settled: readonly Settled[]): Promise<void> {
    const changes = [];
    for (const { account, before, after } of settled) {
      if (this.#memberships.get(account) !== before) continue;
      if (after === null) this.#memberships.delete(account);
      else this.#memberships.set(account, after);
      changes.push(change(account, after));
    }
    if (changes.length > 0) await this.#options.records.write(changes);
  }

  #isResting(provider: string): boolean {
    const leftMs = (this.#failing.get(provider)?.untilMs ?? 0) - this.#options.clock.nowMs();
    return leftMs > 0 && leftMs <= aheadMsMax;
  }

  #failed(account: string, membership: Membership, error: GraphError): void {
    if (this.#isClosed) return;
    const { provider } = membership;
    const nowMs = this.#options.clock.nowMs();
    // Those behind it get their turn. What is stored stays due: a restart asks at once.
    this.#memberships.set(account, { ...membership, dueMs: nowMs + accountRetryMs });
    const count = (this.#failing.get(provider)?.count ?? 0) + 1;
    const isDirectory = count >= failuresMax || error.kind === 'rejected' || error.retryAfterMs !== null;
    const untilMs = isDirectory ? nowMs + Math.max(error.retryAfterMs ?? 0, retryMs) : 0;
    this.#failing.set(provider, { count, untilMs });
    // Once for an outage.
    if (count > 1) return;
    this.#options.log.warn('groups of Entra ID cannot be looked up: accounts keep those they have until it answers', {
      provider,
      err: error,
    });
  }

  #answered(provider: string): void {
    if (!this.#failing.delete(provider)) return;
    this.#options.log.info('groups of Entra ID are looked up again', { provider });
  }

  #nextDueMs(): number {
    const { min, max } = limits.membershipMinutes;
    return this.#options.clock.nowMs() + Math.floor((min + this.#options.random() * (max - min)) * minuteMs);
  }
}

function isSame(left: Membership, right: Membership): boolean {
  return left.provider === right.provider && left.tenantId === right.tenantId && left.objectId === right.objectId;
}

function change(account: string, membership: Membership | null) {
  const value = membership === null ? null : Buffer.from(JSON.stringify(membership), 'utf8');
  return { name: membershipPrefix + account, value };
}

/** Null for a record of another release: the account is then due now. */
function decode(value: Uint8Array): Membership | null {
  const text = Buffer.from(value).toString('utf8');
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = membershipSchema.safeParse(body);
  return parsed.success ? parsed.data : null;
}
