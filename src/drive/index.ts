/**
 * drive: one directory on one disk: format, lock, log files, blob files, health.
 * With config and catalog, the only file access.
 */
export type * from './drive.js';
