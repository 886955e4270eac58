/** Settings among the server's own records, sealed as accounts are, so that a change of the root password holds for both. */
import { StartupError } from '../base/index.js';
import { settingsPrefix, type SettingsRecords } from '../config/index.js';
import { SealError, type RecordSeal } from '../identity/index.js';
import type { SystemRecords } from '../object/index.js';

export function settingsRecordsOn(records: SystemRecords, seal: RecordSeal): SettingsRecords {
  return {
    load: (visit) => {
      records.systemRecords(settingsPrefix, (name, value) => {
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
