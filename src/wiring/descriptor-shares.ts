/**
 * Who gets how many of the descriptors that the process may have. Together they stay below its limit, so that clients who
 * connect, or leave their uploads unfinished, never take what the drives and the index need to go on.
 */
import { StartupError, limits } from '../base/index.js';

export interface DescriptorShares {
  readonly connectionsMax: number;
  /** Of each drive, kept open. */
  readonly logFilesMax: number;
  readonly blobsMax: number;
  /** One line, for people; null: there are enough. */
  readonly warning: string | null;
}

/** Of the runtime, the addon, the index and its merges, and what the server asks of others. */
const ownCount = 64;
/** Of each drive: its folder and its lock in three queues, what is probed, made, listed or synced. */
const countPerDrive = 16;
/** Of each worker: its event loop. */
const countPerThread = 8;
/** Of each drive, for log files, blobs and connections: for a few uploads at a time. */
const shareMin = 4;
/** With so many nobody has to know. */
const connectionsPlenty = 1024;

/** `openFilesMax` null: as many as anybody asks for. */
export function descriptorShares(openFilesMax: number | null, drives: number, threads: number): DescriptorShares {
  const { httpConnectionsMax, logFilesOpenMax } = limits;
  if (openFilesMax === null) {
    return { connectionsMax: httpConnectionsMax, logFilesMax: logFilesOpenMax, blobsMax: Infinity, warning: null };
  }
  const own = ownCount + countPerDrive * drives + countPerThread * threads;
  const needed = own + 3 * shareMin * drives;
  if (openFilesMax < needed) {
    throw new StartupError(
      `the limit on open files is ${openFilesMax}, and with ${drives} ${drives === 1 ? 'drive' : 'drives'} ` +
        `${needed} are needed at least`,
      'Raise it (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of containers): some ten thousands cost nothing.',
    );
  }
  const third = Math.floor((openFilesMax - own) / 3);
  const connectionsMax = Math.min(httpConnectionsMax, third);
  const ofDrive = Math.floor(third / drives);
  return {
    connectionsMax,
    logFilesMax: Math.min(logFilesOpenMax, ofDrive),
    blobsMax: ofDrive,
    warning:
      connectionsMax >= connectionsPlenty
        ? null
        : `The limit on open files is ${openFilesMax}: no more than ${connectionsMax} connections at a time, and ` +
          `${ofDrive} large objects. Raise it (ulimit -n, LimitNOFILE of systemd) to ${plentyFor(own)} or more.`,
  };
}

function plentyFor(own: number): number {
  return Math.ceil((own + 3 * connectionsPlenty) / 1024) * 1024;
}
