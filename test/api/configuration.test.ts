import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServer } from '../../dist/index.js';
import { adminClient, seal, type AdminAnswer, type AdminClient, type AdminRequest } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { freePort } from '../support/free-port.js';
import { headOf, open, send, sendSigned, sign } from '../support/wire.js';

/** Settings and service control over the wire, as clients of the administration API speak it. */
let server: ServerProcess;
let root: AdminClient;

beforeAll(async () => {
  server = await startServerProcess({
    port: await freePort(),
    environment: { MINIO_API_STALE_UPLOADS_EXPIRY: '48h', MINIO_API_COMMENT: 'from the environment' },
  });
  root = adminClient(server, server);
}, 60_000);
afterAll(() => server.stop());

const settle = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const text = (request: AdminRequest, value: string) =>
  root({ ...request, body: seal(server.secretKey, Buffer.from(value)) });
const set = (value: string) => text({ method: 'PUT', path: 'set-config-kv' }, value);
const reset = (value: string) => text({ method: 'DELETE', path: 'del-config-kv' }, value);
const get = async (key: string) => {
  const answer = await root({ method: 'GET', path: 'get-config-kv', query: { key } });
  expect(answer.status, answer.message ?? '').toBe(200);
  return (await answer.opened()).toString();
};
const wire = () => ({
  port: server.port,
  accessKey: server.accessKey,
  secretKey: server.secretKey,
  region: 'us-east-1',
});
const listBuckets = () => send(wire(), { method: 'GET', path: '/' });

async function must(answer: Promise<AdminAnswer>): Promise<AdminAnswer> {
  const found = await answer;
  expect(found.status, found.message ?? '').toBe(200);
  return found;
}

describe('settings', () => {
  test('are set, read and reset; what is in effect says so', async () => {
    const applied = await must(set('api requests_deadline=20s comment=two words cors_allow_origin=https://a.example'));
    expect(applied.headers['x-minio-config-applied']).toBe('true');
    expect(await get('api')).toBe(
      '# MINIO_API_STALE_UPLOADS_EXPIRY=48h\n# MINIO_API_COMMENT=from the environment\n' +
        'api requests_max=0 requests_deadline=20s cors_allow_origin=https://a.example root_access=on ' +
        'stale_uploads_expiry=24h stale_uploads_cleanup_interval=6h comment="two words" \n',
    );
    const cors = await sendSigned(
      wire(),
      { method: 'GET', path: '/' },
      { host: server.host, origin: 'https://a.example' },
    );
    expect(cors.headers['access-control-allow-origin']).toBe('https://a.example');
    const undone = await must(reset('api'));
    expect(undone.headers['x-minio-config-applied']).toBe('true');
    expect(await get('api')).toContain('requests_deadline=10s cors_allow_origin=* ');
  });

  test.each([
    ['api requests_max=many', 400, 'XMinioConfigError'],
    ['api odirect=on', 400, 'XMinioConfigError'],
    ['compression enable=on', 400, 'XMinioConfigError'],
    ['storage_class standard=EC:3', 400, 'XMinioConfigError'],
    ['storage_class standard=EC:1 rrs=EC:2', 400, 'XMinioConfigError'],
    ['site region=not a region', 400, 'XMinioConfigError'],
  ])('%j is refused', async (line, status, code) => {
    expect(await set(line)).toMatchObject({ status, code });
  });

  test('under another key, or as plain text, are refused', async () => {
    const body = seal('another-secret', Buffer.from('api requests_max=1'));
    const refused = { status: 400, code: 'XMinioAdminConfigBadJSON' };
    expect(await root({ method: 'PUT', path: 'set-config-kv', body })).toMatchObject(refused);
    expect(await root({ method: 'PUT', path: 'set-config-kv', body: 'api requests_max=1' })).toMatchObject(refused);
    const huge = seal(server.secretKey, Buffer.alloc(300_000, 0x20));
    const tooLarge = await root({ method: 'PUT', path: 'config', body: huge });
    expect(tooLarge).toMatchObject({ status: 400, code: 'XMinioAdminConfigTooLarge' });
  });

  test('that are not there answer 404 or 400', async () => {
    expect(await root({ method: 'GET', path: 'get-config-kv', query: { key: 'api:x' } })).toMatchObject({
      status: 400,
    });
    expect(await root({ method: 'GET', path: 'get-config-kv', query: { key: 'etcd' } })).toMatchObject({
      status: 400,
      code: 'XMinioConfigError',
    });
    expect(await root({ method: 'PUT', path: 'restore-config-history-kv', query: { restoreId: 'no' } })).toMatchObject({
      status: 404,
      code: 'XMinioConfigNotFoundError',
    });
  });

  test('have a history that restores', async () => {
    await must(root({ method: 'DELETE', path: 'clear-config-history-kv', query: { restoreId: 'all' } }));
    await must(set('api requests_deadline=11s'));
    await must(set('api requests_deadline=12s'));
    const list = async () => {
      const answer = await root({ method: 'GET', path: 'list-config-history-kv', query: { count: '10' } });
      return (await answer.json()) as unknown as { restoreId: string; createTime: string; data: string }[];
    };
    const [first, second] = await list();
    expect(second?.data).toBe('api requests_deadline=12s ');
    expect(Date.parse(first?.createTime ?? '')).toBeLessThan(Date.parse(second?.createTime ?? ''));
    await must(
      root({ method: 'PUT', path: 'restore-config-history-kv', query: { restoreId: first?.restoreId ?? '' } }),
    );
    expect(await get('api')).toContain('requests_deadline=11s ');
    expect(await list()).toEqual([second]);
  });

  test('are exported and imported', async () => {
    await must(set('api requests_deadline=13s\nsite name=here'));
    const exported = (await (await root({ method: 'GET', path: 'config' })).opened()).toString();
    expect(exported).toContain('site name=here region= \n');
    await must(reset('api\nsite'));
    const imported = await must(text({ method: 'PUT', path: 'config' }, exported));
    // The site takes a new start.
    expect(imported.headers['x-minio-config-applied']).toBeUndefined();
    const again = (await (await root({ method: 'GET', path: 'config' })).opened()).toString();
    expect(again).toBe(exported);
  });

  test('have help of exactly the fields that clients know', async () => {
    const help = (query: string) => root({ method: 'GET', path: 'help-config-kv', query });
    const all = JSON.parse((await help('subSys=&key=')).body.toString()) as Record<string, unknown>;
    expect(Object.keys(all)).toEqual(['subSys', 'description', 'multipleTargets', 'keysHelp']);
    const one = JSON.parse((await help('subSys=api&key=requests_max&env=')).body.toString()) as { keysHelp: object[] };
    expect(one.keysHelp).toEqual([
      {
        key: 'MINIO_API_REQUESTS_MAX',
        type: 'number',
        description: expect.any(String),
        optional: true,
        multipleTargets: false,
      },
    ]);
    expect(await help('subSys=nope&key=')).toMatchObject({ status: 400, code: 'XMinioConfigError' });
  });

  test('root_access=off shuts root and its keys out, and nobody else', async () => {
    const alice = { accessKey: 'alice', secretKey: 'alice-secret' };
    const key = { accessKey: 'rootskey', secretKey: 'rootskey-secret' };
    await must(
      root({
        method: 'PUT',
        path: 'add-user',
        query: { accessKey: 'alice' },
        sealed: { secretKey: alice.secretKey, status: 'enabled' },
      }),
    );
    await must(
      root({
        method: 'POST',
        path: 'idp/builtin/policy/attach',
        sealed: { policies: ['consoleAdmin'], user: 'alice' },
      }),
    );
    await must(root({ method: 'PUT', path: 'add-service-account', sealed: key }));
    expect((await send({ ...wire(), ...key }, { method: 'GET', path: '/' })).status).toBe(200);
    await must(set('api root_access=off'));
    expect((await listBuckets()).status).toBe(403);
    expect((await send({ ...wire(), ...key }, { method: 'GET', path: '/' })).status).toBe(403);
    expect(await root({ method: 'GET', path: 'config' })).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    expect((await send({ ...wire(), ...alice }, { method: 'GET', path: '/' })).status).toBe(200);
    const body = seal(alice.secretKey, Buffer.from('api root_access=on'));
    await must(adminClient(server, alice)({ method: 'PUT', path: 'set-config-kv', body }));
    expect((await listBuckets()).status).toBe(200);
  });

  test('requests_max holds requests above it, and drops them after the deadline', async () => {
    await must(set('api requests_max=1 requests_deadline=300ms'));
    await must(root({ method: 'POST', path: 'service', query: { action: 'freeze' } }));
    const held = [listBuckets(), listBuckets()];
    await settle(600);
    await must(root({ method: 'POST', path: 'service', query: { action: 'unfreeze' } }));
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
    // Its body stays away: it is under way for as long as the connection is.
    const put = await openPut('/requests-max-bucket/k');
    const refused = await listBuckets();
    expect(refused.status).toBe(503);
    expect(refused.body.toString()).toContain('<Code>ServerBusy</Code>');
    put();
    await settle(200);
    await must(set('api requests_max=0'));
    expect((await listBuckets()).status).toBe(200);
  });
});

/** An upload that does not send its body; the answer closes it. */
async function openPut(path: string): Promise<() => void> {
  await send(wire(), { method: 'PUT', path: path.split('/').slice(0, 2).join('/') });
  const request = { method: 'PUT', path, body: Buffer.alloc(1000) };
  const connection = await open(server.port);
  connection.socket.write(headOf(request, { ...sign(wire(), request).headers, 'content-length': '1000' }));
  await settle(200);
  return () => connection.socket.destroy();
}

describe('an audit webhook', () => {
  test('is told about requests once it is set, by whom and without secrets, and no more once it is reset', async () => {
    const entries: Record<string, unknown>[] = [];
    let authorization: string | undefined;
    const collector = createHttpServer((request, response) => {
      let body = '';
      authorization = request.headers.authorization;
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        entries.push(
          ...body
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Record<string, unknown>),
        );
        response.end();
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    try {
      const line = `audit_webhook:one endpoint=http://127.0.0.1:${port}/ auth_token=Bearer tell tale batch_size=10`;
      const applied = await must(set(line));
      expect(applied.headers['x-minio-config-applied']).toBe('true');
      expect(await get('audit_webhook:one')).not.toContain('tell tale');
      await send(wire(), { method: 'PUT', path: '/audited' });
      await send(wire(), { method: 'GET', path: '/audited/not%20there', query: 'X-Amz-Security-Token=hunter2' });
      const of = (name: string) => entries.find((entry) => (entry['api'] as { name?: string }).name === name);
      for (const end = Date.now() + 10_000; of('GetObject') === undefined && Date.now() < end;) await settle(20);
      expect(of('CreateBucket')).toMatchObject({
        accessKey: server.accessKey,
        api: { bucket: 'audited', statusCode: 200 },
      });
      expect(of('GetObject')).toMatchObject({ api: { object: 'not there', statusCode: 404 }, error: 'NoSuchKey' });
      expect(authorization).toBe('Bearer tell tale');
      expect(JSON.stringify(entries)).not.toMatch(/hunter2|Signature=[0-9a-f]/);
      expect(server.output()).not.toContain('tell tale');
      await must(reset('audit_webhook:one'));
      const count = entries.length;
      await listBuckets();
      await settle(200);
      // The reset itself may come late; nothing after it does.
      expect(entries.slice(count).every((entry) => (entry['api'] as { name?: string }).name === 'DelConfigKV')).toBe(
        true,
      );
    } finally {
      collector.closeAllConnections();
      await new Promise((resolve) => collector.close(resolve));
    }
  }, 30_000);
});

describe('service', () => {
  const service = (query: Record<string, string>) => root({ method: 'POST', path: 'service', query });

  test('answers both versions of the call', async () => {
    const second = await service({ action: 'freeze', type: '2', 'dry-run': 'true' });
    expect(JSON.parse(second.body.toString())).toEqual({
      action: 'freeze',
      dryRun: true,
      results: [{ host: server.host }],
    });
    expect((await service({ action: 'unfreeze' })).body).toHaveLength(0);
    expect(await service({ action: 'explode' })).toMatchObject({ status: 400, code: 'MalformedPOSTRequest' });
    expect((await listBuckets()).status).toBe(200);
  });

  test('each action is a right of its own', async () => {
    const bob = { accessKey: 'bob', secretKey: 'bobs-secret' };
    const document = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['admin:ServiceFreeze'] }],
    });
    await must(
      root({
        method: 'PUT',
        path: 'add-user',
        query: { accessKey: 'bob' },
        sealed: { secretKey: bob.secretKey, status: 'enabled' },
      }),
    );
    await must(root({ method: 'PUT', path: 'add-canned-policy', query: { name: 'freezer' }, body: document }));
    await must(
      root({ method: 'POST', path: 'idp/builtin/policy/attach', sealed: { policies: ['freezer'], user: 'bob' } }),
    );
    const ask = adminClient(server, bob);
    expect((await ask({ method: 'POST', path: 'service', query: { action: 'unfreeze' } })).status).toBe(200);
    for (const action of ['restart', 'stop']) {
      expect(await ask({ method: 'POST', path: 'service', query: { action } })).toMatchObject({ code: 'AccessDenied' });
    }
  });

  test('freeze holds S3, not administration and health', async () => {
    await must(service({ action: 'freeze', type: '2' }));
    let status = 0;
    const held = listBuckets().then((answer) => (status = answer.status));
    await settle(400);
    expect(status).toBe(0);
    expect(await get('site')).toContain('site ');
    expect((await fetch(`${server.url}/minio/health/ready`)).status).toBe(200);
    await must(service({ action: 'unfreeze', type: '2' }));
    expect(await held).toBe(200);
  });

  test('restart is the same process with what was set, without a leak of descriptors', async () => {
    const descriptors = () => readdirSync(`/proc/${server.pid}/fd`).length;
    await must(set('site region=eu-9 name=nine'));
    const counts: number[] = [];
    for (const round of [1, 2, 3]) {
      const answer = await must(service({ action: 'restart', type: '2' }));
      expect(JSON.parse(answer.body.toString())).toMatchObject({ action: 'restart', dryRun: false });
      // Clients wait by the health: from the answer on it is not well until the new process is.
      expect((await fetch(`${server.url}/minio/health/cluster`).catch(() => ({ status: 0 }))).status).not.toBe(200);
      await server.ready(round);
      counts.push(descriptors());
    }
    const started =
      server
        .output()
        .split('\n')
        .filter((line) => line.includes('"event":"started"'))
        .at(-1) ?? '';
    expect(JSON.parse(started)).toMatchObject({ region: 'eu-9', site: 'nine', port: server.port });
    const other = await send({ ...wire(), region: 'eu-9' }, { method: 'GET', path: '/' });
    expect(other.status).toBe(200);
    expect(other.headers['x-amz-bucket-region']).toBe('eu-9');
    // A start opens more than the one that made the drives: its log is read. One start is as good as another.
    const [first = 0, , last = Infinity] = counts;
    expect(last).toBeLessThanOrEqual(first + 4);
  }, 150_000);
});

describe('stop', () => {
  test('ends with 0 after what is under way', async () => {
    const other = await startServerProcess({ driveCount: 1 });
    const ask = adminClient(other, other);
    expect((await ask({ method: 'POST', path: 'service', query: { action: 'stop', type: '2' } })).status).toBe(200);
    await other.ended();
    expect(other.output()).toContain('"event":"stopped"');
    // Checks the exit code as well.
    await other.stop();
  }, 60_000);
});

describe('a server inside another program', () => {
  test('is not ended by administration; what was set is under the root password, new and old', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'granary-settings-'));
    const old = { accessKey: 'first-root', secretKey: 'first-secret' };
    const current = { accessKey: 'second-root', secretKey: 'second-secret' };
    const options = { drives: [folder], threads: 1, arenaBytes: 32 * 1024 * 1024 };
    try {
      const first = await createServer({ ...options, credentials: old });
      const ask = adminClient(first, old);
      for (const action of ['restart', 'stop']) {
        const answer = await ask({ method: 'POST', path: 'service', query: { action, type: '2' } });
        expect(answer).toMatchObject({ status: 501, code: 'NotImplemented' });
      }
      const body = seal(old.secretKey, Buffer.from('site name=tell-tale-name'));
      expect((await ask({ method: 'PUT', path: 'set-config-kv', body })).status).toBe(200);
      await first.close();
      const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      expect(files.length).toBeGreaterThan(2);
      for (const file of files) {
        expect(readFileSync(join(file.parentPath, file.name)).includes('tell-tale-name'), file.name).toBe(false);
      }
      await expect(createServer({ ...options, credentials: current })).rejects.toThrow('other root credentials');
      const rotated = await createServer({ ...options, credentials: current, oldCredentials: old });
      expect(rotated.siteName).toBe('tell-tale-name');
      await rotated.close();
      const later = await createServer({ ...options, credentials: current, settings: { MINIO_SITE_REGION: 'env-1' } });
      expect([later.siteName, later.region]).toEqual(['tell-tale-name', 'env-1']);
      await later.close();
      const wrong = createServer({ ...options, credentials: current, settings: { MINIO_API_REQUESTS_MAX: 'x' } });
      await expect(wrong).rejects.toThrow('MINIO_API_REQUESTS_MAX is "x"');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 60_000);
});
