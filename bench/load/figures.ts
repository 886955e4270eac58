/** Runs of the load generator, and what is read from their figures. */
import type { ReportRow } from '../report.js';
import { median, mergeHistograms, percentile } from '../statistics.js';
import type { Workspace } from '../workspace.js';
import { Plan, type LoadFigures, type LoadOptions, type LoadTarget } from './load.js';
import type { PlannedRequest } from './plan.js';

/** One run of requests that are signed now. */
export async function runOnce(
  workspace: Workspace,
  target: LoadTarget,
  folder: string,
  requests: readonly PlannedRequest[],
  load: LoadOptions,
): Promise<LoadFigures> {
  const plan = await Plan.write(workspace, target, folder, requests);
  try {
    return await plan.run(load);
  } finally {
    await plan.remove();
  }
}

export const perSecond = (figures: LoadFigures): number => figures.requests / (figures.elapsedMicros / 1e6);

export function nanosPerByte(figures: LoadFigures, bytes: number): number {
  return figures.serverCpuMicros === null ? Number.NaN : (figures.serverCpuMicros * 1000) / (figures.requests * bytes);
}

/** What stands beside every ratio. */
export function beside(ours: readonly LoadFigures[]): Partial<ReportRow> {
  const histogram = mergeHistograms(ours.map((figures) => figures.histogram));
  const cpu = cpuPerRequest(ours);
  return {
    opsPerSecond: median(ours.map(perSecond)),
    bytesPerSecond: median(
      ours.map(({ sentBytes, receivedBytes, elapsedMicros }) => (sentBytes + receivedBytes) / (elapsedMicros / 1e6)),
    ),
    p50Ms: percentile(histogram, 0.5) / 1000,
    p99Ms: percentile(histogram, 0.99) / 1000,
    maxMs: Math.max(...ours.map(({ maxMicros }) => maxMicros)) / 1000,
    ...(cpu.length > 0 ? { cpuMicrosPerOp: median(cpu) } : {}),
    clientBusy: median(ours.map(({ clientCpuMicros, elapsedMicros }) => clientCpuMicros / elapsedMicros)),
  };
}

export function cpuPerRequest(ours: readonly LoadFigures[]): number[] {
  return ours.flatMap(({ serverCpuMicros, requests }) =>
    serverCpuMicros === null ? [] : [serverCpuMicros / requests],
  );
}
