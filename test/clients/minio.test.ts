import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Client, CopyDestinationOptions, CopyConditions, CopySourceOptions, PostPolicy } from 'minio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { differences, filesBelow, makeBigFile, makeTree, patternBytes, sameBytes } from '../support/tree.js';

let server: ServerProcess;
let client: Client;
let work: string;

function clientWith(accessKey: string, secretKey: string): Client {
  return new Client({ endPoint: '127.0.0.1', port: server.port, useSSL: false, accessKey, secretKey });
}

beforeAll(async () => {
  server = await startServerProcess();
  work = join(server.folder, 'work');
  mkdirSync(work);
  client = clientWith(server.accessKey, server.secretKey);
  await client.makeBucket('files');
});
afterAll(async () => {
  await server.stop();
});

async function bytesOf(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** At most so many at a time. */
async function forEach<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = [...items];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let item = rest.pop(); item !== undefined; item = rest.pop()) await work(item);
    }),
  );
}

interface Listed {
  readonly name?: string;
  readonly prefix?: string;
  readonly size: number;
}
async function listed(bucket: string, prefix: string, isRecursive: boolean): Promise<Listed[]> {
  const found: Listed[] = [];
  for await (const item of client.listObjectsV2(bucket, prefix, isRecursive)) found.push(item as Listed);
  return found;
}

test('a tree goes in and out unchanged', async () => {
  const tree = join(work, 'tree');
  const copy = join(work, 'copy');
  // Its XML parser refuses the control characters that XML 1.0 does not have.
  makeTree(tree, { control: true, without: ['\u0001'] });
  const paths = filesBelow(tree);
  await forEach(paths, 16, (path) => client.fPutObject('files', `tree/${path}`, join(tree, path)));
  const names = (await listed('files', 'tree/', true)).map(({ name }) => name);
  expect(names).toEqual(paths.map((path) => `tree/${path}`));
  // It makes the names of its temporary files longer than the longest name.
  await forEach(paths, 16, async (path) => {
    if (Buffer.byteLength(path.split('/').at(-1) ?? '') > 150) return;
    await client.fGetObject('files', `tree/${path}`, join(copy, path));
  });
  const long = paths.filter((path) => Buffer.byteLength(path.split('/').at(-1) ?? '') > 150);
  expect(differences(tree, copy)).toEqual(
    expect.arrayContaining(long.map((path) => `missing: ${JSON.stringify(path)}`)),
  );
  expect(differences(tree, copy)).toHaveLength(long.length);
  for (const path of long) {
    const bytes = await bytesOf(await client.getObject('files', `tree/${path}`));
    expect(bytes.equals(readFileSync(join(tree, path)))).toBe(true);
  }
  // A thousand at a time.
  await client.removeObjects('files', names as string[]);
  expect(await listed('files', '', true)).toEqual([]);
  for (const path of [tree, copy]) rmSync(path, { recursive: true });
});

test('a file of over 1 GiB, in parts, in and out', async () => {
  const big = join(work, 'big');
  makeBigFile(big);
  const { etag } = await client.fPutObject('files', 'big', big);
  expect(etag).toMatch(/^[0-9a-f]{32}-\d+$/);
  await client.fGetObject('files', 'big', `${big}-copy`);
  expect(sameBytes(big, `${big}-copy`)).toBe(true);
  await client.removeObject('files', 'big');
  for (const path of [big, `${big}-copy`]) rmSync(path);
});

describe('objects', () => {
  const body = patternBytes(200_001, 4);

  test('a stream of known and of unknown length', async () => {
    await client.putObject('files', 'known', Readable.from([body.subarray(0, 70_000), body.subarray(70_000)]), 200_001);
    expect((await bytesOf(await client.getObject('files', 'known'))).equals(body)).toBe(true);
    const long = patternBytes(66 * 1024 * 1024 + 1, 5);
    await client.putObject('files', 'unknown', Readable.from(pieces(long)));
    expect((await bytesOf(await client.getObject('files', 'unknown'))).equals(long)).toBe(true);
  });

  test('metadata, content headers, a part of an object', async () => {
    await client.putObject('files', 'headers', body, body.length, {
      'Content-Type': 'text/x-odd',
      'Cache-Control': 'no-store',
      'X-Amz-Meta-Colour': 'blue',
    });
    const stat = await client.statObject('files', 'headers');
    expect(stat).toMatchObject({
      size: body.length,
      metaData: { 'content-type': 'text/x-odd', 'cache-control': 'no-store', colour: 'blue' },
    });
    const part = await bytesOf(await client.getPartialObject('files', 'headers', 100_000, 77));
    expect(part.equals(body.subarray(100_000, 100_077))).toBe(true);
  });

  test('copies on the server, also many into one', async () => {
    await client.putObject('files', 'source + ü', body);
    const conditions = new CopyConditions();
    conditions.setMatchETag((await client.statObject('files', 'source + ü')).etag);
    await client.copyObject('files', 'copied', '/files/source + ü', conditions);
    expect((await bytesOf(await client.getObject('files', 'copied'))).equals(body)).toBe(true);
    conditions.setMatchETag('0'.repeat(32));
    await expect(client.copyObject('files', 'copied again', '/files/copied', conditions)).rejects.toMatchObject({
      code: 'PreconditionFailed',
    });
    const large = patternBytes(6 * 1024 * 1024, 6);
    await client.putObject('files', 'large', large);
    await client.composeObject(new CopyDestinationOptions({ Bucket: 'files', Object: 'composed' }), [
      new CopySourceOptions({ Bucket: 'files', Object: 'large' }),
      new CopySourceOptions({ Bucket: 'files', Object: 'copied' }),
    ]);
    const composed = await bytesOf(await client.getObject('files', 'composed'));
    expect(composed.equals(Buffer.concat([large, body]))).toBe(true);
  });

  test('listing: folders, both versions, from a key on', async () => {
    await client.makeBucket('shelves');
    for (const key of ['a', 'a/b', 'a/c/d', 'dir/', 'z']) await client.putObject('shelves', key, key);
    const top = await listed('shelves', '', false);
    expect(top.map(({ name, prefix }) => name ?? prefix).sort()).toEqual(['a', 'a/', 'dir/', 'z']);
    const first: string[] = [];
    for await (const item of client.listObjects('shelves', '', true)) first.push((item as { name: string }).name);
    expect(first).toEqual(['a', 'a/b', 'a/c/d', 'dir/', 'z']);
    const later: string[] = [];
    for await (const item of client.listObjectsV2('shelves', '', true, 'a/b'))
      later.push((item as { name: string }).name);
    expect(later).toEqual(['a/c/d', 'dir/', 'z']);
    await expect(client.removeBucket('shelves')).rejects.toMatchObject({ code: 'BucketNotEmpty' });
    await client.removeObjects('shelves', first);
    await client.removeBucket('shelves');
    expect(await client.bucketExists('shelves')).toBe(false);
    expect((await client.listBuckets()).map(({ name }) => name)).toEqual(['files']);
  });

  test('uploads that were begun', async () => {
    const id = await client.initiateNewMultipartUpload('files', 'begun/upload', {});
    const found: string[] = [];
    for await (const item of client.listIncompleteUploads('files', 'begun', true)) {
      found.push((item as { uploadId: string }).uploadId);
    }
    expect(found).toEqual([id]);
    await client.removeIncompleteUpload('files', 'begun/upload');
    for await (const item of client.listIncompleteUploads('files', '', true)) expect.unreachable(JSON.stringify(item));
  });
});

describe('addresses for anyone', () => {
  test('to read, with headers of the answer set', async () => {
    await client.putObject('files', 'for all + ü', 'everyone');
    const address = await client.presignedGetObject('files', 'for all + ü', 60, {
      'response-content-type': 'text/x-answer',
      'response-content-disposition': 'attachment; filename="x y.txt"',
    });
    const answer = await fetch(address);
    expect(answer.headers.get('content-type')).toBe('text/x-answer');
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="x y.txt"');
    expect(await answer.text()).toBe('everyone');
    expect((await fetch(address.replace('everyone', 'x').replace('text%2Fx-answer', 'text%2Fplain'))).status).toBe(403);
  });

  test('to write', async () => {
    const address = await client.presignedPutObject('files', 'from anyone', 60);
    expect((await fetch(address, { method: 'PUT', body: 'by an address' })).status).toBe(200);
    expect(String(await bytesOf(await client.getObject('files', 'from anyone')))).toBe('by an address');
    expect((await fetch(address, { method: 'DELETE' })).status).toBe(403);
  });

  test('a form with a policy, and one that breaks it', async () => {
    const policy = new PostPolicy();
    policy.setBucket('files');
    policy.setKeyStartsWith('form/');
    policy.setExpires(new Date(Date.now() + 60_000));
    policy.setContentType('text/x-form');
    policy.setContentLengthRange(1, 1000);
    const { postURL, formData } = await client.presignedPostPolicy(policy);
    const post = async (key: string, content: string) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(formData)) form.append(name, String(value));
      form.set('key', key);
      form.append('file', new Blob([content]), 'x.txt');
      return (await fetch(postURL, { method: 'POST', body: form })).status;
    };
    expect(await post('form/ü', 'by a form')).toBe(204);
    expect(String(await bytesOf(await client.getObject('files', 'form/ü')))).toBe('by a form');
    expect((await client.statObject('files', 'form/ü')).metaData['content-type']).toBe('text/x-form');
    expect(await post('elsewhere', 'by a form')).toBe(403);
    expect(await post('form/long', 'x'.repeat(1001))).toBe(400);
    await expect(client.statObject('files', 'elsewhere')).rejects.toMatchObject({ code: 'NotFound' });
  });
});

test('errors arrive with their codes', async () => {
  await expect(client.getObject('files', 'nothing')).rejects.toMatchObject({ code: 'NoSuchKey' });
  await expect(client.getObject('no-such-bucket', 'nothing')).rejects.toMatchObject({ code: 'NoSuchBucket' });
  await expect(client.makeBucket('files')).rejects.toMatchObject({ code: 'BucketAlreadyOwnedByYou' });
  await expect(client.setBucketTagging('files', { a: 'b' })).rejects.toMatchObject({ code: 'NotImplemented' });
  await expect(client.setObjectTagging('files', 'known', { a: 'b' })).rejects.toMatchObject({ code: 'NotImplemented' });
  await expect(client.setBucketPolicy('files', '{}')).rejects.toMatchObject({ code: 'MalformedPolicy' });
  await expect(clientWith(server.accessKey, 'wrong').listBuckets()).rejects.toMatchObject({
    code: 'SignatureDoesNotMatch',
  });
  await expect(clientWith('nobody', server.secretKey).listBuckets()).rejects.toMatchObject({
    code: 'InvalidAccessKeyId',
  });
});

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_003) yield bytes.subarray(at, at + 100_003);
}
