/** Opens the accounts: unseals the store, reads it into memory, and keeps it free of sessions that are over. */
import { ForwardSteps, type Clock } from '../base/index.js';
import { buildBuiltInPolicies } from '../policy/index.js';
import { systemRandom } from './account-rules.js';
import { internalOnly, type ExternalRules } from './external-rules.js';
import type { IamRecord } from './iam-records.js';
import { IamService } from './iam-service.js';
import { IamState } from './iam-state.js';
import type { IamStore } from './iam-store.js';
import { IamWriter } from './iam-writer.js';
import type { Iam } from './iam.js';
import { PolicyResolver } from './policy-resolver.js';
import { openRecordSeal, sealRecordName, type Mac, type RecordSeal } from './record-seal.js';
import { createRootCredentials, type RootCredentialOptions } from './root-credentials.js';

export interface IamOptions {
  readonly store: IamStore;
  readonly rootCredentials: RootCredentialOptions;
  /** Those of before, for the start at which they change. */
  readonly oldRootCredentials?: RootCredentialOptions | null;
  readonly clock: Clock;
  readonly random?: (bytes: number) => Uint8Array;
  /** HMAC-SHA256; that of Node.js when left out. */
  readonly mac?: Mac;
  /** For what an operator should know; never a secret. */
  readonly log?: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly sweepMs?: number;
  /** Of external identity; nothing external when omitted. Read from the first look-up on, not before. */
  readonly rules?: ExternalRules;
}

export interface OpenedIam {
  readonly iam: Iam;
  /** For other records that are stored encrypted, under names of their own. */
  readonly seal: RecordSeal;
  /** The data key was sealed anew, under root credentials that are new. */
  readonly isRotated: boolean;
  /** Removes sessions that are over from the store; it is done by itself every minute. */
  sweep(): Promise<number>;
  close(): void;
}

const sweepMsDefault = 60_000;
/** Sessions that ended when the clock was set forward stay in the store for so long: it may be put right again. */
const clockWrongMsMax = 24 * 3_600_000;
const clockStepMsMax = 60_000;

/** Throws StartupError when the root credentials do not fit what is stored, or a record was tampered with. */
export async function createIam(options: IamOptions): Promise<OpenedIam> {
  const { store, rootCredentials, clock, random = systemRandom, log = () => undefined, rules = internalOnly } = options;
  const rootStore = createRootCredentials(rootCredentials);
  const { seal, isRotated } = await openRecordSeal({
    stored: await store.read(sealRecordName),
    rootCredentials,
    oldRootCredentials: options.oldRootCredentials ?? null,
    random,
    ...(options.mac !== undefined && { mac: options.mac }),
    write: (changes) => store.write(changes),
  });
  // Before anything relies on it; a set that cannot be written yet is tried again with the first change.
  if (isRotated) {
    await seal.ready().catch((error: unknown) => {
      log('the new root credentials could not be stored yet: keep the old ones at hand', { err: error });
    });
  }
  const state = new IamState(buildBuiltInPolicies());
  const resolver = new PolicyResolver(state, rules);
  const writer = new IamWriter(state, store, seal, (what, error) => {
    log(`${what} cannot be read: until it is set anew, whoever has it may do nothing`, { err: error });
    return resolver.nothing;
  });
  const iam = new IamService({ state, writer, resolver, clock, random, root: rootCredentials, rootStore, rules });
  const stale: string[] = [];
  const accept = (record: IamRecord): void => {
    if (record.kind !== 'key') {
      state.put(record);
      return;
    }
    // Keys of the root account are those of whoever is root now.
    const isOfRoot = record.value.parentSource === 'root';
    const value = isOfRoot ? { ...record.value, parent: rootCredentials.accessKey } : record.value;
    if (iam.accessKeys.isUsable(value)) state.put({ kind: 'key', value });
    else stale.push(value.accessKey);
  };
  await writer.load(accept);
  for (const key of [...state.keys.values()]) {
    if (key.parentSource !== 'internal' || state.users.has(key.parent)) continue;
    stale.push(key.accessKey);
    state.remove({ kind: 'key', name: key.accessKey });
  }
  if (state.users.has(rootCredentials.accessKey) || state.keys.has(rootCredentials.accessKey)) {
    log('an account has the name of the root account and cannot be used; remove it, or rename the root account');
  }
  store.onForeignChange?.((change) => {
    try {
      writer.applyForeign(change, accept);
    } catch (error) {
      log('a change that another server made cannot be read', { record: change.name, err: error });
    }
  });

  const steps = new ForwardSteps(clock);
  const sweep = async (): Promise<number> => {
    const dead = stale.splice(0);
    try {
      await writer.write({ remove: dead.map((name) => ({ kind: 'key', name })) });
    } catch (error) {
      stale.push(...dead);
      throw error;
    }
    if (steps.isRecent(clockStepMsMax, clockWrongMsMax)) return dead.length;
    return dead.length + (await iam.accessKeys.sweep());
  };
  /** Said once, however long it lasts. */
  let trouble: string | null = null;
  const timer = setInterval(() => {
    sweep().then(
      () => (trouble = null),
      (error: unknown) => {
        const before = trouble;
        trouble = String(error);
        if (trouble === before) return;
        log('sessions that are over could not be removed; they are refused all the same', { err: error });
      },
    );
  }, options.sweepMs ?? sweepMsDefault);
  timer.unref();
  return {
    iam,
    seal,
    isRotated,
    sweep,
    close: () => {
      clearInterval(timer);
    },
  };
}
