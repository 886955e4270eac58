/** Large objects that are read time and again, whatever is done to them in between. */
import { readdir, truncate } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApiWorld, type ApiWorld } from '../support/api-world.js';
import { parsePrometheus, valueOf } from '../support/prometheus.js';
import { patternBytes } from '../support/tree.js';
import { freshName } from '../support/wire.js';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld({
    environment: { GRANARY_READ_CACHE: '96MiB', MINIO_PROMETHEUS_AUTH_TYPE: 'public' },
  });
});
afterAll(async () => {
  await world.stop();
});

async function put(key: string, body: Buffer, query = ''): Promise<Record<string, string | string[] | undefined>> {
  const answer = await world.send({ method: 'PUT', path: world.path(key), query, body });
  expect(answer.status, answer.body.toString()).toBe(200);
  return answer.headers;
}
const get = (key: string, headers: Record<string, string> = {}, query = '') =>
  world.send({ method: 'GET', path: world.path(key), headers, query });
async function expectBody(key: string, body: Buffer, query = ''): Promise<void> {
  const answer = await get(key, {}, query);
  expect([answer.status, answer.body.equals(body)]).toEqual([200, true]);
}
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${world.server.url}/minio/v2/metrics/node`)).text();
  return valueOf(parsePrometheus(text), `granary_read_cache_${name}`, {});
}

describe.each([100_000, 700_000, 5_000_001])('an object of %i bytes', (bytes) => {
  test('comes from memory the third time, and any range of it', async () => {
    const key = freshName('hot');
    const body = patternBytes(bytes, 1);
    await put(key, body);
    const hits = await metric('hits_total');
    const windows = Math.ceil(bytes / (2 << 20));
    for (let time = 0; time < 4; time++) await expectBody(key, body);
    expect(await metric('hits_total')).toBe(hits + 2 * windows);
    for (const [first, last] of [
      [0, 0],
      [1, 65_536],
      [bytes - 70_000, bytes - 1],
    ] as const) {
      const answer = await get(key, { range: `bytes=${first}-${last}` });
      expect([answer.status, answer.body.equals(body.subarray(first, last + 1))]).toEqual([206, true]);
    }
    expect(await metric('max_bytes')).toBe(96 << 20);
    expect(await metric('used_bytes')).toBeGreaterThanOrEqual(bytes);
  });

  test('is another one when it was written over, and gone when it was deleted', async () => {
    const key = freshName('hot');
    for (const seed of [2, 3, 4]) {
      const body = patternBytes(bytes, seed);
      await put(key, body);
      for (let time = 0; time < 3; time++) await expectBody(key, body);
    }
    await world.send({ method: 'DELETE', path: world.path(key) });
    expect((await get(key)).status).toBe(404);
    const again = patternBytes(bytes, 5);
    await put(key, again);
    await expectBody(key, again);
  });
});

test('an object of parts comes from memory too', async () => {
  const key = freshName('parts');
  const started = await world.send({ method: 'POST', path: world.path(key), query: 'uploads=' });
  const uploadId = /<UploadId>([^<]+)</.exec(started.body.toString())?.[1] ?? '';
  const parts = [patternBytes(5 << 20, 1), patternBytes(1_234_567, 2)];
  const etags = [];
  for (const [index, part] of parts.entries())
    etags.push((await put(key, part, `partNumber=${index + 1}&uploadId=${uploadId}`))['etag']);
  const list = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${String(etag)}</ETag></Part>`,
  );
  const completed = await world.send({
    method: 'POST',
    path: world.path(key),
    query: `uploadId=${uploadId}`,
    body: Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`),
  });
  expect(completed.status, completed.body.toString()).toBe(200);
  const hits = await metric('hits_total');
  for (let time = 0; time < 3; time++) await expectBody(key, Buffer.concat(parts));
  expect(await metric('hits_total')).toBe(hits + 4);
});

test('what is in memory needs no drive', async () => {
  const key = freshName('hot');
  const body = patternBytes(3_000_000, 9);
  await put(key, body);
  for (let time = 0; time < 2; time++) await expectBody(key, body);
  for (const drive of [1, 2, 3, 4]) {
    const blobs = path.join(world.server.folder, `drive${drive}`, 'blobs');
    const files = (await readdir(blobs, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) await truncate(path.join(file.parentPath, file.name), 0);
  }
  await expectBody(key, body);
  const other = freshName('cold');
  await put(other, body);
  await expectBody(other, body);
});
