/**
 * Question: of two ways to do something on a drive, is the one that the server takes the better one?
 *
 * Estimate (limits.md): O_DIRECT saves the copy into the page cache, half of the CPU time of a write; what is written is
 * not in memory for the GET that follows. A new file for a shard costs half a millisecond, so small objects belong into
 * the log. A hop to a thread and back costs 20 µs or more, a read from memory 2. (The index: index-rows.ts.)
 *
 * Result: docs/performance.md.
 *
 * How: both ways in turns, medians. The ratio is above 1 where the way that was chosen is the better one; `.cpu` rows
 * compare the CPU time of the process, the others how much is done in a second.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { io, IoKind, kernels, type IoQueue } from '../../src/native/index.js';
import { cpuPerRequest, perSecond, runOnce } from '../load/figures.js';
import { outputOf, type LoadFigures } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import { startGranary } from '../path/servers.js';
import type { ReportRow } from '../report.js';
import type { Workspace } from '../workspace.js';
import { measureChoice, type Choice, type ChoiceOptions, type Run } from './choice.js';
import { indexRows } from './index-rows.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const rounds = 5;

// ---- files ----

interface FilesRun {
  readonly operations: number;
  readonly bytes: number;
  readonly elapsedMicros: number;
  readonly cpuMicros: number;
}

async function runFiles(
  workspace: Workspace,
  folder: string,
  command: readonly [what: string, bytes: number, count: number, way: string],
): Promise<FilesRun> {
  const program = await workspace.compile('choice/files.cc');
  const [what, ...rest] = command;
  await workspace.settle(folder);
  // As many cores as a server has: it takes the same.
  const child = workspace.start(workspace.pinning.server, program, [what, folder, ...rest.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { output, errors } = await outputOf(child);
  if (output === '') throw new Error(`the ways of ${what} could not be measured: ${errors.trim()}`);
  return JSON.parse(output) as FilesRun;
}

const perBatch = ({ operations, elapsedMicros, cpuMicros }: FilesRun): Run => ({
  perSecond: operations / (elapsedMicros / 1e6),
  cpu: cpuMicros / operations,
});
const perByte = ({ bytes, elapsedMicros, cpuMicros }: FilesRun): Run => ({
  perSecond: bytes / elapsedMicros,
  cpu: (cpuMicros * 1000) / bytes,
});

const batches = 300;
const shardFileBytes = 32 * MiB;
const shardFiles = 8;

function fileChoices(workspace: Workspace, folder: string): Choice[] {
  const byBatch = { rate: 'batches/s', cpu: 'CPU µs/batch' };
  const byByte = { rate: 'MB/s', cpu: 'CPU ns/byte' };
  const logs = [64, 256].map((kibibytes): Choice => {
    const run = async (way: string): Promise<Run> =>
      perBatch(await runFiles(workspace, folder, ['append', kibibytes * KiB, batches, way]));
    return {
      ...{ name: `choice.log.buffered.${kibibytes}KiB`, units: byBatch, otherName: 'through the page cache', rounds },
      chosen: () => run('direct'),
      other: () => run('buffered'),
    };
  });
  const blob = async (way: string): Promise<Run> =>
    perByte(await runFiles(workspace, folder, ['blobs', shardFileBytes, shardFiles, way]));
  const blobs: Choice = {
    ...{ name: 'choice.blob.buffered', units: byByte, otherName: 'through the page cache', rounds },
    chosen: () => blob('direct'),
    other: () => blob('buffered'),
  };
  const read = async (way: string): Promise<Run> =>
    perByte(await runFiles(workspace, folder, ['read', shardFileBytes, shardFiles, way]));
  const others = [
    ['sequential', 'POSIX_FADV_SEQUENTIAL'],
    ['willneed', 'POSIX_FADV_WILLNEED, 4 MiB ahead'],
    ['direct', 'O_DIRECT'],
  ] as const;
  const reads = others.map(([way, otherName]): Choice => ({
    ...{ name: `choice.get.readahead.${way}`, units: byByte, otherName, rounds: 3 },
    chosen: () => read('plain'),
    other: () => read(way),
  }));
  return [...logs, blobs, ...reads];
}

// ---- the bound between slots and blob files, on a real server ----

const thresholdSeconds = 1;
const thresholdRounds = 3;
const thresholdConnections = 16;

interface Threshold {
  readonly label: string;
  readonly bytes: number;
  readonly isSlot: boolean;
  /** Of the server with the other way. */
  readonly otherBoundBytes: number;
  /** Requests of a second: more than a server here stores. */
  readonly perSecondMax: number;
}

/** The server's own bound is 256 KiB. */
const thresholds: readonly Threshold[] = [
  { label: '64KiB', bytes: 64 * KiB, isSlot: true, otherBoundBytes: 32 * KiB, perSecondMax: 8000 },
  { label: '256KiB', bytes: 256 * KiB, isSlot: true, otherBoundBytes: 128 * KiB, perSecondMax: 4000 },
  { label: '1MiB', bytes: MiB, isSlot: false, otherBoundBytes: MiB, perSecondMax: 1500 },
];
const thresholdName = (label: string): string => `choice.small.threshold.${label}`;

async function thresholdRows(
  workspace: Workspace,
  { label, bytes, isSlot, otherBoundBytes, perSecondMax }: Threshold,
  onProgress: (text: string) => void,
): Promise<ReportRow[]> {
  const plans = await workspace.makeFolder('disk', 'plans');
  const hook = pathToFileURL(path.join(workspace.root, 'bench', 'choice', 'slot-threshold.mjs')).href;
  const chosen = await startGranary(workspace, 'disk');
  try {
    const other = await startGranary(workspace, 'disk', {
      NODE_OPTIONS: `--import=${hook}`,
      SLOT_OBJECT_BYTES: String(otherBoundBytes),
    });
    try {
      const create: PlannedRequest = { method: 'PUT', path: '/choice', bodyBytes: 0, expectedStatus: 200 };
      for (const { target } of [chosen, other]) await runOnce(workspace, target, plans, [create], { connections: 1 });
      let round = 0;
      const run = async ({ target }: typeof chosen): Promise<Run> => {
        const from = round++ * perSecondMax;
        const requests = Array.from({ length: thresholdSeconds * perSecondMax }, (_, index): PlannedRequest => ({
          method: 'PUT',
          path: `/choice/${from + index}`,
          bodyBytes: bytes,
          expectedStatus: 200,
        }));
        await workspace.settle(plans);
        const load = { connections: thresholdConnections, seconds: thresholdSeconds, loops: true };
        const figures: LoadFigures = await runOnce(workspace, target, plans, requests, load);
        return { perSecond: perSecond(figures), cpu: cpuPerRequest([figures])[0] ?? Number.NaN };
      };
      // Compilers and the first log files.
      for (const server of [chosen, other]) await run(server);
      return await measureChoice(
        {
          name: thresholdName(label),
          units: { rate: 'objects/s', cpu: 'CPU µs/object' },
          otherName: isSlot ? 'in a blob file' : 'in the log',
          rounds: thresholdRounds,
          chosen: () => run(chosen),
          other: () => run(other),
        },
        onProgress,
      );
    } finally {
      await other.stop();
    }
  } finally {
    await chosen.stop();
    await workspace.removeFolder(plans);
  }
}

// ---- reads on the calling thread ----

const nowaitName = 'choice.get.nowait';
const readBytes = 4 * KiB;
const readFileBytes = 16 * MiB;
const readCount = 20_000;
const readsAtOnce = 64;
const readThreads = 2;
const queueGraceMs = 5000;

const readOffset = (index: number): number => ((index * 7919) % (readFileBytes / readBytes)) * readBytes;

/** CPU time of all threads beside how many were read in a second. */
async function measureReads(read: () => Promise<void> | void): Promise<Run> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await read();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: readCount / seconds, cpu: (user + system) / readCount };
}

function readHere(queue: IoQueue, fd: number): void {
  for (let index = 0; index < readCount; index++) {
    if (queue.readNow(fd, readOffset(index), 0, readBytes) !== readBytes)
      throw new Error('what was just written is not in the page cache, or this file system cannot tell');
  }
}

async function readThere(queue: IoQueue, fd: number): Promise<void> {
  let next = 0;
  const reader = async (slot: number): Promise<void> => {
    const segments = Float64Array.of(slot * readBytes, readBytes);
    while (next < readCount) {
      const fileOffset = readOffset(next++);
      const { bytes } = await queue.submit({ kind: IoKind.read, fd, fileOffset, segments });
      if (bytes !== readBytes) throw new Error('a short read');
    }
  };
  await Promise.all(Array.from({ length: readsAtOnce }, (_, slot) => reader(slot)));
}

async function nowaitRows(workspace: Workspace, onProgress: (text: string) => void): Promise<ReportRow[]> {
  const folder = await workspace.makeFolder('disk', 'reads');
  const queue = io.createIoQueue(kernels.createArena(MiB), 'choice', readThreads, readCount);
  const file = path.join(folder, 'file');
  try {
    await writeFile(file, randomBytes(readFileBytes));
    const { fd, errno } = await queue.submit({ kind: IoKind.open, path: file });
    if (errno !== 0) throw new Error(`the file to be read cannot be opened: errno ${errno}`);
    readHere(queue, fd);
    await readThere(queue, fd);
    const choice: Choice = {
      ...{ name: nowaitName, units: { rate: 'reads/s', cpu: 'CPU µs/read' }, rounds },
      otherName: `by the I/O threads, ${readsAtOnce} at once`,
      chosen: () => measureReads(() => readHere(queue, fd)),
      other: () => measureReads(() => readThere(queue, fd)),
    };
    const rows = await measureChoice(choice, onProgress);
    await queue.submit({ kind: IoKind.close, fd });
    return rows;
  } finally {
    await queue.close(queueGraceMs);
    await workspace.removeFolder(folder);
  }
}

export async function choicesRows(workspace: Workspace, options: ChoiceOptions): Promise<ReportRow[]> {
  const { wants, onProgress, onFailure } = options;
  const rows: ReportRow[] = [];
  const attempt = async (name: string, measure: () => Promise<ReportRow[]>): Promise<void> => {
    if (!wants(name) && !wants(`${name}.cpu`)) return;
    await measure().then(
      (more) => rows.push(...more),
      (error: unknown) => {
        onFailure(name, error);
      },
    );
  };
  const folder = await workspace.makeFolder('disk', 'choice');
  try {
    for (const choice of fileChoices(workspace, folder))
      await attempt(choice.name, () => measureChoice(choice, onProgress));
    await attempt(nowaitName, () => nowaitRows(workspace, onProgress));
    rows.push(...(await indexRows(workspace, options)));
    for (const threshold of thresholds)
      await attempt(thresholdName(threshold.label), () => thresholdRows(workspace, threshold, onProgress));
  } finally {
    await workspace.removeFolder(folder);
  }
  return rows;
}
