/**
 * wiring: builds every part once and hands it its parts. Nobody imports it but the command and the package's door.
 */
export type {
  CreateServer,
  DriveReport,
  ProcessEnd,
  RunningServer,
  ServerOptions,
  SetReport,
  StartReport,
} from './types.js';
export { createServer } from './create-server.js';
export { isHeldByDrive } from '../drive/index.js';
export { startAnew } from './start-anew.js';
export { checks } from './check.js';
export type {
  CheckOptions,
  CheckProgress,
  CheckReport,
  CheckedDrive,
  DriveDamage,
  Checks,
  FsckOptions,
  FsckReport,
  IndexFindings,
  InspectReport,
  LogFindings,
  UnusedFolder,
} from './check-types.js';
export type {
  BlobFindings,
  BodyPlace,
  DamagedBody,
  OrphanFindings,
  RecordCopy,
  ShardPlace,
  VersionPlace,
} from '../object/index.js';
