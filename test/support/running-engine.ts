/** The object layer over real drives, index and journal, put together as the server does, without HTTP. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../dist/base/index.js';
import { openRunCatalog, type Catalog } from '../../dist/catalog/index.js';
import type { DriveSystem } from '../../dist/drive/index.js';
import type { Compute } from '../../dist/erasure/index.js';
import { openJournal, type OpenedJournal } from '../../dist/journal/index.js';
import { kernels } from '../../dist/native/index.js';
import { Engine } from '../../dist/object/index.js';
import { ComputePool, SlabArena } from '../../dist/pool/index.js';
import { createLogger } from '../../dist/telemetry/index.js';
import { openDeployment, type Deployment } from '../../dist/wiring/deployment.js';
import { LiveSet } from '../../dist/wiring/live-set.js';

export interface RunningEngine {
  readonly engine: Engine;
  readonly arena: SlabArena;
  readonly opened: OpenedJournal;
  readonly deployment: Deployment;
  /** What the server would have logged. */
  readonly lines: string[];
  close(): Promise<void>;
}

export interface RunningEngineOptions {
  readonly drives: readonly string[];
  readonly indexDirectory: string;
  readonly arenaBytes?: number;
  readonly logFileBytes?: number;
  readonly sweepAfterMs?: number;
  /** In place of the machine's own. */
  readonly simulated?: {
    /** Used again from start to start: fresh pages cost more than all the rest. */
    readonly memory: SharedArrayBuffer;
    readonly system: DriveSystem;
    readonly clock: Clock;
    readonly catalog: Catalog;
    readonly compute: (arena: SlabArena, hashKey: Uint8Array) => Compute;
  };
}

export async function startEngine(options: RunningEngineOptions): Promise<RunningEngine> {
  const { simulated } = options;
  const clock = simulated?.clock ?? systemClock;
  const arena = new SlabArena(options.arenaBytes ?? 64 << 20, simulated?.memory);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', write: (line: string) => void lines.push(line) } as never);
  const deployment = await openDeployment({
    groups: [options.drives],
    parity: null,
    arena: arena.arena,
    isSynced: true,
    ...(simulated && { system: simulated.system, clock }),
  });
  const [deployed] = deployment.sets;
  if (deployed === undefined) throw new Error('a deployment has a set');
  const { dataShards, parityShards, places } = deployed;
  const drives = places.map(({ drive }) => drive);
  const set = new LiveSet(deployment.deploymentId, drives, log, () => clock.monotonicMs());
  const pool = simulated ? null : new ComputePool({ arena: arena.arena, hashKey: deployment.hashKey, threads: 2 });
  const compute = pool ?? simulated?.compute(arena, deployment.hashKey);
  if (compute === undefined) throw new Error('no arithmetic was given');
  const catalog =
    simulated?.catalog ??
    openRunCatalog({
      directory: options.indexDirectory,
      log: (text) => void lines.push(text),
    });
  const engine = new Engine({
    catalog,
    compute,
    slabs: arena,
    sets: [{ drives: set, dataShards, parityShards }],
    log: (text) => void lines.push(text),
    clock,
  });
  const undo = async (): Promise<void> => {
    await catalog.close();
    await pool?.close();
    await Promise.all(drives.map(async (drive) => drive?.close(2000)));
  };
  try {
    const opened = await openJournal({
      deploymentId: deployment.deploymentId,
      setIndex: 0,
      drives: drives.map((drive) => drive?.log ?? null),
      dataShards,
      slabs: arena,
      kernels,
      clock,
      ...engine.partOf(0),
      log,
      logFileBytes: options.logFileBytes ?? 16 << 20,
    });
    set.start(opened.journal);
    const { unreadableBatches, lostPlaces } = opened.report;
    engine.start([opened.journal], unreadableBatches + lostPlaces === 0 ? (options.sweepAfterMs ?? 50) : null);
    return {
      engine,
      arena,
      opened,
      deployment,
      lines,
      close: async () => {
        set.close();
        await opened.journal.close();
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
