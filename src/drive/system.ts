/** What a drive asks of the operating system: handed in like a clock, so that a test can put a simulated one there. */
import { io, type IoNative } from '../native/index.js';
import { isMountPoint, pathOfDescriptor } from './mount-points.js';

export interface DriveSystem extends Pick<IoNative, 'createIoQueue' | 'lockFile'> {
  /** Whether the open folder is the root of a mounted file system. */
  isMountPoint(fd: number): boolean;
}

export const localSystem: DriveSystem = {
  createIoQueue: (arena, name, threads, depthMax) => io.createIoQueue(arena, name, threads, depthMax),
  lockFile: (fd) => io.lockFile(fd),
  isMountPoint: (fd) => isMountPoint(pathOfDescriptor(fd)),
};
