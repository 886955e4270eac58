import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminClient, type AdminClient } from '../support/admin-client.js';
import { parsePrometheus, valueOf, type PrometheusSample } from '../support/prometheus.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { send, type Request } from '../support/wire.js';

/** Metrics as Prometheus scrapes them, compared with what was done before. */
let server: ServerProcess;
let root: AdminClient;

const s3 = (request: Request) => send(server, request);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** As an operator's client makes it by itself. */
function token({ accessKey, secretKey }: { accessKey: string; secretKey: string }): string {
  const claims = { exp: Math.floor(Date.now() / 1000) + 3600, sub: accessKey, iss: 'prometheus' };
  const signed = `${encode({ alg: 'HS512', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha512', secretKey).update(signed).digest('base64url')}`;
}
const get = (path: string, bearer: string | null, at = server) =>
  fetch(`${at.url}${path}`, bearer === null ? {} : { headers: { authorization: `Bearer ${bearer}` } });
async function scrape(path: string): Promise<PrometheusSample[]> {
  const answer = await get(path, token(server));
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return parsePrometheus(await answer.text());
}

beforeAll(async () => {
  server = await startServerProcess();
  root = adminClient(server, server);
  for (const bucket of ['one', 'two']) await s3({ method: 'PUT', path: `/${bucket}` });
  await s3({ method: 'PUT', path: '/one/small', body: Buffer.alloc(100) });
  await s3({ method: 'PUT', path: '/one/large', body: Buffer.alloc(1_500_000) });
  await s3({ method: 'PUT', path: '/two/small', body: Buffer.alloc(7) });
  for (let round = 0; round < 3; round++) await s3({ method: 'GET', path: '/one/large' });
  await s3({ method: 'GET', path: '/one/none' });
  await s3({ method: 'GET', path: '/three/none' });
  await send({ ...server, secretKey: 'wrong' }, { method: 'GET', path: '/one/small' });
}, 60_000);
afterAll(() => server.stop());

describe('version 2', () => {
  test('cluster', async () => {
    const samples = await scrape('/minio/v2/metrics/cluster');
    const value = (name: string, labels = {}) => valueOf(samples, name, { server: server.host, ...labels });
    expect(value('minio_cluster_bucket_total')).toBe(2);
    expect(value('minio_cluster_usage_object_total')).toBe(3);
    expect(value('minio_cluster_usage_version_total')).toBe(3);
    expect(value('minio_cluster_usage_total_bytes')).toBe(1_500_107);
    expect(value('minio_cluster_objects_size_distribution', { range: 'LESS_THAN_1024_B' })).toBe(2);
    expect(value('minio_cluster_objects_size_distribution', { range: 'BETWEEN_1_MB_AND_10_MB' })).toBe(1);
    expect([value('minio_cluster_drive_online_total'), value('minio_cluster_drive_offline_total')]).toEqual([4, 0]);
    expect(value('minio_cluster_health_status')).toBe(1);
    expect(value('minio_cluster_health_erasure_set_write_quorum', { pool: '0', set: '0' })).toBe(3);
    const raw = value('minio_cluster_capacity_raw_total_bytes');
    expect(value('minio_cluster_capacity_usable_total_bytes')).toBe(raw / 2);
    expect(value('minio_s3_requests_total', { api: 'getobject' })).toBe(6);
    expect(value('minio_s3_requests_4xx_errors_total', { api: 'getobject' })).toBe(3);
    expect(value('minio_s3_requests_rejected_auth_total')).toBe(1);
    expect(value('minio_s3_traffic_received_bytes')).toBe(1_500_107);
    expect(value('minio_s3_traffic_sent_bytes')).toBeGreaterThan(4_500_000);
    expect(value('minio_s3_requests_ttfb_seconds_distribution', { api: 'putobject', le: '+Inf' })).toBe(3);
    expect(samples.filter(({ name }) => name === 'minio_s3_requests_5xx_errors_total')).toEqual([]);
  });

  test('node', async () => {
    const samples = await scrape('/minio/v2/metrics/node');
    const drives = samples
      .filter(({ name }) => name === 'minio_node_drive_total_bytes')
      .map(({ labels }) => labels['drive']);
    expect(drives).toHaveLength(4);
    for (const drive of drives as string[]) {
      const of = (name: string) => valueOf(samples, `minio_node_drive_${name}`, { drive });
      expect(of('used_bytes') + of('free_bytes')).toBe(of('total_bytes'));
      expect([of('errors_timeout'), of('errors_ioerror'), of('errors_availability')]).toEqual([0, 0, 0]);
      expect(valueOf(samples, 'minio_node_drive_latency_us', { drive, api: 'write' })).toBeGreaterThan(0);
    }
    expect(valueOf(samples, 'minio_node_process_uptime_seconds')).toBeGreaterThan(0);
    expect(valueOf(samples, 'minio_node_process_resident_memory_bytes')).toBeGreaterThan(50_000_000);
    expect(valueOf(samples, 'minio_software_version_info', { version: '0.1.0' })).toBe(1);
  });

  test('bucket', async () => {
    const samples = await scrape('/minio/v2/metrics/bucket');
    const value = (name: string, labels: Record<string, string>) => valueOf(samples, `minio_bucket_${name}`, labels);
    expect(value('usage_total_bytes', { bucket: 'one' })).toBe(1_500_100);
    expect(value('usage_object_total', { bucket: 'two' })).toBe(1);
    expect(value('objects_size_distribution', { bucket: 'two', range: 'LESS_THAN_1024_B' })).toBe(1);
    expect(value('requests_total', { bucket: 'one', api: 'getobject' })).toBe(5);
    expect(value('traffic_received_bytes', { bucket: 'two' })).toBe(7);
    expect(samples.some(({ labels }) => labels['bucket'] === 'three')).toBe(false);
  });

  test('resource, and what scrapers of long ago ask for', async () => {
    expect(valueOf(await scrape('/minio/v2/metrics/resource'), 'minio_node_mem_total')).toBeGreaterThan(1e8);
    const all = await scrape('/minio/prometheus/metrics');
    expect(valueOf(all, 'minio_cluster_bucket_total')).toBe(2);
    expect(valueOf(all, 'minio_node_drive_total')).toBe(4);
    expect(valueOf(all, 'minio_s3_requests_total', { api: 'putobject' })).toBe(3);
  });
});

describe('version 3', () => {
  test('everything, and every branch of it', async () => {
    const all = await scrape('/minio/metrics/v3');
    expect(valueOf(all, 'minio_api_requests_total', { name: 'GetObject', type: 's3' })).toBe(6);
    expect(valueOf(all, 'minio_cluster_usage_objects_total_bytes')).toBe(1_500_107);
    expect(valueOf(all, 'minio_cluster_usage_buckets_objects_count', { bucket: 'one' })).toBe(2);
    expect(valueOf(all, 'minio_cluster_health_drives_online_count')).toBe(4);
    expect(valueOf(all, 'minio_cluster_erasure_set_read_tolerance', { pool_id: '0', set_id: '0' })).toBe(2);
    expect(valueOf(all, 'minio_cluster_erasure_set_write_tolerance', { pool_id: '0', set_id: '0' })).toBe(1);
    const ofClass = { pool_id: '0', set_id: '0', storage_class: 'REDUCED_REDUNDANCY' };
    expect(valueOf(all, 'minio_cluster_erasure_set_class_read_tolerance', ofClass)).toBe(1);
    expect(valueOf(all, 'minio_cluster_config_standard_parity')).toBe(2);
    expect(valueOf(all, 'minio_system_drive_health', { drive_index: '3' })).toBe(1);
    const usage = await scrape('/minio/metrics/v3/cluster/usage');
    const names = new Set(all.map(({ name }) => name).filter((name) => name.startsWith('minio_cluster_usage_')));
    expect(new Set(usage.map(({ name }) => name))).toEqual(names);
  });

  test('of one bucket', async () => {
    const samples = await scrape('/minio/metrics/v3/bucket/api/one');
    expect(valueOf(samples, 'minio_bucket_api_total', { bucket: 'one', name: 'PutObject' })).toBe(2);
    const none = await get('/minio/metrics/v3/bucket/api/three', token(server));
    expect([none.status, ((await none.json()) as { Code: string }).Code]).toEqual([404, 'NoSuchBucket']);
  });

  test.each(['/minio/metrics/v3/replication', '/minio/v2/metrics/other', '/minio/metrics/v3x'])(
    '%s is not there',
    async (path) => {
      expect((await get(path, token(server))).status).toBe(404);
    },
  );
});

describe('who may scrape', () => {
  const scraper = { accessKey: 'scraper', secretKey: 'scraper-secret' };
  const nobody = { accessKey: 'nobody', secretKey: 'nobody-secret' };

  test('whoever has the action, as long as the account is there', async () => {
    for (const { accessKey, secretKey } of [scraper, nobody]) {
      await root({ method: 'PUT', path: 'add-user', query: { accessKey }, sealed: { secretKey, status: 'enabled' } });
    }
    const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['admin:Prometheus'] }] };
    await root({ method: 'PUT', path: 'add-canned-policy', query: { name: 'scrape' }, body: JSON.stringify(policy) });
    await root({
      method: 'POST',
      path: 'idp/builtin/policy/attach',
      sealed: { policies: ['scrape'], user: 'scraper' },
    });
    const paths = ['/minio/v2/metrics/cluster', '/minio/metrics/v3', '/minio/prometheus/metrics'];
    for (const path of paths) {
      expect((await get(path, token(scraper))).status).toBe(200);
      expect((await get(path, token(nobody))).status).toBe(403);
      expect((await get(path, token({ ...scraper, secretKey: 'wrong-secret' }))).status).toBe(403);
      const refused = await get(path, null);
      expect([refused.status, ((await refused.json()) as { Code: string }).Code]).toEqual([403, 'AccessDenied']);
    }
    await root({ method: 'PUT', path: 'set-user-status', query: { accessKey: 'scraper', status: 'disabled' } });
    expect((await get('/minio/v2/metrics/node', token(scraper))).status).toBe(403);
    const post = await fetch(`${server.url}/minio/v2/metrics/node`, { method: 'POST' });
    expect(post.status).toBe(405);
  });

  test('everybody where the operator says so', async () => {
    const open = await startServerProcess({ environment: { MINIO_PROMETHEUS_AUTH_TYPE: 'public' } });
    try {
      const answer = await get('/minio/v2/metrics/cluster', null, open);
      expect(answer.status).toBe(200);
      expect(valueOf(parsePrometheus(await answer.text()), 'minio_cluster_bucket_total')).toBe(0);
    } finally {
      await open.stop();
    }
  });
});
