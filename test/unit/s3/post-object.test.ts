import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { limits, Refusal } from '../../../src/base/index.js';
import type { RequestShape, TestResponse } from '../../support/exchange.js';
import { createS3World, type S3World, type WorldOptions } from '../../support/s3-world.js';

const boundary = 'boundary';
const closing = `\r\n--${boundary}--\r\n`;
const MiB = 1024 * 1024;

let world: S3World;

async function createWorld(options: WorldOptions = {}): Promise<S3World> {
  const created = createS3World(options);
  await created.objects.createBucket('bucket', { region: '' });
  return created;
}

beforeEach(async () => {
  world = await createWorld();
});

const policyFor = (conditions: readonly unknown[]) =>
  Buffer.from(JSON.stringify({ expiration: '2027-01-01T00:00:00Z', conditions })).toString('base64');
const open = policyFor([['starts-with', '$key', '']]);

function head(fields: Readonly<Record<string, string>>): string {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  return `${parts.join('')}--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n`;
}

function form(
  fields: Readonly<Record<string, string>>,
  file: string | Uint8Array,
  change: Partial<RequestShape> & { readonly pieceBytes?: number; readonly end?: string } = {},
): RequestShape {
  const whole = Buffer.concat([Buffer.from(head(fields)), Buffer.from(file), Buffer.from(change.end ?? closing)]);
  const pieceBytes = change.pieceBytes ?? 256 * 1024;
  const body: Buffer[] = [];
  for (let at = 0; at < whole.length; at += pieceBytes) body.push(whole.subarray(at, at + pieceBytes));
  const headers = {
    'x-test-anonymous': '1',
    'content-type': `multipart/form-data; boundary=${boundary}`,
    ...change.headers,
  };
  return { method: 'POST', target: '/bucket', body, ...change, headers };
}

const send = (...args: Parameters<typeof form>): Promise<TestResponse> => world.send(form(...args));
const stored = async (key: string) => (await world.send({ target: `/bucket/${key}` })).bytes;
const etag = (bytes: string | Uint8Array) => `"${createHash('md5').update(bytes).digest('hex')}"`;

describe('a form', () => {
  it('becomes an object', async () => {
    const answer = await send({ key: 'up/${filename}', policy: open }, 'content');
    expect(answer).toMatchObject({
      status: 204,
      length: 0,
      headers: { etag: etag('content'), location: 'http://localhost:9000/bucket/up/f.txt' },
    });
    expect((await stored('up/f.txt')).toString()).toBe('content');
    expect(world.records[0]).toMatchObject({ operation: 'PostObject', accessKey: 'minioadmin', status: 204 });
    expect(world.objects.openUploads).toBe(0);
  });

  it.each([
    [1000, 100],
    [2 * MiB, 64 * 1024],
    [limits.formBufferBytesMax + 1, 512 * 1024],
    [limits.formBufferBytesMax + 3 * MiB, 100_000],
  ])('of %i bytes in pieces of %i waits for slow drives', async (length, pieceBytes) => {
    world = await createWorld({ highWaterBytes: 100_000 });
    const file = Buffer.alloc(length, 'some of it\r\n--');
    expect((await send({ key: 'slow', policy: open }, file, { pieceBytes })).status).toBe(204);
    expect((await stored('slow')).equals(file)).toBe(true);
  });

  it('answers where its host names the bucket', async () => {
    world = await createWorld({ domains: ['s3.test'] });
    const headers = { host: 'bucket.s3.test' };
    const answer = await send({ key: 'a b/ü', policy: open }, 'x', { target: '/', headers });
    expect(answer.headers['location']).toBe('http://bucket.s3.test/a%20b/%C3%BC');
  });

  it.each(['javascript:alert(1)', 'somewhere', '//host/', ''])('does not redirect to %j', async (address) => {
    const policy = policyFor([
      ['starts-with', '$key', ''],
      ['starts-with', '$success_action_redirect', ''],
    ]);
    const fields = { key: 'k', policy, success_action_redirect: address };
    expect((await send(fields, 'x')).status).toBe(204);
  });
});

describe('refusals', () => {
  it.each([
    [{ key: 'k' }, 403, 'AccessDenied'],
    [{ policy: open }, 400, 'InvalidArgument'],
    [{ key: '', policy: open }, 400, 'InvalidArgument'],
    [{ key: 'a\0b', policy: open }, 400, 'InvalidArgument'],
    [{ key: 'k'.repeat(limits.keyBytesMax + 1), policy: open }, 400, 'KeyTooLongError'],
    [{ key: 'k', policy: 'e30=' }, 400, 'InvalidPolicyDocument'],
    [{ key: 'k', policy: policyFor([{ key: 'other' }]) }, 403, 'AccessDenied'],
    [{ key: 'k', policy: policyFor([{ key: 'k' }, { bucket: 'other' }]) }, 403, 'AccessDenied'],
    [{ key: 'k', bucket: 'other', policy: policyFor([{ key: 'k' }, { bucket: 'other' }]) }, 403, 'AccessDenied'],
    [{ key: 'k', policy: policyFor([{ key: 'k' }, ['content-length-range', 9, 99]]) }, 400, 'EntityTooSmall'],
    [{ key: 'k', policy: policyFor([{ key: 'k' }, ['content-length-range', 0, 6]]) }, 400, 'EntityTooLarge'],
  ])('of %j', async (fields, status, code) => {
    expect(await send(fields as unknown as Record<string, string>, 'content')).toMatchObject({ status, code });
    expect((await stored('k')).toString()).toContain('NoSuchKey');
    expect(world.objects.openUploads).toBe(0);
  });

  it('holds for the bucket of the request', async () => {
    const missing = await send({ key: 'k', policy: open }, 'content', { target: '/missing' });
    expect(missing).toMatchObject({ status: 404, code: 'NoSuchBucket' });
  });

  it('of a request that is signed itself, or says something of its body', async () => {
    const fields = { key: 'k', policy: open };
    const { 'x-test-anonymous': _, ...signed } = form(fields, 'x').headers as Record<string, string>;
    expect((await world.send({ ...form(fields, 'x'), headers: signed })).code).toBe('InvalidArgument');
    const digest = { 'x-amz-content-sha256': 'a'.repeat(64) };
    expect((await send(fields, 'x', { headers: digest })).code).toBe('InvalidArgument');
  });

  it('of a body without a length, of another type, or cut off', async () => {
    const fields = { key: 'k', policy: open };
    expect(await send(fields, 'x', { declaredBytes: null })).toMatchObject({
      status: 411,
      code: 'MissingContentLength',
    });
    const json = await send(fields, 'x', { headers: { 'content-type': 'application/json' } });
    expect(json).toMatchObject({ status: 412, code: 'PreconditionFailed' });
    expect(await send(fields, 'x', { end: '' })).toMatchObject({ status: 400, code: 'MalformedPOSTRequest' });
    for (const length of [200_000, limits.formBufferBytesMax + MiB]) {
      for (const abortAfterPieces of [0, 1, 2]) {
        const cut = await send(fields, Buffer.alloc(length), { abortAfterPieces, pieceBytes: 65_536 });
        expect(cut.code).toBe('IncompleteBody');
      }
    }
    expect(world.objects.openUploads).toBe(0);
  });

  it('of a large file that is not the last field', async () => {
    const file = Buffer.alloc(limits.formBufferBytesMax, 'x');
    const submit = `\r\n--${boundary}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload${closing}`;
    for (const end of [submit, `\r\n--${boundary}--`]) {
      expect(await send({ key: 'k', policy: open }, file, { end })).toMatchObject({
        status: 400,
        code: 'InvalidRequest',
      });
    }
    expect(world.objects.openUploads).toBe(0);
  });

  it('of the drives', async () => {
    for (const length of [1000, limits.formBufferBytesMax + 1000]) {
      const fields = { key: 'k', policy: open };
      world.objects.nextOpenUploadRefusal = new Refusal('XMinioStorageFull');
      expect(await send(fields, Buffer.alloc(length))).toMatchObject({ status: 507, code: 'XMinioStorageFull' });
      world.objects.nextWriteRefusal = new Refusal('SlowDownWrite');
      expect(await send(fields, Buffer.alloc(length))).toMatchObject({ status: 503, code: 'SlowDownWrite' });
    }
    expect(world.objects.openUploads).toBe(0);
  });
});

it('holds no more of all forms than their budget, and gives back what it held', async () => {
  const file = Buffer.alloc(limits.formBufferBytesMax - MiB, 'x');
  const fits = Math.floor(limits.formBytesMax / (file.length + limits.formFieldsBytesMax + 1000));
  const codes = async () => {
    const answers = Array.from({ length: fits + 3 }, (_, index) => send({ key: `k${index}`, policy: open }, file));
    return (await Promise.all(answers)).map(({ status, code }) => code ?? status);
  };
  for (const round of [1, 2]) {
    const answered = await codes();
    expect(
      answered.filter((one) => one === 204),
      `round ${round}`,
    ).toHaveLength(fits);
    expect(answered.filter((one) => one === 'ServerBusy')).toHaveLength(3);
  }
  expect(world.objects.openUploads).toBe(0);
});
