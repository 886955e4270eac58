/** The bench: which rows are measured, in which order, and what is shown of them. */
import { statfsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { scaleNames, scaleRows } from './iam/scale.js';
import { sessionName, sessionRow } from './iam/session.js';
import { webIdentityName, webIdentityRow } from './iam/web-identity.js';
import { choicesRows } from './choice/choice-rows.js';
import { boundName, boundParts, boundRow } from './kernel/bound.js';
import { kernelRows } from './kernel/kernels.bench.js';
import { lanesName, lanesRow } from './kernel/lanes.js';
import { projectRoot } from './kernel/meter.js';
import { microRows } from './micro/micro-rows.js';
import { UsageError, parseArguments, usage, type BenchArguments } from './options.js';
import { mainThreadName, mainThreadRow } from './path/main-thread.js';
import { memoryName, memoryRow } from './path/memory.js';
import { measureMissing, missingNames } from './path/missing.js';
import { pathRows } from './path/path-rows.js';
import { Progress, toJson, toTable, type ReportRow } from './report.js';
import { millionNames, millionRows } from './scale/million.js';
import { Workspace, choosePinning, type Medium } from './workspace.js';

const tmpfsMagic = 0x01021994;
/** Above it somebody else is computing. */
const busyLoadPerCore = 0.5;

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
  const load = loadavg()[0] ?? 0;
  if (load > busyLoadPerCore * cpus().length)
    progress.say(
      `load average ${load.toFixed(1)}: other work on this machine makes the figures worse and the ratios unsure`,
    );
  const folders = {
    disk: options.diskFolder ?? path.join(projectRoot(), 'build', 'bench', 'data'),
    tmpfs: options.tmpfsFolder ?? defaultTmpfs(),
  };
  const workspace = new Workspace(folders, await choosePinning(options.pins));
  try {
    const failures: string[] = [];
    const onFailure = (name: string, error: unknown): void => {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    };
    const rows = await measureAll(workspace, options, progress, onFailure);
    progress.clear();
    process.stdout.write(toTable(rows));
    if (options.json === '-') process.stdout.write(toJson(rows));
    else if (options.json !== null) await writeFile(options.json, toJson(rows));
    for (const failure of failures) process.stderr.write(`not measured: ${failure}\n`);
    if (rows.length === 0 && failures.length === 0) process.stderr.write('no row has such a name\n');
    return rows.length > 0 && failures.length === 0 ? 0 : 1;
  } finally {
    progress.clear();
    await workspace.close();
  }
}

async function measureAll(
  workspace: Workspace,
  options: BenchArguments,
  progress: Progress,
  onFailure: (name: string, error: unknown) => void,
): Promise<ReportRow[]> {
  const { only } = options;
  // Named, it is made of rows that have to be measured then.
  const wantsBound = only?.test(boundName) === true && only.source.includes('bound');
  const wants = (name: string): boolean =>
    only === null || only.test(name) || (wantsBound && boundParts.includes(name));
  const wantsSome = (prefixes: RegExp): boolean => only === null || prefixes.test(only.source);
  const onProgress = (text: string): void => {
    progress.show(text);
  };
  const rows: ReportRow[] = [];
  const attempt = async (name: string, measure: () => Promise<readonly ReportRow[]>): Promise<void> => {
    try {
      rows.push(...(await measure()).filter((row) => wants(row.name)));
    } catch (error) {
      onFailure(name, error);
    }
  };
  const paths = { quick: options.quick, wants, onProgress, onFailure };
  if (options.endpoint !== null) {
    const { host, port, ...rest } = options.endpoint;
    const foreign = { ...rest, address: host, port, host: `${host}:${port}` };
    await attempt('path', () => pathRows(workspace, { ...paths, media: ['disk'], foreign }));
    return rows;
  }
  const { quick } = options;
  const isNamed = only !== null;
  // Kernels first: the path rows leave a disk behind that has work to do.
  if (wantsSome(/kernel|pass/)) await attempt('kernel', () => kernelRows({ quick, wants, onProgress }));
  if (wants(lanesName) && (!quick || isNamed)) await attempt(lanesName, async () => [await lanesRow({ onProgress })]);
  if (wantsSome(/micro|js|policy/) && (!quick || isNamed)) await attempt('micro', () => microRows(onProgress));
  // The disk first, while nothing was removed from it.
  const media: Medium[] = workspace.folders.tmpfs === null ? ['disk'] : ['disk', 'tmpfs'];
  await attempt('path', () => pathRows(workspace, { ...paths, media, foreign: null }));
  const bound = boundRow(rows);
  if (bound !== null && wants(boundName)) rows.push(bound);
  if (!quick || isNamed) {
    if (missingNames.some(wants)) await attempt('missing', () => measureMissing(workspace, onProgress));
    await attempt('choice', () => choicesRows(workspace, { wants, onProgress, onFailure }));
    if (wants(sessionName)) {
      await attempt(sessionName, async () => [await sessionRow(workspace, { quick, onProgress })]);
    }
    if (wants(webIdentityName))
      await attempt(webIdentityName, async () => [await webIdentityRow(workspace, onProgress)]);
    if (scaleNames.some(wants)) await attempt('iam', () => scaleRows(workspace, { wants, onProgress }));
    if (wants(mainThreadName)) await attempt(mainThreadName, async () => [await mainThreadRow(workspace, onProgress)]);
    const { objects } = options;
    if (millionNames.some(wants))
      await attempt('million', () => millionRows(workspace, { wants, onProgress, onFailure, objects }));
    if (wants(memoryName)) await attempt(memoryName, async () => [await memoryRow(workspace, onProgress)]);
  }
  return rows;
}
