/** Which folder a path leads to: names change, device and inode of a folder that is held open do not. */
import { invariant } from '../base/index.js';
import type { IoResult } from '../native/index.js';

export interface OpenFolder {
  readonly fd: number;
  readonly id: string;
}

/** Of the answer to a stat. No other folder has the same as long as somebody holds this one open. */
export function folderIdOf({ values }: IoResult): string {
  invariant(values?.length === 5, 'a stat says which file it is');
  return values.slice(2).join('.');
}
