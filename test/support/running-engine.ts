/** The object layer over real drives, index and journals, put together as the server does, without HTTP. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../dist/base/index.js';
import { openRunCatalog, type Catalog } from '../../dist/catalog/index.js';
import type { DriveSystem } from '../../dist/drive/index.js';
import { ReadCache, type Compute } from '../../dist/erasure/index.js';
import { openJournals, type OpenedJournal } from '../../dist/journal/index.js';
import { kernels } from '../../dist/native/index.js';
import { Engine, type RestoredBucket } from '../../dist/object/index.js';
import { ComputePool, GrowingMemory, SlabArena } from '../../dist/pool/index.js';
import { createLogger } from '../../dist/telemetry/index.js';
import { openDeployment, type Deployment } from '../../dist/wiring/deployment.js';
import { DriveKeeper } from '../../dist/wiring/drive-keeper.js';
import { LiveSet } from '../../dist/wiring/live-set.js';
import { engineSets, isWholeHistory } from '../../dist/wiring/sets.js';

export interface RunningEngine {
  readonly engine: Engine;
  readonly arena: SlabArena;
  /** Of the first set. */
  readonly opened: OpenedJournal;
  /** By set. */
  readonly journals: readonly OpenedJournal['journal'][];
  readonly deployment: Deployment;
  /** Buckets that were made for what lay in ones that no record knew. */
  readonly restored: readonly RestoredBucket[];
  /** What the server would have logged. */
  readonly lines: string[];
  close(): Promise<void>;
}

export interface RunningEngineOptions {
  readonly drives: readonly string[];
  /** Pools that were added behind the first. */
  readonly addedPools?: readonly (readonly string[])[];
  readonly setDriveCount?: number;
  readonly indexDirectory: string;
  readonly arenaBytes?: number;
  /** None when omitted: what is read comes from the drives, and damage there is met. */
  readonly readCacheBytes?: number;
  readonly logFileBytes?: number;
  readonly sweepAfterMs?: number;
  /** Drives that come and go are seen while the server runs. */
  readonly isKept?: boolean;
  /** In place of the machine's own. */
  readonly simulated?: {
    /** Used again from start to start: fresh pages cost more than all the rest. */
    readonly memory: SharedArrayBuffer;
    readonly system: DriveSystem;
    readonly clock: Clock;
    readonly catalog: Catalog;
    readonly compute: (arena: SlabArena, hashKey: Uint8Array) => Compute;
    /** Of sets: a seed has to lead each key to the same one every time. */
    readonly placeKey: Buffer;
  };
}

export async function startEngine(options: RunningEngineOptions): Promise<RunningEngine> {
  const { simulated, readCacheBytes = 0 } = options;
  const clock = simulated?.clock ?? systemClock;
  const arena = new SlabArena(options.arenaBytes ?? 64 << 20, simulated?.memory);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', write: (line: string) => void lines.push(line) } as never);
  const driveOptions = { arena: arena.arena, isSynced: true, ...(simulated && { system: simulated.system, clock }) };
  const deployment = await openDeployment({
    groups: [options.drives, ...(options.addedPools ?? [])],
    parity: null,
    setDriveCount: options.setDriveCount ?? null,
    ...driveOptions,
  });
  const { deploymentId, hashKey } = deployment;
  const sets = deployment.sets.map(({ setIndex, places }) => {
    const drives = places.map(({ drive }) => drive);
    return new LiveSet(deploymentId, drives, log, () => clock.monotonicMs(), setIndex);
  });
  const pool = simulated ? null : new ComputePool({ arena: arena.arena, hashKey, threads: 2 });
  const compute = pool ?? simulated?.compute(arena, hashKey);
  if (compute === undefined) throw new Error('no arithmetic was given');
  const catalog =
    simulated?.catalog ??
    (await openRunCatalog({
      directory: options.indexDirectory,
      log: (text) => void lines.push(text),
    }));
  const engine = new Engine({
    catalog,
    compute,
    slabs: arena,
    readCache: new ReadCache(new GrowingMemory(readCacheBytes), readCacheBytes),
    ...engineSets({ ...deployment, hashKey: simulated?.placeKey ?? hashKey }, sets),
    log: (text) => void lines.push(text),
    clock,
  });
  const undo = async (): Promise<void> => {
    await catalog.close();
    await pool?.close();
    await Promise.all(sets.map((set) => set.closeDrives(2000)));
  };
  try {
    const all = await openJournals(
      deployment.sets.map(({ setIndex, places, dataShards }) => ({
        deploymentId,
        setIndex,
        drives: places.map(({ drive }) => drive?.log ?? null),
        dataShards,
        slabs: arena,
        kernels,
        clock,
        ...engine.partOf(setIndex),
        log,
        logFileBytes: options.logFileBytes ?? 16 << 20,
      })),
    );
    const [opened] = all;
    if (opened === undefined) throw new Error('a deployment has a set');
    const journals = all.map(({ journal }) => journal);
    const kept = sets.flatMap((set, setIndex) => {
      const journal = journals[setIndex];
      return journal === undefined ? [] : [{ set, journal }];
    });
    for (const { set, journal } of kept) set.start(journal);
    engine.start(journals, isWholeHistory(all) ? (options.sweepAfterMs ?? 50) : null);
    for (const [setIndex, { report }] of all.entries()) engine.repairLogFiles(setIndex, report.hollowFiles);
    const restored = await engine.restoreBuckets();
    const keeper = new DriveKeeper({ deployment, sets: kept, driveOptions, log });
    if (options.isKept === true) keeper.start();
    return {
      engine,
      arena,
      opened,
      journals,
      deployment,
      restored,
      lines,
      close: async () => {
        await keeper.close();
        for (const set of sets) set.close();
        await Promise.all(journals.map((journal) => journal.close()));
        await engine.close();
        await undo();
      },
    };
  } catch (error) {
    await undo();
    throw error;
  }
}

/** Paths of the files below a folder; none when it is not there. */
export function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
    );
  } catch {
    return [];
  }
}
