/** Records of accounts among the server's own records, on every drive. */
import type { IamStore } from '../identity/index.js';
import type { SystemRecords } from '../object/index.js';

const prefix = 'iam/';

export function iamStoreOn(records: SystemRecords): IamStore {
  return {
    read: (name) => Promise.resolve(records.systemRecord(name)),
    load: (visit) => {
      records.systemRecords(prefix, visit);
      return Promise.resolve();
    },
    write: (changes) => records.writeSystemRecords(changes),
  };
}
