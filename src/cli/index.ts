/**
 * cli: the `granary` command: flags, banner, signals. It decides nothing about storage; it asks config what
 * is wanted and wiring to build it.
 */
export { run, type World } from './run.js';
export type { Output } from './terminal.js';
export type { SignalSource, StopSignal } from './signals.js';
