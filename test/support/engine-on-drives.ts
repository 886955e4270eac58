/** An object layer on temporary drive folders, with a direct journal. One constructor for all tests of the room. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRunCatalog } from '../../dist/catalog/index.js';
import { formatDrive, probeDrive, type Drive } from '../../dist/drive/index.js';
import { defaultParity, type DriveSet } from '../../dist/erasure/index.js';
import { Engine } from '../../dist/object/index.js';
import { ComputePool, SlabArena } from '../../dist/pool/index.js';
import { DirectJournal } from './direct-journal.js';

export interface EngineFixture {
  readonly engine: Engine;
  readonly arena: SlabArena;
  readonly drives: (Drive | null)[];
  readonly journal: DirectJournal;
  readonly folder: string;
  readonly driveFolder: (position: number) => string;
  close(): Promise<void>;
}

export async function engineOnDrives(options: {
  driveCount: number;
  parityShards?: number;
  arenaBytes?: number;
}): Promise<EngineFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'granary-engine-'));
  const arena = new SlabArena(options.arenaBytes ?? 64 << 20);
  const parityShards = options.parityShards ?? defaultParity(options.driveCount);
  const dataShards = options.driveCount - parityShards;
  const hashKey = randomBytes(32);
  const ids = Array.from({ length: options.driveCount }, () => randomUUID());
  const deploymentId = randomUUID();
  const driveFolder = (position: number): string => join(folder, `drive${position + 1}`);
  const drives: (Drive | null)[] = [];
  for (const [position, driveId] of ids.entries()) {
    const probe = await probeDrive(driveFolder(position), { arena: arena.arena, createFolder: true });
    if (probe.kind !== 'empty') throw new Error(`${probe.path} is ${probe.kind}`);
    drives.push(
      await formatDrive(
        probe.path,
        {
          version: 1,
          deploymentId,
          hashKey: hashKey.toString('hex'),
          driveId,
          setIndex: 0,
          position,
          sets: [ids],
          parity: parityShards,
          wasMountPoint: false,
        },
        { arena: arena.arena },
      ),
    );
  }
  const set: DriveSet = {
    setIndex: 0,
    deploymentId,
    driveCount: options.driveCount,
    drive: (position) => drives[position] ?? null,
    reportWrite: (position) => {
      drives[position] = null;
    },
    reportRead: () => undefined,
    suspect: () => Promise.resolve(),
    departures: () => 0,
    inSync: () => drives.flatMap((drive, position) => (drive === null ? [] : [position])),
  };
  const compute = new ComputePool({ arena: arena.arena, hashKey, threads: 2 });
  const catalog = await openRunCatalog({ directory: join(folder, 'index'), log: () => undefined });
  const engine = new Engine({
    catalog,
    compute,
    slabs: arena,
    sets: [{ drives: set, dataShards, parityShards }],
    log: () => undefined,
  });
  const journal = new DirectJournal(drives, engine.index.apply);
  engine.start([journal]);
  const opened = [...drives];
  return {
    engine,
    arena,
    drives,
    journal,
    folder,
    driveFolder,
    close: async () => {
      await engine.close();
      await compute.close();
      await catalog.close();
      await Promise.all(opened.map(async (drive) => drive?.close(1000)));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
