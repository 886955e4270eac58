/** The bench: which rows are measured, in which order, and what is shown of them. */
import { statfsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';
import { kernelRows } from './kernel/kernels.bench.js';
import { projectRoot } from './kernel/meter.js';
import { microRows } from './micro/micro-rows.js';
import { UsageError, parseArguments, usage, type BenchArguments } from './options.js';
import { mainThreadRow } from './path/main-thread.js';
import { memoryRow } from './path/memory.js';
import { pathRows } from './path/path-rows.js';
import { Progress, toJson, toTable, type ReportRow } from './report.js';
import { Workspace, choosePinning, type Medium } from './workspace.js';

const tmpfsMagic = 0x01021994;

function defaultTmpfs(): string | null {
  try {
    return statfsSync('/dev/shm').type === tmpfsMagic ? '/dev/shm' : null;
  } catch {
    return null;
  }
}

export async function runBench(args: readonly string[]): Promise<number> {
  let options: BenchArguments | null;
  try {
    options = parseArguments(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${usage}`);
    return 2;
  }
  if (options === null) {
    process.stdout.write(usage);
    return 0;
  }
  const progress = new Progress(process.stderr);
  progress.say(`${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Node.js ${process.version}`);
  const folders = {
    disk: options.diskFolder ?? path.join(projectRoot(), 'build', 'bench', 'data'),
    tmpfs: options.tmpfsFolder ?? defaultTmpfs(),
  };
  const workspace = new Workspace(folders, await choosePinning(options.pins));
  try {
    const rows = await measureAll(workspace, options, progress);
    progress.clear();
    process.stdout.write(toTable(rows));
    if (options.json === '-') process.stdout.write(toJson(rows));
    else if (options.json !== null) await writeFile(options.json, toJson(rows));
    return rows.length > 0 ? 0 : 1;
  } finally {
    progress.clear();
    await workspace.close();
  }
}

async function measureAll(workspace: Workspace, options: BenchArguments, progress: Progress): Promise<ReportRow[]> {
  const wants = (name: string): boolean => options.only === null || options.only.test(name);
  const onProgress = (text: string): void => {
    progress.show(text);
  };
  const rows: ReportRow[] = [];
  const media: Medium[] = workspace.folders.tmpfs === null ? ['disk'] : ['tmpfs', 'disk'];
  if (options.endpoint !== null) {
    const { host, port, ...rest } = options.endpoint;
    const foreign = { ...rest, address: host, port, host: `${host}:${port}` };
    return pathRows(workspace, { quick: options.quick, wants, onProgress, media: ['disk'], foreign });
  }
  // Kernels first: the path rows leave a disk behind that has work to do.
  if (options.only === null || /kernel|pass/.test(options.only.source)) {
    rows.push(...(await kernelRows({ quick: options.quick, onProgress })).filter(({ name }) => wants(name)));
  }
  if (!options.quick && (options.only === null || /micro|js/.test(options.only.source))) {
    rows.push(...(await microRows(onProgress)).filter(({ name }) => wants(name)));
  }
  rows.push(...(await pathRows(workspace, { quick: options.quick, wants, onProgress, media, foreign: null })));
  if (!options.quick || options.only !== null) {
    if (wants('main-thread.put.1GiB')) rows.push(await mainThreadRow(workspace, onProgress));
    if (wants('memory.put.1GiB.cut.c64')) rows.push(await memoryRow(workspace, onProgress));
  }
  return rows;
}
