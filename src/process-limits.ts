/** What the system lets this process have. Stands alone, so that it can be looked at before anything else is loaded. */
import { readFileSync } from 'node:fs';

/** With fewer not even the parts of the server can be loaded: node opens hundreds of modules at once. */
export const openFilesMin = 256;

/** Descriptors that this process may have (node has raised its soft limit to the hard one); null: none is known. */
export function openFilesMax(): number | null {
  let text: string;
  try {
    text = readFileSync('/proc/self/limits', 'latin1');
  } catch (error) {
    if (isOutOfDescriptors(error)) return 0;
    // Not Linux, or /proc is not mounted.
    return null;
  }
  const [, soft] = /^Max open files +(\d+)/m.exec(text) ?? [];
  return soft === undefined ? null : Number(soft);
}

function isOutOfDescriptors(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}
