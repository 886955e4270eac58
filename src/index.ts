/** The package's door: a Granary server inside a Node.js process. */
export { createServer } from './wiring/index.js';
export type { DriveReport, RunningServer, ServerOptions, SetReport, StartReport } from './wiring/index.js';
