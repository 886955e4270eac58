/** `granary fsck` and `granary inspect`: looks at the drives of a server that is stopped, and has it mend them. */
import { StartupError, limits } from '../base/index.js';
import { openExistingCatalog, removeRunCatalog } from '../catalog/index.js';
import { blobFileName, logFileName } from '../drive/index.js';
import { replayChecked, type CheckedLog } from '../journal/index.js';
import { WrongSlots, type RecordCopy, type VersionPlace } from '../object/index.js';
import { SlabArena } from '../pool/index.js';
import { createLogger, type Logger } from '../telemetry/index.js';
import type {
  CheckOptions,
  CheckProgress,
  CheckReport,
  Checks,
  FsckOptions,
  FsckReport,
  IndexFindings,
  InspectReport,
  LogFindings,
} from './check-types.js';
import { openCheckWorld, type CheckWorld } from './check-world.js';
import { mendDrives } from './mend.js';

export const checks: Checks = { fsck, inspect };

async function fsck(options: FsckOptions): Promise<FsckReport> {
  const arena = new SlabArena(limits.checkArenaBytes);
  const log = createLogger({ level: 'error', ...options.log });
  const first = await look(options, arena, log);
  if (!options.repair && !options.rebuild)
    return { now: first.report, before: null, repairedShards: 0, isIndexRebuilt: false };
  // Damage within the index shows only where it is read, and a start does not read all of it.
  const isIndexRebuilt = options.rebuild || first.report.index.state === 'damaged';
  if (isIndexRebuilt) for (const folder of first.indexFolders) await removeRunCatalog(folder);
  options.onProgress?.({ phase: 'repair', done: null });
  const repairedShards = await mendDrives({ ...options, arena, logger: log });
  const { report } = await look(options, arena, log);
  return { now: report, before: first.report, repairedShards, isIndexRebuilt };
}

async function inspect(
  options: CheckOptions & { readonly bucket: string; readonly key: string },
): Promise<InspectReport> {
  const arena = new SlabArena(limits.checkArenaBytes);
  const log = createLogger({ level: 'error', ...options.log });
  const { bucket, key } = options;
  const world = await openCheckWorld({ folders: options.drives, indexDir: options.indexDir, arena, log });
  try {
    options.onProgress?.({ phase: 'history', done: null });
    await world.store.begin();
    await replayChecked(world.logs, (setIndex) => world.store.applyOf(setIndex));
    await world.store.settle();
    const versions = await world.store.locate(bucket, key, world.logs);
    if (versions === null) throw new StartupError(`there is no bucket ${bucket}`, 'see the names with a listing');
    return { bucket, key, drives: world.drives, versions: versions.map(withFiles) };
  } finally {
    await world.close();
  }
}

/** With the names that the files have on a drive. */
function withFiles(version: VersionPlace): VersionPlace {
  const named = (copies: readonly RecordCopy[]): RecordCopy[] =>
    copies.map((copy) => ({ ...copy, file: logFileName(Number(copy.file)) }));
  const bodies = version.bodies.map((body) => {
    const shards = body.shards.map((shard) => ({
      ...shard,
      file: body.kind === 'blob' ? blobFileName(shard.file) : logFileName(Number(shard.file)),
    }));
    return { ...body, copies: named(body.copies), shards };
  });
  return { ...version, copies: named(version.copies), bodies };
}

async function look(
  options: CheckOptions,
  arena: SlabArena,
  log: Logger,
): Promise<{ readonly report: CheckReport; readonly indexFolders: readonly string[] }> {
  const world = await openCheckWorld({ folders: options.drives, indexDir: options.indexDir, arena, log });
  try {
    return { report: await report(world, options.onProgress ?? (() => undefined)), indexFolders: world.indexFolders };
  } finally {
    await world.close();
  }
}

async function report(world: CheckWorld, onProgress: (progress: CheckProgress) => void): Promise<CheckReport> {
  const { logs, store } = world;
  onProgress({ phase: 'history', done: null });
  await store.begin();
  const holes = await replayChecked(logs, (setIndex) => store.applyOf(setIndex));
  await store.settle();
  const current = logs.map((log) => log.current);
  const { log, batchesByDrive } = await checkLogs(world, holes, onProgress);
  const total = store.blobBytes();
  let read = 0;
  const blobs = await store.verifyBlobs(current, (bytes) => {
    read += bytes;
    onProgress({ phase: 'blobs', done: total === 0 ? 1 : Math.min(1, read / total) });
  });
  onProgress({ phase: 'files', done: null });
  const orphans = await store.findOrphans(current);
  onProgress({ phase: 'index', done: null });
  const index = await checkIndex(world);
  const buckets = [...store.index.buckets.values()];
  const found = {
    deploymentId: world.deploymentId,
    sets: world.sets.map(({ dataShards, parityShards }) => ({ dataShards, parityShards })),
    drives: world.drives,
    unused: world.unused,
    damage: blobs.byDrive.map(({ bad, missing }, index) => ({
      batches: batchesByDrive[index] ?? 0,
      badShards: bad,
      missingShards: missing,
    })),
    log,
    blobs,
    orphans,
    index,
    buckets: buckets.length,
    objects: buckets.reduce((sum, { bucketId }) => sum + store.index.usage(bucketId).objects, 0),
    lostBuckets: store.lostBuckets(),
  };
  return { ...found, problems: problemsOf(found) };
}

/** Of all sets together; damaged copies of batches also by drive, counted over all sets. */
async function checkLogs(
  { logs, store }: CheckWorld,
  holes: readonly number[],
  onProgress: (progress: CheckProgress) => void,
): Promise<{ readonly log: LogFindings; readonly batchesByDrive: readonly number[] }> {
  const sum = (of: (log: CheckedLog) => number): number => logs.reduce((total, log) => total + of(log), 0);
  const found = { batches: 0, bytes: 0, bad: 0 };
  const batchesByDrive: number[] = [];
  const wrong = new WrongSlots();
  const total = sum(({ bytes }) => bytes);
  let read = 0;
  const pace = (bytes: number): Promise<void> => {
    read += bytes;
    onProgress({ phase: 'log', done: total === 0 ? 1 : Math.min(1, read / total) });
    return Promise.resolve();
  };
  for (const [setIndex, log] of logs.entries()) {
    const first = batchesByDrive.length;
    batchesByDrive.push(...log.drives.map(() => 0));
    for (const fileNumber of log.files) {
      const one = await log.verifyFile(fileNumber, pace, (position, wrongSlots) => {
        batchesByDrive[first + position] = (batchesByDrive[first + position] ?? 0) + 1;
        wrong.add(setIndex, wrongSlots);
      });
      found.batches += one.batches;
      found.bytes += one.bytes;
      found.bad += one.bad;
    }
  }
  const slots = await store.verifySlots(wrong);
  const log = {
    ...found,
    unreadableBodies: slots.unreadable,
    damaged: slots.damaged.map((one) => ({ ...one, file: logFileName(Number(one.file)) })),
    files: sum(({ files }) => files.length),
    holes: holes.reduce((all, one) => all + one, 0),
    unfinished: sum(({ unfinished }) => unfinished),
    dropped: sum(({ dropped }) => dropped),
    unreadableBatches: sum(({ unreadable }) => unreadable),
  };
  return { log, batchesByDrive };
}

/** The index that the server would open, against what the logs say. */
async function checkIndex({ indexFolder, store }: CheckWorld): Promise<IndexFindings> {
  const catalog = await openExistingCatalog(indexFolder);
  if (catalog === 'absent' || catalog === 'damaged') return { state: catalog, differences: 0 };
  try {
    const differences = store.differencesTo(catalog);
    if (differences === null) return { state: 'behind', differences: 0 };
    return { state: differences === 0 ? 'right' : 'wrong', differences };
  } catch {
    // A part of it that had to be read is not what its checksum says, or holds what is no entry.
    return { state: 'damaged', differences: 0 };
  } finally {
    await catalog.close();
  }
}

function problemsOf(found: Omit<CheckReport, 'problems'>): string[] {
  const { log, blobs, orphans, index, drives, lostBuckets } = found;
  const problems: string[] = [];
  const add = (count: number, one: string, many: string): void => {
    if (count > 0) problems.push(count === 1 ? `1 ${one}` : `${count} ${many}`);
  };
  const unreadable = blobs.unreadable + log.unreadableBodies;
  add(unreadable, 'object or part cannot be read', 'objects or parts cannot be read');
  add(log.holes, 'place in the log that no drive can read', 'places in the log that no drive can read');
  add(
    log.unreadableBatches,
    'batch at the end of the log cannot be read',
    'batches at the end of the log cannot be read',
  );
  add(
    lostBuckets.length,
    'bucket that no record knows has something in it',
    'buckets that no record knows have something in them',
  );
  for (const { path, state, faults } of drives) {
    if (state === 'behind') problems.push(`${path} lacks some of the history`);
    if (state === 'unreadable') problems.push(`${path}: its log cannot be read`);
    for (const fault of faults) problems.push(`${path}: ${fault}`);
  }
  add(log.bad, 'damaged copy of a batch of the log', 'damaged copies of batches of the log');
  add(blobs.badShards, 'damaged shard', 'damaged shards');
  add(blobs.missingShards, 'missing shard', 'missing shards');
  add(orphans.count, 'file that no record names', 'files that no record names');
  if (index.state === 'damaged') problems.push('the index is damaged');
  add(index.differences, 'entry of the index is wrong', 'entries of the index are wrong');
  return problems;
}
