/** What the drive tests share: real folders, an arena, a format. */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MiB } from '../../../src/base/index.js';
import type { Drive, DriveFormat, DriveResult } from '../../../src/drive/index.js';
import { formatDrive, probeDrive, versionFor } from '../../../src/drive/index.js';

/** In memory where there is such a file system: a drive has hundreds of folders to make and remove. */
const memoryFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export function temporaryFolder(base = memoryFolder): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(base, 'granary-drive-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function newFormat(overrides: Partial<DriveFormat> = {}): DriveFormat {
  const driveId = randomUUID();
  return {
    version: versionFor(overrides),
    deploymentId: randomUUID(),
    hashKey: randomBytes(32).toString('hex'),
    driveId,
    setIndex: 0,
    position: 0,
    sets: [[driveId]],
    parity: 0,
    wasMountPoint: false,
    ...overrides,
  };
}

export class TestArena {
  readonly arena: SharedArrayBuffer;
  readonly view: Buffer;

  constructor(bytes = 16 * MiB) {
    this.arena = new SharedArrayBuffer(bytes);
    this.view = Buffer.from(this.arena);
  }

  /** Puts random bytes at `offset` and answers a copy of them. */
  fill(offset: number, bytes: number): Buffer {
    const data = randomBytes(bytes);
    data.copy(this.view, offset);
    return data;
  }

  copy(offset: number, bytes: number): Buffer {
    return Buffer.from(this.view.subarray(offset, offset + bytes));
  }
}

export async function newDrive(path: string, arena: SharedArrayBuffer, callMsMax = 10_000): Promise<Drive> {
  return formatDrive(path, newFormat(), { arena, callMsMax });
}

export async function openDrive(path: string, arena: SharedArrayBuffer): Promise<Drive> {
  const probe = await probeDrive(path, { arena, createFolder: false });
  if (probe.kind !== 'ready') throw new Error(`expected a ready drive: ${JSON.stringify(probe)}`);
  return probe.drive;
}

export function valueOf<T>(result: DriveResult<T>): T {
  if (!result.ok) throw new Error(`expected a value: ${JSON.stringify(result.fault)}`);
  return result.value;
}

export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
