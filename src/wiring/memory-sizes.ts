/** How much memory bodies may take: those under way, and what is kept of those that were read. */
import { totalmem } from 'node:os';
import { GiB, MiB, StartupError, TiB, limits } from '../base/index.js';
import type { ServerOptions } from './types.js';

/** Shares of the memory that this process may use. */
const arenaShare = 8;
const readCacheShare = 32;

export interface MemorySizes {
  readonly arenaBytes: number;
  /** 0: nothing is kept. */
  readonly readCacheBytes: number;
}

export function memorySizes(options: Pick<ServerOptions, 'arenaBytes' | 'readCacheBytes'>): MemorySizes {
  const usableBytes = usableMemory();
  const arenaBytes =
    options.arenaBytes ??
    Math.max(limits.arenaBytesMin, Math.min(limits.arenaBytesDefaultMax, Math.floor(usableBytes / arenaShare)));
  const readCacheBytes =
    options.readCacheBytes ?? Math.min(limits.readCacheBytesDefaultMax, Math.floor(usableBytes / readCacheShare));
  if (arenaBytes < limits.arenaBytesMin || arenaBytes > limits.arenaBytesMax) {
    throw new StartupError(
      `${arenaBytes} bytes of memory for bodies is out of range`,
      `give between ${limits.arenaBytesMin / MiB} MiB and ${limits.arenaBytesMax / GiB} GiB`,
    );
  }
  if (readCacheBytes < 0 || readCacheBytes > limits.readCacheBytesMax) {
    throw new StartupError(
      `${readCacheBytes} bytes for the cache of reads is out of range`,
      `give up to ${limits.readCacheBytesMax / TiB} TiB, or 0 for none`,
    );
  }
  return { arenaBytes, readCacheBytes };
}

/** That of the machine, or of the container if that has less. */
function usableMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}
