/**
 * Question: is the index better kept in the server's own store (a table in memory over immutable, synced sorted runs) or
 * in LMDB, the embedded store that it began with?
 *
 * Estimate: a put into LMDB copies pages of its tree, for keys in no order nearly one an entry, and hands every batch to a
 * thread: 10 µs beside 3 for a table in memory, a sequential write and a share of merges. A listing from mapped pages
 * should be quicker than one that merges runs. After a power loss LMDB without syncs has to be built anew, from every
 * record there is; with them it opens at once, for a sync a batch. The runs lose three tables at the most. A disk that
 * cannot read is an error of `pread`, and of a mapping SIGBUS.
 *
 * Result: docs/performance.md.
 *
 * How: each store in a process of its own (index-program.ts), on the disk, in turns; keys in no order, batches of sixty
 * entries of 350 bytes. The kinds of LMDB are in index-store.ts.
 */
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ReportRow } from '../report.js';
import { forgetPages } from '../scale/power-loss.js';
import { median } from '../statistics.js';
import type { Workspace } from '../workspace.js';
import { measureChoice, type Choice, type ChoiceOptions, type Run } from './choice.js';
import type { FailingFigures, IndexTask, RestartFigures, WorkFigures } from './index-program.js';
import { losePowerOf, type IndexKind } from './index-store.js';

const names = {
  put: 'choice.index.put',
  putFlushed: 'choice.index.put.flushed',
  list: 'choice.index.list',
  restart: 'choice.index.restart',
  restartFlushed: 'choice.index.restart.flushed',
  failing: 'choice.index.failing-disk',
} as const;

type Lmdb = Exclude<IndexKind, 'native'>;
const lmdbNames: Readonly<Record<Lmdb, string>> = {
  unsynced: 'LMDB, unsynced',
  flushed: 'LMDB, synced behind the writer',
};

/** 102,000 entries: nearly five tables of the native store. */
const putBatches = 1700;
/** Each is a sync there. */
const flushedBatches = 500;
/** 300,000 entries. */
const listBatches = 5000;
/** 120,000 entries, and 90,000 where each batch is a sync. */
const restartBatches: Readonly<Record<Lmdb, number>> = { unsynced: 2000, flushed: 1500 };
const failingBatches = 1000;
const rounds = 3;
/** Of a process that has said that it is full, and goes on with its last batches. */
const writesBeforeKillMs = 15;

/** The outcome of a process that may have been ended by a signal. */
interface Ended {
  readonly output: string;
  readonly signal: NodeJS.Signals | null;
}

class IndexBench {
  readonly #program = fileURLToPath(new URL('index-program.js', import.meta.url));
  #folders = 0;

  constructor(
    private readonly workspace: Workspace,
    private readonly folder: string,
  ) {}

  newFolder(): string {
    return path.join(this.folder, `index${++this.#folders}`);
  }

  async forget(folder: string): Promise<void> {
    await forgetPages(this.workspace, [folder]);
  }

  /** `isEnough`: the process is killed soon after it has answered. */
  async #run(args: readonly string[], isEnough: boolean): Promise<Ended> {
    await this.workspace.settle(this.folder);
    const { server } = this.workspace.pinning;
    const child = this.workspace.start(server, process.execPath, [this.#program, ...args], {
      // Should the system keep the memory of a process that died, then here.
      ...{ cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] },
    });
    let output = '';
    let errors = '';
    child.stdout?.on('data', (data: Buffer) => {
      output += data.toString();
      if (isEnough) setTimeout(() => child.kill('SIGKILL'), writesBeforeKillMs);
    });
    child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (code !== 0 && signal === null) throw new Error(`the index could not be measured: ${errors.trim()}`);
    return { output, signal };
  }

  async ask<T>(task: IndexTask, kind: IndexKind, folder: string, batches: number): Promise<T> {
    const { output, signal } = await this.#run([task, kind, folder, String(batches)], false);
    if (signal !== null) throw new Error(`the process of the index ended with ${signal}`);
    return JSON.parse(output) as T;
  }

  async fillAndKill(kind: IndexKind, folder: string, batches: number): Promise<void> {
    const { output } = await this.#run(['fillUntilKilled', kind, folder, String(batches)], true);
    if (output === '') throw new Error('the index was not written');
  }

  /** The answer, or the signal that it died of. */
  async fail(kind: IndexKind, folder: string, batches: number): Promise<FailingFigures | NodeJS.Signals> {
    const { output, signal } = await this.#run(['failing', kind, folder, String(batches)], false);
    return signal ?? (JSON.parse(output) as FailingFigures);
  }
}

const runOf = ({ operations, elapsedMicros, cpuMicros }: WorkFigures): Run => ({
  perSecond: operations / (elapsedMicros / 1e6),
  cpu: cpuMicros / operations,
});

function putChoice(bench: IndexBench, name: string, other: Lmdb, batches: number): Choice {
  const run = async (kind: IndexKind): Promise<Run> =>
    runOf(await bench.ask<WorkFigures>('put', kind, bench.newFolder(), batches));
  return {
    ...{ name, units: { rate: 'puts/s', cpu: 'CPU µs/put' }, otherName: lmdbNames[other], rounds },
    chosen: () => run('native'),
    other: () => run(other),
  };
}

async function listRows(bench: IndexBench, onProgress: (text: string) => void): Promise<ReportRow[]> {
  const folders = { native: bench.newFolder(), unsynced: bench.newFolder() };
  for (const kind of ['native', 'unsynced'] as const) {
    onProgress(`${names.list}: writing what is listed`);
    await bench.ask('fill', kind, folders[kind], listBatches);
  }
  const run = async (kind: 'native' | 'unsynced'): Promise<Run> =>
    runOf(await bench.ask<WorkFigures>('list', kind, folders[kind], listBatches));
  const choice: Choice = {
    ...{ name: names.list, units: { rate: 'entries/s', cpu: 'CPU µs/entry' }, otherName: 'LMDB', rounds },
    chosen: () => run('native'),
    other: () => run('unsynced'),
  };
  return measureChoice(choice, onProgress);
}

/** Killed in the middle of writes, and what had not been synced lost. */
async function restartOnce(bench: IndexBench, kind: IndexKind, batches: number): Promise<RestartFigures> {
  const folder = bench.newFolder();
  await bench.fillAndKill(kind, folder, batches);
  await losePowerOf(kind, folder);
  await bench.forget(folder);
  return bench.ask<RestartFigures>('restart', kind, folder, batches);
}

export function restartRow(
  name: string,
  ours: readonly RestartFigures[],
  theirs: readonly RestartFigures[],
  otherName: string,
): ReportRow {
  const value = median(ours.map(({ milliseconds }) => milliseconds));
  const anchor = median(theirs.map(({ milliseconds }) => milliseconds));
  const replayed = (runs: readonly RestartFigures[]): string => runs.map((run) => run.replayed).join(', ');
  return {
    ...{ name, unit: 'ms to the first get', value, ratio: anchor / value },
    anchor: { name: `${otherName} (ms)`, value: anchor },
    note: `entries put again, without the reading of the log: ${replayed(ours)}; ${otherName}: ${replayed(theirs)}`,
  };
}

export function failingRow(
  ours: FailingFigures | NodeJS.Signals,
  theirs: FailingFigures | NodeJS.Signals,
  otherName: string,
): ReportRow {
  // To answer that nothing is there is no life either.
  const lives = (end: typeof ours): number =>
    typeof end !== 'string' && end.errors > 0 && end.wrongAnswers === 0 ? 1 : 0;
  const words = (end: typeof ours): string =>
    typeof end === 'string'
      ? `the process ends with ${end}`
      : `the process goes on; reads that failed: ${end.errors}, that were answered wrongly: ${end.wrongAnswers}`;
  const [value, anchor] = [lives(ours), lives(theirs)];
  return {
    ...{ name: names.failing, unit: '1 lives, 0 dies', value, ratio: value / anchor },
    anchor: { name: otherName, value: anchor },
    note: `${words(ours)}; ${otherName}: ${words(theirs)}`,
  };
}

async function restartRows(
  bench: IndexBench,
  name: string,
  other: Lmdb,
  onProgress: (text: string) => void,
): Promise<ReportRow[]> {
  const ours: RestartFigures[] = [];
  const theirs: RestartFigures[] = [];
  for (let round = 1; round <= rounds; round++) {
    onProgress(`${name}: round ${round} of ${rounds}`);
    ours.push(await restartOnce(bench, 'native', restartBatches[other]));
    theirs.push(await restartOnce(bench, other, restartBatches[other]));
  }
  return [restartRow(name, ours, theirs, lmdbNames[other])];
}

async function failingRows(bench: IndexBench, onProgress: (text: string) => void): Promise<ReportRow[]> {
  const run = async (kind: IndexKind): Promise<FailingFigures | NodeJS.Signals> => {
    onProgress(`${names.failing}: ${kind}`);
    const folder = bench.newFolder();
    await bench.ask('fill', kind, folder, failingBatches);
    // Syncs make no difference here.
    return bench.fail(kind, folder, failingBatches);
  };
  return [failingRow(await run('native'), await run('unsynced'), 'LMDB')];
}

export async function indexRows(workspace: Workspace, options: ChoiceOptions): Promise<ReportRow[]> {
  const { wants, onProgress, onFailure } = options;
  const all: readonly (readonly [name: string, measure: (bench: IndexBench) => Promise<ReportRow[]>])[] = [
    [names.put, (bench) => measureChoice(putChoice(bench, names.put, 'unsynced', putBatches), onProgress)],
    [
      names.putFlushed,
      (bench) => measureChoice(putChoice(bench, names.putFlushed, 'flushed', flushedBatches), onProgress),
    ],
    [names.list, (bench) => listRows(bench, onProgress)],
    [names.restart, (bench) => restartRows(bench, names.restart, 'unsynced', onProgress)],
    [names.restartFlushed, (bench) => restartRows(bench, names.restartFlushed, 'flushed', onProgress)],
    [names.failing, (bench) => failingRows(bench, onProgress)],
  ];
  const rows: ReportRow[] = [];
  for (const [name, measure] of all) {
    if (!wants(name) && !wants(`${name}.cpu`)) continue;
    const folder = await workspace.makeFolder('disk', 'choice-index');
    try {
      rows.push(...(await measure(new IndexBench(workspace, folder))));
    } catch (error) {
      onFailure(name, error);
    } finally {
      await workspace.removeFolder(folder);
    }
  }
  return rows;
}
