/**
 * The parts that a check of stopped drives needs, over drives that are locked and not written to: their logs, and an
 * index of its own that is filled from them.
 */
import { join } from 'node:path';
import { StartupError, invariant, systemClock } from '../base/index.js';
import { openRunCatalog, removeRunCatalog, type Catalog } from '../catalog/index.js';
import { probeDrive, type Drive, type DriveProbe } from '../drive/index.js';
import type { DriveSet } from '../erasure/index.js';
import { checkJournal, type CheckedLog } from '../journal/index.js';
import { kernels } from '../native/index.js';
import { StoreCheck } from '../object/index.js';
import { ComputePool, type SlabArena } from '../pool/index.js';
import type { Logger } from '../telemetry/index.js';
import type { CheckedDrive } from './check-types.js';

const driveGraceMs = 2_000;
const threads = 2;

export interface CheckWorld {
  readonly deploymentId: string;
  readonly dataShards: number;
  readonly parityShards: number;
  /** By position. */
  readonly paths: readonly string[];
  readonly drives: readonly CheckedDrive[];
  readonly log: CheckedLog;
  readonly store: StoreCheck;
  /** Of the server's index. */
  readonly indexFolder: string;
  close(): Promise<void>;
}

export interface CheckWorldOptions {
  readonly folders: readonly string[];
  readonly indexDir: string | null;
  readonly arena: SlabArena;
  readonly log: Logger;
}

type Ready = Extract<DriveProbe, { kind: 'ready' }>;

export async function openCheckWorld(options: CheckWorldOptions): Promise<CheckWorld> {
  const { arena, log } = options;
  if (options.folders.length === 0) {
    throw new StartupError(
      'no drive was named',
      'name the folders that the server serves: granary fsck /mnt/drive{1...4}',
    );
  }
  const undo: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const probes = await Promise.all(
      options.folders.map((folder) => probeDrive(folder, { arena: arena.arena, createFolder: false, isCheck: true })),
    );
    for (const probe of probes) if (probe.kind === 'ready') undo.push(() => probe.drive.close(driveGraceMs));
    const places = placesOf(probes);
    const { format } = places.first.drive;
    const driveCount = format.sets[0]?.length ?? 0;
    const dataShards = driveCount - format.parity;
    const drives = places.byPosition.map((probe) => probe?.drive ?? null);
    const hashKey = Buffer.from(format.hashKey, 'hex');
    const compute = new ComputePool({ arena: arena.arena, hashKey, threads });
    undo.push(() => compute.close());
    const checked = await checkJournal({
      deploymentId: format.deploymentId,
      setIndex: 0,
      drives: drives.map((drive) => drive?.log ?? null),
      dataShards,
      slabs: arena,
      kernels,
      clock: systemClock,
      log,
    });
    const indexFolder = options.indexDir ?? join(places.first.path, '.granary', 'index');
    const scratch = `${indexFolder}.check`;
    removeRunCatalog(scratch);
    const catalog: Catalog = openRunCatalog({ directory: scratch, log: () => undefined });
    undo.push(async () => {
      await catalog.close();
      removeRunCatalog(scratch);
    });
    const set = new CheckedSet(format.deploymentId, drives);
    return {
      deploymentId: format.deploymentId,
      dataShards,
      parityShards: format.parity,
      paths: places.paths,
      drives: places.paths.map((path, position) => ({
        path,
        state: checked.drives[position] ?? 'absent',
        faults: places.byPosition[position]?.faults ?? [places.reasons[position] ?? 'no folder for it was named'],
      })),
      log: checked,
      store: new StoreCheck({ catalog, set, compute, slabs: arena }),
      indexFolder,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Places {
  readonly first: Ready;
  readonly byPosition: readonly (Ready | null)[];
  readonly paths: readonly string[];
  /** Why a place has no drive. */
  readonly reasons: readonly (string | null)[];
}

function placesOf(probes: readonly DriveProbe[]): Places {
  for (const probe of probes) {
    if (probe.kind !== 'unusable' || !probe.isLocked) continue;
    throw new StartupError(
      `${probe.path}: ${probe.reason}`,
      'stop that server first: what it writes meanwhile would look like damage',
    );
  }
  const ready = probes.filter((probe): probe is Ready => probe.kind === 'ready');
  const first = ready[0];
  if (first === undefined) {
    const why = probes.map((probe) => `${probe.path} ${probe.kind === 'unusable' ? probe.reason : 'is empty'}`);
    throw new StartupError(
      `there is no drive to look at: ${why.join('; ')}`,
      'name the folders that the server serves',
    );
  }
  const { deploymentId, sets } = first.drive.format;
  invariant(sets.length === 1, 'this release writes one set per deployment');
  const byPosition: (Ready | null)[] = (sets[0] ?? []).map(() => null);
  for (const probe of ready) {
    const { format } = probe.drive;
    if (format.deploymentId !== deploymentId) {
      throw new StartupError(
        `${first.path} and ${probe.path} belong to two deployments`,
        'name the drives of one only',
      );
    }
    const twin = byPosition[format.position];
    if (twin) throw new StartupError(`${twin.path} and ${probe.path} hold the same drive`, 'name each drive once');
    byPosition[format.position] = probe;
  }
  const others = probes.filter((probe) => probe.kind !== 'ready');
  const paths: string[] = [];
  const reasons: (string | null)[] = [];
  for (const [position, probe] of byPosition.entries()) {
    const other = probe === null ? others.shift() : undefined;
    paths.push(probe?.path ?? other?.path ?? `drive ${position + 1}`);
    reasons.push(other === undefined ? null : other.kind === 'unusable' ? other.reason : 'is empty');
  }
  // Where a server keeps its index: on the first drive by position.
  return { first: byPosition.find((probe) => probe !== null) ?? first, byPosition, paths, reasons };
}

/** Drives that are only read. */
class CheckedSet implements DriveSet {
  readonly setIndex = 0;
  readonly driveCount: number;

  constructor(
    readonly deploymentId: string,
    private readonly drives: readonly (Drive | null)[],
  ) {
    this.driveCount = drives.length;
  }

  drive(position: number): Drive | null {
    return this.drives[position] ?? null;
  }

  reportWrite(): void {
    invariant(false, 'a check writes nothing');
  }

  reportRead(): void {
    // What cannot be read is in the report.
  }

  departures(): number {
    return 0;
  }

  inSync(): readonly number[] {
    return this.drives.flatMap((drive, position) => (drive === null ? [] : [position]));
  }
}
