/**
 * Question: how fast could one core do all of the hashing and coding of a PUT, and what of it does the server reach?
 *
 * No measurement of its own: the pass over sixteen streams is the bound, the CPU time of the server over as many uploads is
 * what it needs with everything else: HTTP, the copy into its memory, writes, log and index.
 */
import type { ReportRow } from '../report.js';

export const boundName = 'pass.bound';
const passName = 'pass.put.2+2.x16';
const serverName = 'path.put.64MiB.c16';
/** What has to be measured for it. */
export const boundParts: readonly string[] = [passName, serverName];

export function boundRow(rows: readonly ReportRow[]): ReportRow | null {
  const pass = rows.find(({ name }) => name === passName);
  const server = rows.find(({ name }) => name === serverName);
  if (pass === undefined || server === undefined || server.unit !== 'CPU ns/byte') return null;
  // A byte in so many nanoseconds of one core is so many GB/s of it.
  const value = 1 / server.value;
  return {
    ...{ name: boundName, unit: 'GB/s of one core, server', value, ratio: value / pass.value },
    anchor: { name: 'hashing and coding alone (GB/s of one core)', value: pass.value },
    note:
      `one core could hash and code ${pass.value.toFixed(2)} GB/s of sixteen uploads; ` +
      `with HTTP, copies, writes and log the server stores ${value.toFixed(2)} GB/s a core`,
  };
}
