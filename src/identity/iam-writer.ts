/**
 * The one way a change takes: sealed, durable, then in memory. A change that is not known to be durable
 * is not in memory either.
 */
import { StartupError } from '../base/index.js';
import type { Policy } from '../policy/index.js';
import {
  encodeRecord,
  decodeRecord,
  iamPrefix,
  mappingName,
  recordName,
  subjectOf,
  type IamRecord,
} from './iam-records.js';
import type { RecordSubject } from './iam-records.js';
import type { IamState } from './iam-state.js';
import type { IamChange, IamStore } from './iam-store.js';
import { sealRecordName, SealError, type RecordSeal } from './record-seal.js';

export interface Changes {
  readonly put?: readonly IamRecord[];
  readonly remove?: readonly RecordSubject[];
}

/** Removals that are written at once; more of them go one after the other. */
const removalsMax = 5000;

export class IamWriter {
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly state: IamState,
    private readonly store: IamStore,
    private readonly seal: RecordSeal,
    private readonly onBadPolicy: (what: string, error: unknown) => Policy,
  ) {}

  /** Runs changes one after the other: each decides on what the one before has made. */
  inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** All or nothing, but for removals past `removalsMax`: those that come first in the list go first. */
  async write({ put = [], remove = [] }: Changes): Promise<void> {
    await this.seal.ready();
    let rest = remove;
    while (rest.length > removalsMax) {
      await this.#writeAtOnce([], rest.slice(0, removalsMax));
      rest = rest.slice(removalsMax);
    }
    await this.#writeAtOnce(put, rest);
  }

  async #writeAtOnce(put: readonly IamRecord[], remove: readonly RecordSubject[]): Promise<void> {
    const changes: IamChange[] = [
      ...put.map((record) => {
        const name = nameOf(record);
        return { name, value: this.seal.seal(name, encodeRecord(record)) };
      }),
      ...remove.map((subject) => ({ name: nameOfSubject(subject), value: null })),
    ];
    if (changes.length === 0) return;
    await this.store.write(changes);
    for (const record of put) this.state.put(record);
    for (const subject of remove) this.state.remove(subject);
  }

  /** Throws StartupError for a record that somebody else changed. `accept`: takes the record, or leaves it out. */
  async load(accept: (record: IamRecord) => void): Promise<void> {
    await this.store.load((name, value) => {
      const record = this.#decode(name, value);
      if (record !== null) accept(record);
    });
  }

  /** What another server of the same store changed. */
  applyForeign({ name, value }: IamChange, accept: (record: IamRecord) => void): void {
    const subject = name === sealRecordName ? null : subjectOf(name);
    if (subject === null) return;
    if (value === null) {
      this.state.remove(subject);
      return;
    }
    const record = this.#decode(name, value);
    if (record !== null) accept(record);
  }

  #decode(name: string, value: Uint8Array): IamRecord | null {
    if (!name.startsWith(iamPrefix) || name === sealRecordName) return null;
    const subject = subjectOf(name);
    if (subject === null) return null;
    try {
      return decodeRecord(subject, this.seal.open(name, value), this.onBadPolicy);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      // Leaving it out could widen somebody's rights.
      throw new StartupError(
        `The stored record ${name} cannot be decrypted: it was changed, or put in another's place.`,
        'Bring back the drives as they were; nothing was changed.',
        error,
      );
    }
  }
}

function nameOf(record: IamRecord): string {
  switch (record.kind) {
    case 'mapping':
      return mappingName(record.holder);
    case 'key':
      return recordName('key', record.value.accessKey);
    case 'user':
    case 'group':
    case 'policy':
      return recordName(record.kind, record.value.name);
  }
}

function nameOfSubject(subject: RecordSubject): string {
  return subject.kind === 'mapping' ? mappingName(subject.holder) : recordName(subject.kind, subject.name);
}
