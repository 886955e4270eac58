/**
 * Question: what do 100,000 users with an attachment and an access key each cost at the start of a server, in its
 * memory, and in a look-up?
 *
 * Estimate: 300,000 records of 200 bytes, 5 µs each to decrypt and 3 to read: 2.5 s; 1 KiB of memory for the three
 * of a user: 100 MiB; a look-up is two hash tables, whatever is in them, and a miss of the cache more for each.
 *
 * Result: docs/performance.md.
 */
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../src/base/index.js';
import { decide } from '../../src/policy/index.js';
import { createIam, type Iam, type IamChange, type IamStore } from '../../src/identity/index.js';
import { accessKey, secretKey, startGranaryOn } from '../path/servers.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';
import type { Workspace } from '../workspace.js';
import { userName, writeAccounts } from './accounts-on-drives.js';

export interface ScaleOptions {
  readonly wants: (name: string) => boolean;
  readonly onProgress: (text: string) => void;
}

const userCount = 100_000;
const startName = 'iam.start.100k';
const memoryName = 'iam.memory.100k';
const lookupName = 'iam.lookup.100k';
export const scaleNames = [startName, memoryName, lookupName];

const rootCredentials = { accessKey, secretKey };
const MiB = 2 ** 20;
const startLimitSeconds = 5;
const driveCount = 4;

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** Seconds that the server says its start took, and its memory right after. */
async function startOnce(workspace: Workspace, folder: string): Promise<{ seconds: number; bytes: number }> {
  const server = await startGranaryOn(workspace, folder);
  try {
    return { seconds: server.startMs / 1000, bytes: await residentBytes(server.target.pid ?? 0) };
  } finally {
    await server.stop();
  }
}

const rounds = 3;

async function startRows(workspace: Workspace, { onProgress }: ScaleOptions): Promise<ReportRow[]> {
  const empty = await workspace.makeFolder('disk', 'empty');
  const full = await workspace.makeFolder('disk', 'accounts');
  try {
    onProgress(`${startName}: writing the accounts`);
    const folders = Array.from({ length: driveCount }, (_, index) => `${full}/drive${index + 1}`);
    const recordBytes = await writeAccounts({ folders, rootCredentials, userCount });
    const starts: { seconds: number; bytes: number }[] = [];
    const without: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      onProgress(`${startName}: start ${round} of ${rounds}`);
      starts.push(await startOnce(workspace, full));
      without.push((await startOnce(workspace, empty)).bytes);
    }
    const seconds = median(starts.map((start) => start.seconds));
    const mebibytes = (median(starts.map(({ bytes }) => bytes)) - median(without)) / MiB;
    const stored = recordBytes / MiB;
    return [
      {
        ...{ name: startName, unit: 's', value: seconds, ratio: startLimitSeconds / seconds },
        anchor: { name: 'limit (s)', value: startLimitSeconds },
      },
      {
        ...{ name: memoryName, unit: 'MiB more than without', value: mebibytes, ratio: stored / mebibytes },
        anchor: { name: 'the records as they are stored (MiB)', value: stored },
      },
    ];
  } finally {
    await workspace.removeFolder(full);
    await workspace.removeFolder(empty);
  }
}

class MapStore implements IamStore {
  readonly #records = new Map<string, Uint8Array>();

  read(name: string): Promise<Uint8Array | null> {
    return Promise.resolve(this.#records.get(name) ?? null);
  }

  load(visit: (name: string, value: Uint8Array) => void): Promise<void> {
    for (const [name, value] of this.#records) visit(name, value);
    return Promise.resolve();
  }

  write(changes: readonly IamChange[]): Promise<void> {
    for (const { name, value } of changes) if (value !== null) this.#records.set(name, value);
    return Promise.resolve();
  }
}

async function accounts(count: number): Promise<{ iam: Iam; close(): void }> {
  const opened = await createIam({ store: new MapStore(), rootCredentials, clock: systemClock });
  for (let index = 0; index < count; index++) {
    const name = userName(index);
    await opened.iam.setUser(name, { secretKey: `secret-of-${name}`, status: 'enabled' });
    await opened.iam.attach({ kind: 'user', name }, ['readwrite']);
  }
  return opened;
}

const lookups = 20_000;
const conditions = { trusted: () => undefined, request: () => undefined };

/** µs from an access key to a decision, over users in no order. */
function lookupMicros(iam: Iam, count: number): number {
  const start = performance.now();
  for (let index = 0; index < lookups; index++) {
    const name = userName((index * 7919) % count);
    const credential = iam.credentials.lookup(name);
    if (credential === null) throw new Error('a user is missing');
    const request = { action: 's3:GetObject', bucket: 'bucket', key: 'key', account: name, conditions };
    if (!decide(request, iam.policiesOf(credential.principal, null))) throw new Error('a user may not');
  }
  return ((performance.now() - start) * 1000) / lookups;
}

async function lookupRow({ onProgress }: ScaleOptions): Promise<ReportRow> {
  onProgress(`${lookupName}: making the accounts`);
  const many = await accounts(userCount);
  const few = await accounts(userCount / 1000);
  try {
    const ours: number[] = [];
    const anchors: number[] = [];
    for (let round = 0; round < 9; round++) {
      ours.push(lookupMicros(many.iam, userCount));
      anchors.push(lookupMicros(few.iam, userCount / 1000));
    }
    const value = median(ours);
    const anchor = median(anchors);
    return {
      ...{ name: lookupName, unit: 'µs', value, ratio: anchor / value },
      anchor: { name: 'the same among 100 users (µs)', value: anchor },
    };
  } finally {
    many.close();
    few.close();
  }
}

export async function scaleRows(workspace: Workspace, options: ScaleOptions): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  if (options.wants(startName) || options.wants(memoryName)) rows.push(...(await startRows(workspace, options)));
  if (options.wants(lookupName)) rows.push(await lookupRow(options));
  return rows;
}
