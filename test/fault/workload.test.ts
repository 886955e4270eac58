/**
 * A random workload on the engine with everything that may happen to drives: they are removed, emptied,
 * exchanged, named in another order, their bytes are flipped, at rest and while they serve; the index is lost.
 * GRANARY_SEED replays the choices of a failing run; GRANARY_WORKLOAD_SECONDS makes the runs longer.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { filesBelow, startEngine, type RunningEngine } from '../support/running-engine.js';
import { seededRandom } from '../support/seeded-random.js';
import { Workload } from '../support/workload.js';

const seedGiven = process.env['GRANARY_SEED'];
const seconds = Number(process.env['GRANARY_WORKLOAD_SECONDS'] ?? 12);

/** Data shards and write quorum by drives, as design.md has them. */
const shapes: Readonly<Record<number, { k: number; w: number }>> = {
  1: { k: 1, w: 1 },
  2: { k: 1, w: 2 },
  3: { k: 2, w: 2 },
  4: { k: 2, w: 3 },
  5: { k: 3, w: 3 },
  6: { k: 3, w: 4 },
};

let folder = '';
let running: RunningEngine | null = null;

afterEach(async () => {
  await running?.close();
  running = null;
  rmSync(folder, { recursive: true, force: true });
});

class Storm {
  readonly workload: Workload;
  /** Folders by drive, in the order of the first start. */
  readonly folders: string[];
  /** Drives that lack or hold wrong bytes: at most n − k. */
  readonly impaired = new Set<number>();
  readonly index: string;

  constructor(
    readonly driveCount: number,
    readonly random: () => number,
    seed: number,
  ) {
    this.workload = new Workload(random, seed);
    this.folders = Array.from({ length: driveCount }, (_, index) => join(folder, `drive${index + 1}`));
    this.index = join(folder, 'index');
  }

  get shape(): { k: number; w: number } {
    return shapes[this.driveCount] ?? { k: 1, w: 1 };
  }

  async start(): Promise<void> {
    const order = [...this.folders].sort(() => (this.workload.changes === 0 ? 0 : this.random() - 0.5));
    running = await startEngine({
      drives: order,
      indexDirectory: this.index,
      arenaBytes: 48 << 20,
      readCacheBytes: 8 << 20,
    });
    this.workload.running = running;
    this.workload.mustWrite = running.opened.journal.health().canWrite;
  }

  async stop(): Promise<void> {
    await running?.close();
    running = null;
  }

  /** Waits until drives that were behind are in the set again. */
  async caughtUp(): Promise<void> {
    const { journal } = running!.opened;
    const present = running!.deployment.sets[0]!.places.filter(({ drive }) => drive !== null).length;
    for (let tries = 0; tries < 600; tries++) {
      const { inSync, catchingUp, canWrite } = journal.health();
      // What a read-only start could not decide is decided when the set takes writes again.
      if (inSync.length === present && catchingUp.length === 0 && (canWrite || present < this.shape.w)) {
        this.workload.mustWrite = canWrite;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(
      `drives do not come back: ${JSON.stringify(journal.health())} ${running!.lines.slice(-20).join('')}`,
    );
  }

  /** Bytes turned over in blobs, and in what is written of the logs. */
  flip(drive: number): void {
    const all = filesBelow(this.folders[drive] ?? '');
    const files = all.filter((file) => file.includes('/blobs/') || file.endsWith('.log'));
    for (let count = 0; count < 12 && files.length > 0; count++) {
      const file = this.workload.pick(files);
      const fd = openSync(file, 'r+');
      try {
        const { size } = statSync(file);
        const at = this.workload.below(file.endsWith('.log') ? Math.min(size, 2 << 20) : size);
        const bytes = Buffer.alloc(1 + this.workload.below(64));
        const length = readSync(fd, bytes, 0, bytes.length, at);
        const isUnwritten = file.endsWith('.log') && bytes.every((byte) => byte === 0);
        if (isUnwritten) continue;
        for (let index = 0; index < length; index++) bytes[index]! ^= 0x5a;
        writeSync(fd, bytes, 0, length, at);
      } finally {
        closeSync(fd);
      }
    }
  }

  /** A drive that may be impaired without loss: one that is already, or another while parity is left. */
  victim(): number | null {
    const mayLose = this.driveCount - this.shape.k;
    if (this.impaired.size < mayLose) {
      const drive = this.workload.below(this.driveCount);
      this.impaired.add(drive);
      return drive;
    }
    return this.impaired.size === 0 ? null : this.workload.pick([...this.impaired]);
  }

  /** Everything on the drive is made anew by the others. */
  async replace(drive: number): Promise<void> {
    await this.stop();
    rmSync(this.folders[drive] ?? '', { recursive: true, force: true });
    mkdirSync(this.folders[drive] ?? '');
    await this.start();
    await this.caughtUp();
    // The blobs of the last batches are rebuilt after the drive has joined; their headers are written last.
    const isWhole = (name: string): boolean => {
      const file = filesBelow(join(this.folders[drive] ?? '', 'blobs')).find((path) => basename(path) === name);
      return file !== undefined && readFileSync(file).toString('latin1', 0, 8) === 'GRNBLOB\n';
    };
    const missing = (): string[] => [...this.workload.liveBlobs()].filter((name) => !isWhole(name));
    await expect.poll(missing, { timeout: 60_000, interval: 250 }).toEqual([]);
    this.impaired.delete(drive);
  }

  /** Nothing is left behind: no slab, no file that no record names. */
  async checkLeftovers(freeBytes: number): Promise<void> {
    await expect.poll(() => running!.arena.freeBytes, { timeout: 10_000 }).toBe(freeBytes);
    const whole = this.folders.filter((_, drive) => !this.impaired.has(drive));
    const orphans = (): string[] => {
      const live = this.workload.liveBlobs();
      return whole.flatMap((path) => filesBelow(join(path, 'blobs'))).filter((file) => !live.has(basename(file)));
    };
    await expect.poll(orphans, { timeout: 10_000 }).toEqual([]);
  }
}

describe.each([4, 5, 3, 2, 6, 1])('a random workload on %i drives', (driveCount) => {
  const seed = seedGiven === undefined ? randomBytes(4).readUInt32LE() : Number(seedGiven);

  it(
    `agrees with the model (seed ${seed})`,
    async () => {
      folder = mkdtempSync(join(tmpdir(), 'granary-workload-'));
      const storm = new Storm(driveCount, seededRandom(seed + driveCount), seed);
      const { workload } = storm;
      await storm.start();
      for (const bucket of ['one', 'two']) await workload.createBucket(bucket);
      const until = Date.now() + seconds * 1000 * (driveCount >= 4 ? 1 : 0.5);
      const events: string[] = [];
      try {
        while (Date.now() < until || events.length < 6) {
          const freeBytes = running!.arena.totalBytes - 4096;
          for (let wave = 0; wave < 4; wave++) await workload.wave(2 + workload.below(14));
          await workload.checkAll(true);
          await storm.checkLeftovers(freeBytes);
          await trouble(storm, events);
          await workload.checkAll(true);
        }
        await storm.stop();
        rmSync(storm.index, { recursive: true });
        await storm.start();
        await workload.checkAll(true);
        await storm.checkLeftovers(running!.arena.totalBytes - 4096);
      } catch (error) {
        throw new Error(`seed ${seed}, ${driveCount} drives, after ${events.join(', ')}`, { cause: error });
      }
      expect(workload.changes).toBeGreaterThan(20);
    },
    120_000 + seconds * 2000,
  );
});

async function trouble(storm: Storm, events: string[]): Promise<void> {
  const { workload } = storm;
  const kind = workload.pick([
    'restart',
    'replay',
    'flip',
    'flip running',
    'remove running',
    'empty',
    'away',
    'replace',
  ]);
  events.push(kind);
  if (kind === 'restart' || kind === 'replay') {
    await storm.stop();
    if (kind === 'replay') rmSync(storm.index, { recursive: true });
    await storm.start();
    return;
  }
  if (kind === 'replace') {
    const [drive] = storm.impaired;
    if (drive !== undefined) await storm.replace(drive);
    return;
  }
  const drive = storm.victim();
  if (drive === null) return;
  events.push(`drive ${drive + 1}`);
  const path = storm.folders[drive] ?? '';
  if (kind === 'flip running') storm.flip(drive);
  if (kind === 'flip') {
    await storm.stop();
    storm.flip(drive);
    await storm.start();
  }
  if (kind === 'remove running') {
    workload.mustWrite = storm.driveCount - storm.impaired.size >= storm.shape.w;
    const busy = workload.wave(12);
    rmSync(path, { recursive: true, force: true });
    await busy;
    await workload.wave(8);
    await workload.checkAll(false);
    // An uncertain outcome is decided by the start.
    await storm.replace(drive);
  }
  if (kind === 'empty') await storm.replace(drive);
  if (kind === 'away') {
    await storm.stop();
    const elsewhere = `${path}.away`;
    rmSync(elsewhere, { recursive: true, force: true });
    renameSync(path, elsewhere);
    try {
      await storm.start();
      await workload.wave(10);
      await workload.checkAll(false);
    } finally {
      await storm.stop();
      renameSync(elsewhere, path);
    }
    await storm.start();
    await storm.caughtUp();
  }
}
