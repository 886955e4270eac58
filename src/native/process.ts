import { addon } from './addon.js';

export interface ProcessNative {
  /**
   * Becomes another program under the same pid, with the same environment and standard streams. Does not return;
   * throws when the system refuses. Requires: nothing is left to flush.
   */
  replaceProcess(file: string, args: readonly string[]): never;
}

export const processNative = addon as ProcessNative;
