/** Records of a kind among the server's own, sealed as accounts are, so that a change of the root password holds for all. */
import { StartupError } from '../base/index.js';
import { SealError, type RecordSeal } from '../identity/index.js';
import type { SystemRecords } from '../object/index.js';

export interface SealedRecords {
  load(visit: (name: string, value: Uint8Array) => void): Promise<void>;
  /** All or none; null removes. */
  write(changes: readonly { readonly name: string; readonly value: Uint8Array | null }[]): Promise<void>;
}

export function sealedRecordsOn(records: SystemRecords, seal: RecordSeal, prefix: string): SealedRecords {
  return {
    load: (visit) => {
      records.systemRecords(prefix, (name, value) => {
        visit(name, open(seal, name, value));
      });
      return Promise.resolve();
    },
    async write(changes) {
      await seal.ready();
      await records.writeSystemRecords(
        changes.map(({ name, value }) => ({ name, value: value === null ? null : seal.seal(name, value) })),
      );
    },
  };
}

function open(seal: RecordSeal, name: string, value: Uint8Array): Uint8Array {
  try {
    return seal.open(name, value);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new StartupError(
      `The stored record ${name} cannot be decrypted: it was changed, or put in another's place.`,
      'Bring back the drives as they were; nothing was changed.',
      error,
    );
  }
}
