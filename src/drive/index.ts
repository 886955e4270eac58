/**
 * drive: one directory on one disk: format, lock, log files, blob files, health.
 * With config and catalog, the only file access.
 */
export type * from './drive.js';
export { copyStateAfter, isHarmless } from './drive.js';
export { errnoFields } from './errno.js';
export { folderIdAt, probeDrive, type ProbeOptions } from './probe-drive.js';
export { formatDrive, rewriteFormat } from './format-drive.js';
export { LocalDrive, type DriveOptions } from './local-drive.js';
export { parityOfSet, poolOfSet, poolsOfFormat, versionFor } from './format-file.js';
export type { DriveSystem } from './system.js';
export { isHeldByDrive } from './held-threads.js';
export { isMountPoint } from './mount-points.js';
export { blobFileName, logFileName } from './layout.js';
