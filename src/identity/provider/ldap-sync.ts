/**
 * Follows the directory: who has left it loses sessions and access keys, who changed groups has the policies of the
 * new ones from the next request on. Once an hour, due by the wall clock, and only on the directory's own word:
 * with any fault nothing is taken away, and it is tried again.
 */
import type { Clock } from '../../base/index.js';
import type { ExternalAccount, Iam } from '../iam.js';
import type { ClaimValue } from '../principal.js';
import { Dn } from './ldap-dn.js';
import type { LdapDirectory } from './ldap-directory.js';
import { DirectoryFault } from './ldap-fault.js';

export interface LdapSyncOptions {
  readonly iam: Pick<Iam, 'externalAccounts' | 'updateExternal' | 'removeExternal'>;
  readonly directory: Pick<LdapDirectory, 'userByDn' | 'groupsOf' | 'isUserDn'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly intervalMs: number;
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

export interface LdapSyncOutcome {
  readonly removed: number;
  readonly changed: number;
  /** Whether all accounts were looked at. */
  readonly isWhole: boolean;
}

/** At once; the directory has others to answer. */
const concurrency = 4;
/** After a fault it is not an hour until the next try. */
const retryMs = 60_000;
const tickMs = 5_000;

export class LdapSync {
  readonly #options: LdapSyncOptions;
  /** When the wait began, and how long it is. */
  #sinceMs: number;
  #waitMs: number;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<LdapSyncOutcome> | null = null;
  #isClosed = false;

  constructor(options: LdapSyncOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.nowMs();
    this.#waitMs = options.intervalMs;
  }

  start(): void {
    this.#timer = setInterval(
      () => {
        void this.tick();
      },
      Math.min(tickMs, this.#options.intervalMs),
    );
    this.#timer.unref();
  }

  /** Does what is due; null: nothing is. */
  async tick(): Promise<LdapSyncOutcome | null> {
    const { clock, intervalMs, log } = this.#options;
    if (this.#running !== null || this.#isClosed || !this.#isDue()) return null;
    this.#running = this.#run();
    try {
      const outcome = await this.#running;
      this.#waitMs = outcome.isWhole ? intervalMs : Math.min(retryMs, intervalMs);
      return outcome;
    } catch (error) {
      this.#waitMs = Math.min(retryMs, intervalMs);
      log('the accounts of the directory could not be brought up to date', { err: error });
      return null;
    } finally {
      this.#sinceMs = clock.nowMs();
      this.#running = null;
    }
  }

  /** Also when the clock was set back meanwhile, maybe by years: how long the wait has been cannot be told. */
  #isDue(): boolean {
    const waitedMs = this.#options.clock.nowMs() - this.#sinceMs;
    return waitedMs < 0 || waitedMs >= this.#waitMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<LdapSyncOutcome> {
    const accounts = [...this.#options.iam.externalAccounts('ldap')];
    const outcome = { removed: 0, changed: 0, isWhole: true };
    const work = async (): Promise<void> => {
      for (let account = accounts.pop(); account !== undefined; account = accounts.pop()) {
        if (!outcome.isWhole || this.#isClosed) return;
        try {
          const found = await this.#follow(account);
          if (found === 'removed') outcome.removed++;
          else if (found === 'changed') outcome.changed++;
        } catch (error) {
          if (!(error instanceof DirectoryFault)) throw error;
          outcome.isWhole = false;
          const { kind, message } = error;
          this.#options.log('the directory could not be asked about its accounts; they stay as they are', {
            ...{ kind, cause: message },
          });
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    return outcome;
  }

  async #follow({ account, claims, groups }: ExternalAccount): Promise<'removed' | 'changed' | 'same'> {
    const { directory, iam, log } = this.#options;
    const dn = Dn.parse(account);
    const actualDn = textOf(claims.get('ldapActualUser')) || account;
    // An entry that was taken out of the settings' bases is none of ours any more.
    const user = dn === null || !directory.isUserDn(dn) ? null : await directory.userByDn(actualDn);
    // One that has been renamed is somebody else: policies are attached to names. Its case is no name.
    if (user === null || user.dn.text.toLowerCase() !== account.toLowerCase()) {
      const count = await iam.removeExternal(account, 'ldap');
      log('an account left the directory: its credentials were removed', { account, count });
      return 'removed';
    }
    const now = await directory.groupsOf(textOf(claims.get('ldapUsername')) || user.login, user.actualDn);
    if (now.length === groups.length && now.every((name, index) => name === groups[index])) return 'same';
    await iam.updateExternal(account, 'ldap', { groups: now });
    return 'changed';
  }
}

function textOf(claim: ClaimValue | undefined): string {
  return typeof claim === 'string' ? claim : '';
}
