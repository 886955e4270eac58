/**
 * Question: for how long does the main thread compute without a turn of the event loop while 1 GiB is
 * uploaded?
 *
 * How: the server in a child process with a probe that reads the thread's own CPU clock once per turn of the
 * event loop, after its callbacks: what neighbours on the machine take does not count, waiting costs nothing, and
 * a turn is never shorter than the longest task in it. The first upload counts too, with compilation and the
 * first run of everything. Estimate: a few ms; the largest single piece of work is the copy of one socket
 * buffer, 512 KiB.
 */
import path from 'node:path';
import { Plan } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import type { ReportRow } from '../report.js';
import type { Workspace } from '../workspace.js';
import { accessKey, secretKey } from './servers.js';

export const mainThreadName = 'main-thread.put.1GiB';
const limitMs = 20;
const GiB = 2 ** 30;
/** The first is cold, the second is not. */
const uploads = 2;

export async function mainThreadRow(workspace: Workspace, onProgress: (text: string) => void): Promise<ReportRow> {
  const name = mainThreadName;
  onProgress(`${name}: longest task of the main thread during an upload`);
  const drives = await workspace.makeFolder('disk', 'drives');
  const folder = await workspace.makeFolder('disk', 'plans');
  const script = path.join(workspace.root, 'bench', 'path', 'probed-server.mjs');
  const child = workspace.start(workspace.pinning.server, process.execPath, [script, drives, accessKey, secretKey], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const answer = (): Promise<{ port?: number; longestMs?: number }> =>
    new Promise((resolve, reject) => {
      child.once('message', (message) => {
        resolve(message as { port?: number; longestMs?: number });
      });
      child.once('exit', () => {
        reject(new Error('the probed server ended'));
      });
    });
  try {
    const { port = 0 } = await answer();
    const target = {
      address: '127.0.0.1',
      port,
      pid: null,
      host: `127.0.0.1:${port}`,
      accessKey,
      secretKey,
      region: 'us-east-1',
    };
    const run = async (requests: readonly PlannedRequest[]): Promise<void> => {
      await (await Plan.write(workspace, target, folder, requests)).run({ connections: 1 });
    };
    await run([{ method: 'PUT', path: '/probe', bodyBytes: 0, expectedStatus: 200 }]);
    child.send('reset');
    await answer();
    for (let upload = 0; upload < uploads; upload++) {
      await run([{ method: 'PUT', path: '/probe/upload', bodyBytes: GiB, expectedStatus: 200 }]);
    }
    child.send('report');
    const { longestMs = Number.NaN } = await answer();
    const anchor = { name: 'limit (ms of thread CPU time)', value: limitMs };
    return { name, unit: 'ms of thread CPU time', value: longestMs, anchor, ratio: limitMs / longestMs };
  } finally {
    await workspace.stop(child);
    await workspace.removeFolder(drives);
    await workspace.removeFolder(folder);
  }
}
