/** The same program again, in place: `mc admin service restart`. */
import { processNative } from '../native/index.js';

/** Requires: the server is closed. Throws when the system refuses. */
export function startAnew({
  execPath,
  argv0,
  execArgv,
  argv,
}: Pick<NodeJS.Process, 'execPath' | 'argv0' | 'execArgv' | 'argv'>): never {
  return processNative.replaceProcess(execPath, [argv0, ...execArgv, ...argv.slice(1)]);
}
