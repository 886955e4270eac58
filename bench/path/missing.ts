/**
 * Question: how much slower is a GET of 64 MiB when one or two of the four drives are gone, and parity stands in for data?
 *
 * Estimate (limits.md): rebuilding runs at 19 GB/s, a GET at 2.4: a tenth more CPU time at the most. Of four drives each
 * object has its data on two: with one gone every other object has to be rebuilt, with two gone nearly all.
 *
 * Result: docs/performance.md.
 *
 * How: one server writes; copies of its drives, whose blobs are the same files, are served by three, of which one lacks
 * a drive and one two. They keep nothing of what was read, and are measured in turns. In place of a folder that is gone there is a file: an empty folder
 * would be taken for a new drive and filled.
 */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { nanosPerByte, runOnce } from '../load/figures.js';
import type { LoadFigures } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';
import type { Medium, Workspace } from '../workspace.js';
import { startGranaryOn, uncached, type Server } from './servers.js';

const run = promisify(execFile);

export const missingNames = ['missing1', 'missing2'].flatMap((kind) => [
  `path.get.64MiB.c16.${kind}`,
  `path.get.64MiB.c16.${kind}.rate`,
]);

const objectBytes = 64 * 2 ** 20;
const objectCount = 16;
const connections = 16;
const driveCount = 4;
const missingMax = 2;
const patternStep = 4093;
const rounds = 4;
const seconds = 2;
const warmUpSeconds = 1;

const object = (index: number) => ({
  path: `/missing/${index}`,
  expectedStatus: 200,
  patternOffset: index * patternStep,
});

const puts = Array.from({ length: objectCount }, (_, index): PlannedRequest => ({
  ...object(index),
  method: 'PUT',
  bodyBytes: objectBytes,
}));
const gets = Array.from({ length: objectCount }, (_, index): PlannedRequest => ({
  ...object(index),
  method: 'GET',
  expectedBytes: objectBytes,
  isPattern: true,
}));

/** Blobs are never changed and can be shared; logs and locks cannot. */
async function cloneDrives(from: string, to: string): Promise<void> {
  for (let drive = 1; drive <= driveCount; drive++) {
    const [source, target] = [path.join(from, `drive${drive}`), path.join(to, `drive${drive}`)];
    await mkdir(target);
    await run('cp', ['-a', path.join(source, '.granary'), path.join(source, 'log'), target]);
    await run('cp', ['-al', path.join(source, 'blobs'), target]);
  }
}

async function takeAway(folder: string, count: number): Promise<void> {
  for (let drive = driveCount; drive > driveCount - count; drive--) {
    const file = path.join(folder, `drive${drive}`);
    await rm(file, { recursive: true });
    await writeFile(file, '');
  }
}

const bytesPerMicro = ({ receivedBytes, elapsedMicros }: LoadFigures): number => receivedBytes / elapsedMicros;

export function missingRows(missing: number, healthy: readonly LoadFigures[], ours: readonly LoadFigures[]) {
  const name = `path.get.64MiB.c16.missing${missing}`;
  const cpu = (figures: readonly LoadFigures[]) => median(figures.map((one) => nanosPerByte(one, objectBytes)));
  const rate = (figures: readonly LoadFigures[]) => median(figures.map(bytesPerMicro));
  return [
    {
      ...{ name, unit: 'CPU ns/byte', value: cpu(ours), ratio: cpu(healthy) / cpu(ours) },
      anchor: { name: 'all drives there (CPU ns/byte)', value: cpu(healthy) },
    },
    {
      ...{ name: `${name}.rate`, unit: 'MB/s', value: rate(ours), ratio: rate(ours) / rate(healthy) },
      anchor: { name: 'all drives there (MB/s)', value: rate(healthy) },
    },
  ] satisfies ReportRow[];
}

export async function measureMissing(workspace: Workspace, onProgress: (text: string) => void): Promise<ReportRow[]> {
  const title = 'path.get.64MiB.c16.missing';
  const medium: Medium = workspace.folders.tmpfs === null ? 'disk' : 'tmpfs';
  const plans = await workspace.makeFolder(medium, 'plans');
  const folders = [];
  const servers: Server[] = [];
  try {
    // The first is healthy, the second lacks one drive, the third two.
    for (let missing = 0; missing <= missingMax; missing++) folders.push(await workspace.makeFolder(medium, 'drives'));
    const [full = ''] = folders;
    onProgress(`${title}: writing what is read`);
    const writer = await startGranaryOn(workspace, full);
    servers.push(writer);
    const create: PlannedRequest = { method: 'PUT', path: '/missing', bodyBytes: 0, expectedStatus: 200 };
    await runOnce(workspace, writer.target, plans, [create], { connections: 1 });
    await runOnce(workspace, writer.target, plans, puts, { connections: 4 });
    await writer.stop();
    for (const [missing, folder] of folders.entries()) {
      if (missing === 0) continue;
      await cloneDrives(full, folder);
      await takeAway(folder, missing);
    }
    const measured: { server: Server; figures: LoadFigures[] }[] = [];
    for (const [missing, folder] of folders.entries()) {
      onProgress(`${title}: warming up, ${missing} missing`);
      const server = await startGranaryOn(workspace, folder, uncached);
      servers.push(server);
      await runOnce(workspace, server.target, plans, gets, { connections, seconds: warmUpSeconds, loops: true });
      measured.push({ server, figures: [] });
    }
    for (let round = 1; round <= rounds; round++) {
      onProgress(`${title}: round ${round} of ${rounds}`);
      for (const { server, figures } of measured)
        figures.push(await runOnce(workspace, server.target, plans, gets, { connections, seconds, loops: true }));
    }
    const [healthy = [], ...others] = measured.map(({ figures }) => figures);
    return others.flatMap((figures, index) => missingRows(index + 1, healthy, figures));
  } finally {
    for (const server of servers) await server.stop();
    for (const folder of [...folders, plans]) await workspace.removeFolder(folder);
  }
}
