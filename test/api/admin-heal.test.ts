import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminClient, type AdminAnswer, type AdminClient } from '../support/admin-client.js';
import { adminStream } from '../support/admin-stream.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { send } from '../support/wire.js';

/** Healing over the wire: what an operator starts, follows and is told. */
let server: ServerProcess;
let root: AdminClient;

beforeAll(async () => {
  server = await startServerProcess();
  root = adminClient(server, server);
  await send(server, { method: 'PUT', path: '/mine' });
  await send(server, { method: 'PUT', path: '/mine/large', body: Buffer.alloc(1_200_000, 7) });
  await send(server, { method: 'PUT', path: '/mine/small', body: Buffer.alloc(10, 7) });
}, 60_000);
afterAll(() => server.stop());

const start = (path: string, options: object, query = {}): Promise<AdminAnswer> =>
  root({ method: 'POST', path: `heal/${path}`, query, body: JSON.stringify(options) });
const parsed = (answer: AdminAnswer) => JSON.parse(answer.body.toString()) as Record<string, never>;

interface Item {
  readonly type: string;
  readonly object: string;
  readonly before: { readonly drives: readonly { readonly state: string }[] };
  readonly after: { readonly drives: readonly { readonly state: string }[] };
}

async function follow(path: string, clientToken: string): Promise<Item[]> {
  const items: Item[] = [];
  for (let tries = 0; tries < 200; tries++) {
    const answer = await root({ method: 'POST', path: `heal/${path}`, query: { clientToken }, body: '' });
    expect(answer.status).toBe(200);
    const progress = parsed(answer) as unknown as { summary: string; items?: Item[] };
    items.push(...(progress.items ?? []));
    if (progress.summary === 'finished') return items;
    expect(progress.summary).toBe('running');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the healing does not end');
}

describe('heal', () => {
  test('writes anew what a drive has lost, and says so', async () => {
    const blobs = join(server.folder, 'drive3', 'blobs');
    const files = readdirSync(blobs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files).toHaveLength(1);
    for (const { parentPath, name } of files) rmSync(join(parentPath, name));
    const started = await start('mine', { recursive: true, scanMode: 1 });
    expect(started.status).toBe(200);
    expect(parsed(started)).toMatchObject({
      clientAddress: '127.0.0.1',
      startTime: expect.stringMatching(/^\d{4}-/) as string,
    });
    const token = parsed(started)['clientToken'] as unknown as string;
    const items = await follow('mine', token);
    const states = items.map(({ type, object, before, after }) => [
      `${type} ${object}`,
      before.drives.map(({ state }) => state).join(),
      after.drives.map(({ state }) => state).join(),
    ]);
    expect(states).toEqual([
      ['bucket ', 'ok,ok,ok,ok', 'ok,ok,ok,ok'],
      ['object large', 'ok,ok,missing,ok', 'ok,ok,ok,ok'],
      ['object small', 'ok,ok,ok,ok', 'ok,ok,ok,ok'],
    ]);
    const again = readdirSync(blobs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(again.map(({ name }) => name)).toEqual(files.map(({ name }) => name));
  });

  test('is refused where there is nothing to follow, no such bucket, or an option that it has not', async () => {
    const poll = (path: string, query: Record<string, string>) =>
      root({ method: 'POST', path: `heal/${path}`, query, body: '' });
    expect(await poll('mine/other', { clientToken: 'x' })).toMatchObject({
      status: 400,
      code: 'XMinioHealNoSuchProcess',
    });
    expect(await poll('mine', { clientToken: 'x' })).toMatchObject({
      status: 400,
      code: 'XMinioHealInvalidClientToken',
    });
    expect(await poll('mine/other', { forceStop: 'true' })).toMatchObject({ code: 'XMinioHealNoSuchProcess' });
    expect(await start('none', { recursive: true })).toMatchObject({ status: 404, code: 'NoSuchBucket' });
    for (const option of ['remove', 'recreate', 'updateParity']) {
      expect(await start('mine', { [option]: true })).toMatchObject({ status: 501, code: 'NotImplemented' });
    }
    expect(await start('mine', { pool: 1 })).toMatchObject({ status: 400, code: 'XMinioAdminInvalidArgument' });
    expect(await start('mine', {}, { forceStart: 'true', forceStop: 'true' })).toMatchObject({ status: 400 });
  });

  test('of the whole server', async () => {
    const started = await start('', { recursive: true, dryRun: true });
    const items = await follow('', parsed(started)['clientToken'] as unknown as string);
    expect(items.map(({ object }) => object)).toEqual(['', 'large', 'small']);
  });

  test('status tells of drives, parity and repairs', async () => {
    const answer = await root({ method: 'POST', path: 'background-heal/status' });
    expect(parsed(answer)).toMatchObject({
      offline_nodes: [],
      HealDisks: [],
      sets: [{ pool_index: 0, set_index: 0, heal_status: 'Idle', total_objects: 2 }],
      sc_parity: { STANDARD: 2 },
      mrf: { [server.host]: { items_healed: expect.any(Number) as number } },
    });
    const [set] = parsed(answer)['sets'] as unknown as { disks: { state: string }[] }[];
    expect(set?.disks.map(({ state }) => state)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });
});

describe('live figures', () => {
  test('come one after the other, and the last says that it is', async () => {
    const stream = await adminStream(server, server, 'metrics', {
      types: '3',
      n: '2',
      interval: '1s',
      'by-disk': 'true',
    });
    expect(stream.status).toBe(200);
    await stream.ended;
    expect(stream.documents.map(({ final }) => final)).toEqual([false, true]);
    const [first] = stream.documents as { aggregated: Record<string, Record<string, unknown>>; by_disk: object }[];
    expect(first?.aggregated['disk']).toMatchObject({
      n_disks: 4,
      life_time_ops: { write: expect.any(Number) as number },
      iostats: { write_ios: expect.any(Number) as number, wrte_sectors: expect.any(Number) as number },
    });
    expect(first?.aggregated['scanner']).toMatchObject({ collected: expect.any(String) as string });
    expect(Object.keys(first?.aggregated ?? {})).toEqual(['scanner', 'disk']);
    expect(Object.keys(first?.by_disk ?? {})).toHaveLength(4);
  });

  test.each([
    [{ types: 'x' }, 400],
    [{ hosts: 'elsewhere:9000' }, 400],
    [{ interval: 'soon' }, 400],
  ])('%o is refused', async (query, status) => {
    expect((await root({ method: 'GET', path: 'metrics', query })).status).toBe(status);
  });

  test('there are no locks to show', async () => {
    expect(await root({ method: 'GET', path: 'top/locks' })).toMatchObject({ status: 501, code: 'NotImplemented' });
  });
});
