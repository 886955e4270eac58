import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '../../src/base/index.js';
import { adminClient, type AdminClient } from '../support/admin-client.js';
import { adminStream, type AdminStream } from '../support/admin-stream.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { send, type Answer, type Request } from '../support/wire.js';

/** What an operator asks of a running server: what it is, holds and does. */
let server: ServerProcess;
let root: AdminClient;
const open: AdminStream[] = [];

beforeAll(async () => {
  // With a line for every request.
  server = await startServerProcess({ environment: { GRANARY_LOG_LEVEL: 'debug' } });
  root = adminClient(server, server);
  await s3({ method: 'PUT', path: '/first' });
  await s3({ method: 'PUT', path: '/second' });
  for (const [key, bytes] of [
    ['a', 5],
    ['b', 100_000],
    ['c', 2_000_000],
  ] as const) {
    await s3({ method: 'PUT', path: `/first/${key}`, body: Buffer.alloc(bytes, 1) });
  }
}, 60_000);
afterAll(async () => {
  for (const one of open) one.leave();
  // Whoever still listens does not hold up a stop for as long as a request under way may.
  const last = await adminStream(server, server, 'trace', { internal: 'true' });
  const begunMs = Date.now();
  await server.stop();
  await last.ended;
  expect(Date.now() - begunMs).toBeLessThan(9_000);
});

const s3 = (request: Request): Promise<Answer> => send(server, request);
const json = async (path: string, query: Record<string, string> = {}) => {
  const answer = await root({ method: 'GET', path, query });
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body.toString()) as Record<string, never>;
};
async function stream(
  path: string,
  query: Record<string, string> = {},
  who = server as Parameters<typeof adminStream>[1],
) {
  const opened = await adminStream(server, who, path, query);
  open.push(opened);
  return opened;
}

describe('what the server is and holds', () => {
  test('info', async () => {
    const info = await json('info', { metrics: 'true' });
    expect(info).toMatchObject({
      mode: 'online',
      region: 'us-east-1',
      deploymentID: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      buckets: { count: 2 },
      objects: { count: 3 },
      versions: { count: 3 },
      deletemarkers: { count: 0 },
      usage: { size: 2_100_005 },
      backend: {
        backendType: 'Erasure',
        onlineDisks: 4,
        offlineDisks: 0,
        standardSCParity: 2,
        totalSets: [1],
        totalDrivesPerSet: [4],
      },
      pools: { 0: { 0: { id: 0, usage: 2_100_005, objectsCount: 3, healDisks: 0 } } },
    });
    const [node] = info['servers'] as unknown as Record<string, never>[];
    expect(node).toMatchObject({
      state: 'online',
      endpoint: `127.0.0.1:${server.port}`,
      scheme: 'http',
      version: '0.1.0',
    });
    expect(node?.['uptime']).toBeLessThan(120);
    const drives = node?.['drives'] as unknown as Record<string, number | string | Record<string, number>>[];
    expect(drives.map(({ path, disk_index: index, state }) => [path, index, state])).toEqual(
      [0, 1, 2, 3].map((index) => [join(server.folder, `drive${index + 1}`), index, 'ok']),
    );
    expect(new Set(drives.map(({ uuid }) => uuid)).size).toBe(4);
    for (const { totalspace, usedspace, availspace, metrics } of drives) {
      expect(Number(totalspace)).toBe(Number(usedspace) + Number(availspace));
      expect(Number(availspace)).toBeGreaterThan(0);
      expect((metrics as Record<string, number>)['totalWrites']).toBeGreaterThan(0);
    }
  });

  test('storageinfo', async () => {
    const info = await json('storageinfo');
    expect(info['Disks']).toHaveLength(4);
    expect(info['Backend']).toMatchObject({
      Type: 2,
      OnlineDisks: { '': 4 },
      OfflineDisks: { '': 0 },
      StandardSCData: [2],
      StandardSCParities: [2],
      DrivesPerSet: [4],
    });
  });

  test('datausageinfo is exact at once', async () => {
    expect((await json('datausageinfo', { capacity: 'true' }))['capacity']).toBeGreaterThan(0);
    await s3({ method: 'PUT', path: '/second/d', body: Buffer.alloc(7) });
    const with7 = await json('datausageinfo');
    expect(with7).toMatchObject({
      objectsCount: 4,
      objectsTotalSize: 2_100_012,
      bucketsCount: 2,
      bucketsSizes: { first: 2_100_005, second: 7 },
      bucketsUsageInfo: {
        first: {
          size: 2_100_005,
          objectsCount: 3,
          versionsCount: 3,
          deleteMarkersCount: 0,
          objectsSizesHistogram: {
            LESS_THAN_1024_B: 1,
            BETWEEN_1024B_AND_1_MB: 1,
            BETWEEN_64_KB_AND_256_KB: 1,
            BETWEEN_1_MB_AND_10_MB: 1,
          },
        },
        second: { size: 7, objectsCount: 1 },
      },
    });
    expect(with7).not.toHaveProperty('capacity');
    await s3({ method: 'DELETE', path: '/second/d' });
    expect(await json('datausageinfo')).toMatchObject({ objectsCount: 3, objectsTotalSize: 2_100_005 });
  });
});

describe('the log', () => {
  test('the latest lines, then those to come, and a sign of life between', async () => {
    await s3({ method: 'GET', path: '/first/a', query: 'x-id=GetObject' });
    const log = await stream('log', { limit: '1', logType: 'all' });
    expect(log.status).toBe(200);
    const first = await log.until(() => true);
    expect(first).toMatchObject({
      deploymentid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      errKind: 'INFO',
      node: `127.0.0.1:${server.port}`,
      ConsoleMsg: expect.stringContaining('operation=GetObject') as string,
    });
    await s3({ method: 'GET', path: '/first/no-such-key' });
    const line = await log.until(({ ConsoleMsg }) => String(ConsoleMsg).includes('NoSuchKey'));
    expect(line['requestID']).toMatch(/^[0-9A-F]{16}$/);
    const before = log.keepAliveCount();
    await new Promise((resolve) => setTimeout(resolve, 1300));
    expect(log.keepAliveCount()).toBeGreaterThan(before);
  });

  test('by kind, and not of a node that is not there', async () => {
    const errors = await stream('log', { limit: '0', logType: 'application' });
    await s3({ method: 'GET', path: '/first/a' });
    await expect(errors.until(() => true, 300)).rejects.toThrow('not among 0 documents');
    const other = await root({ method: 'GET', path: 'log', query: { node: 'elsewhere:9000' } });
    expect(other).toMatchObject({ status: 400, code: 'XMinioAdminInvalidArgument' });
    const bad = await root({ method: 'GET', path: 'log', query: { limit: 'many' } });
    expect(bad).toMatchObject({ status: 400, code: 'XMinioAdminInvalidArgument' });
  });
});

describe('the trace', () => {
  test('requests of S3 as they end, without secrets', async () => {
    const trace = await stream('trace', { s3: 'true' });
    const body = Buffer.alloc(1234);
    await s3({ method: 'PUT', path: '/first/traced', query: 'x-id=PutObject', body });
    expect(await trace.until(({ path }) => path === '/first/traced')).toMatchObject({
      type: 4,
      nodename: `127.0.0.1:${server.port}`,
      funcname: 's3.PutObject',
      http: {
        request: {
          method: 'PUT',
          rawquery: 'x-id=PutObject',
          client: '127.0.0.1',
          headers: {
            Authorization: [expect.stringMatching(/Credential=granary-tester.*Signature=\*REDACTED\*$/)],
            'Content-Length': ['1234'],
          },
        },
        response: { statuscode: 200, headers: { 'X-Amz-Request-Id': [expect.stringMatching(/^[0-9A-F]{16}$/)] } },
        stats: { inputbytes: 1234, outputbytes: 0 },
      },
    });
    const streamed = 2_000_000;
    await s3({ method: 'GET', path: '/first/c' });
    const got = (await trace.until(({ path }) => path === '/first/c')) as { http?: { stats: { outputbytes: number } } };
    expect(got.http?.stats.outputbytes).toBe(streamed);
    // Neither calls to drives nor requests of administration were asked for.
    await json('info');
    await s3({ method: 'GET', path: '/first/a', query: 'last' });
    await trace.until(({ path }) => path === '/first/a');
    expect(new Set(trace.documents.map(({ type }) => type))).toEqual(new Set([4]));
  });

  test('administration and calls to drives for those who ask; failures only; what took long only', async () => {
    const internal = await stream('trace', { internal: 'true' });
    const drives = await stream('trace', { storage: 'true' });
    const failures = await stream('trace', { s3: 'true', err: 'true' });
    const slow = await stream('trace', { s3: 'true', threshold: '1h0m0s' });
    await json('info');
    await s3({ method: 'PUT', path: '/first/on-drives', body: Buffer.alloc(900_000) });
    await s3({ method: 'GET', path: '/first/none' });
    expect(await internal.until(() => true)).toMatchObject({ type: 8, funcname: 'admin.ServerInfo' });
    const write = await drives.until(({ funcname }) => funcname === 'storage.create');
    expect(write).toMatchObject({ type: 2, path: expect.stringMatching(/\/drive\d blobs\//) as string });
    expect(write['dur']).toBeGreaterThan(0);
    expect(await failures.until(() => true)).toMatchObject({ path: '/first/none', error: 'NoSuchKey' });
    expect(slow.documents).toEqual([]);
    const bad = await root({ method: 'GET', path: 'trace', query: { s3: 'true', threshold: 'long' } });
    expect(bad).toMatchObject({ status: 400, code: 'XMinioAdminInvalidArgument' });
  });

  test('only so many may listen, and one that leaves makes room', async () => {
    const all = await Promise.all(
      Array.from({ length: limits.feedListeners.count }, () => adminStream(server, server, 'trace', { s3: 'true' })),
    );
    const refused = all.find(({ status }) => status === 503);
    expect(refused).toBeDefined();
    for (const one of all) one.leave();
    for (let tries = 0; ; tries++) {
      const again = await stream('trace', { s3: 'true' });
      if (again.status === 200) break;
      expect(tries).toBeLessThan(100);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('ends when its reader loses the right to it', async () => {
    const reader = { accessKey: 'reader', secretKey: 'reader-secret' };
    await root({
      method: 'PUT',
      path: 'add-user',
      query: { accessKey: 'reader' },
      sealed: { secretKey: reader.secretKey, status: 'enabled' },
    });
    await root({
      method: 'POST',
      path: 'idp/builtin/policy/attach',
      sealed: { policies: ['diagnostics'], user: 'reader' },
    });
    const trace = await stream('trace', { s3: 'true' }, reader);
    await s3({ method: 'GET', path: '/first/a' });
    await trace.until(() => true);
    await root({ method: 'PUT', path: 'set-user-status', query: { accessKey: 'reader', status: 'disabled' } });
    await trace.ended;
    const seen = trace.documents.length;
    expect((await adminStream(server, reader, 'trace', { s3: 'true' })).status).toBe(403);
    expect(trace.documents.length).toBe(seen);
  });
});
