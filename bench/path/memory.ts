/**
 * Question: how much memory does the server take when 64 uploads are declared as 1 GiB each and cut off
 * after 128 MiB?
 *
 * Estimate: the arena (512 MiB) and what the process has anyway, about 200 MiB.
 */
import { Plan } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import type { ReportRow } from '../report.js';
import type { Workspace } from '../workspace.js';
import { peakMemory, startGranary } from './servers.js';

export const memoryName = 'memory.put.1GiB.cut.c64';
const connections = 64;
const MiB = 2 ** 20;
const limitMiB = 1024;

export async function memoryRow(workspace: Workspace, onProgress: (text: string) => void): Promise<ReportRow> {
  const name = memoryName;
  onProgress(`${name}: 64 uploads that end after 128 MiB`);
  const server = await startGranary(workspace, 'disk');
  const folder = await workspace.makeFolder('disk', 'plans');
  try {
    const bucketPlan: PlannedRequest[] = [{ method: 'PUT', path: '/memory', bodyBytes: 0, expectedStatus: 200 }];
    await (await Plan.write(workspace, server.target, folder, bucketPlan)).run({ connections: 1 });
    const uploads = Array.from({ length: connections }, (_, index): PlannedRequest => ({
      method: 'PUT',
      path: `/memory/upload-${index}`,
      bodyBytes: 1024 * MiB,
      expectedStatus: 200,
    }));
    const plan = await Plan.write(workspace, server.target, folder, uploads);
    await plan.run({ connections, cut: { bytes: 128 * MiB, holdMs: 1000 } });
    const peak = (await peakMemory(server.target.pid ?? 0)) / MiB;
    const anchor = { name: 'limit (MiB)', value: limitMiB };
    return { name, unit: 'MiB resident, highest', value: peak, anchor, ratio: limitMiB / peak };
  } finally {
    await server.stop();
    await workspace.removeFolder(folder);
  }
}
