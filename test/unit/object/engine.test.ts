import { createHash, randomBytes } from 'node:crypto';
import { rmSync, readdirSync, openSync, writeSync, closeSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ObjectInfo, ObjectSnapshot, UploadOptions } from '../../../dist/object/index.js';
import { kernels } from '../../../dist/native/index.js';
import { objectKey } from '../../../dist/object/index-keys.js';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';

const open: EngineFixture[] = [];

async function start(driveCount: number, arenaBytes?: number): Promise<EngineFixture> {
  const fixture = await engineOnDrives({ driveCount, ...(arenaBytes === undefined ? {} : { arenaBytes }) });
  open.push(fixture);
  await fixture.engine.createBucket('b', { region: '' });
  return fixture;
}

afterEach(async () => {
  for (const fixture of open.splice(0)) await fixture.close();
});

const plain = { metadata: { headers: {}, storageClass: 'STANDARD' }, checksum: null, precondition: null };

function uploadOptions(key: string, bytes: number): UploadOptions {
  return { bucket: 'b', key, bytes, sha256: false, checksum: null, signedStream: null, storageClass: 'STANDARD' };
}

/** Feeds a body in uneven pieces, as a socket would, and honours back-pressure. */
async function feed(fixture: EngineFixture, key: string, body: Buffer, pieceBytes = 100_003) {
  const upload = fixture.engine.openUpload(uploadOptions(key, body.length));
  let drained: (() => void) | null = null;
  upload.onDrain = () => drained?.();
  let failure: unknown = null;
  upload.onFailure = (refusal) => {
    failure = refusal;
    drained?.();
  };
  for (let at = 0; at < body.length; at += pieceBytes) {
    if (!upload.write(body, at, Math.min(body.length, at + pieceBytes))) {
      await new Promise<void>((resolve) => (drained = resolve));
      drained = null;
    }
    if (failure !== null) throw failure as Error;
  }
  const digests = await upload.finish();
  expect(digests.md5).toBe(createHash('md5').update(body).digest('hex'));
  return upload;
}

async function put(fixture: EngineFixture, key: string, body: Buffer): Promise<ObjectInfo> {
  return (await feed(fixture, key, body)).commitObject(plain);
}

async function readAll(snapshot: ObjectSnapshot, start = 0, end = snapshot.info.bytes): Promise<Buffer> {
  const source = snapshot.read(start, end);
  const pieces: Buffer[] = [];
  try {
    for (;;) {
      const piece = await source.next();
      if (piece === null) break;
      pieces.push(Buffer.from(piece.bytes));
      piece.release();
    }
  } finally {
    source.close();
  }
  return Buffer.concat(pieces);
}

async function get(fixture: EngineFixture, key: string): Promise<Buffer> {
  return readAll(fixture.engine.open('b', key, ''));
}

const sizes = [0, 1, 511, 512, 513, 4096, 8191, 70_000, 262_144, 262_145, 1_048_576, 1_048_577, 5_300_001];

describe.each([1, 2, 3, 4, 7, 12])('an engine on %i drives', (driveCount) => {
  it('gives back every size byte for byte and releases all memory', async () => {
    const fixture = await start(driveCount);
    const freeBefore = fixture.arena.freeBytes;
    const bodies = new Map<string, Buffer>();
    for (const bytes of sizes) {
      const body = randomBytes(bytes);
      bodies.set(`k${bytes}`, body);
      const info = await put(fixture, `k${bytes}`, body);
      expect(info.bytes).toBe(bytes);
    }
    for (const [key, body] of bodies) expect((await get(fixture, key)).equals(body), key).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(fixture.arena.freeBytes).toBe(freeBefore);
  });

  it('reads everything with m drives gone', async () => {
    const fixture = await start(driveCount);
    const bodies = new Map<string, Buffer>();
    for (const bytes of sizes) {
      const body = randomBytes(bytes);
      bodies.set(`k${bytes}`, body);
      await put(fixture, `k${bytes}`, body);
    }
    const parity = { 1: 0, 2: 1, 3: 1, 4: 2, 7: 3, 12: 4 }[driveCount] ?? 0;
    for (let first = 0; first < driveCount; first++) {
      const kept = [...fixture.drives];
      for (let gone = 0; gone < parity; gone++) fixture.drives[(first + gone) % driveCount] = null;
      for (const [key, body] of bodies) expect((await get(fixture, key)).equals(body), key).toBe(true);
      for (const [position, drive] of kept.entries()) fixture.drives[position] = drive;
    }
  });
});

describe('an engine on four drives', () => {
  it('reads any range', async () => {
    const fixture = await start(4);
    const body = randomBytes(5_300_001);
    await put(fixture, 'k', body);
    for (let round = 0; round < 60; round++) {
      const start = Math.floor(Math.random() * body.length);
      const end = Math.min(body.length, start + 1 + Math.floor(Math.random() ** 3 * body.length));
      const part = await readAll(fixture.engine.open('b', 'k', ''), start, end);
      expect(part.equals(body.subarray(start, end)), `${start}-${end}`).toBe(true);
    }
  });

  it('decodes around flipped bytes on two drives', async () => {
    const fixture = await start(4);
    const body = randomBytes(3_500_000);
    await put(fixture, 'k', body);
    for (const position of [0, 2]) {
      const folder = join(fixture.driveFolder(position), 'blobs');
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = join(entry.parentPath, entry.name);
        const fd = openSync(file, 'r+');
        for (let at = 9000; at < statSync(file).size; at += 100_000)
          writeSync(fd, Buffer.from([0x5a, 0xa5, 0x5a]), 0, 3, at);
        closeSync(fd);
      }
    }
    expect((await get(fixture, 'k')).equals(body)).toBe(true);
  });

  it('overwrites and deletes: the files of the old bytes go, and only when their reader is done', async () => {
    const fixture = await start(4);
    const count = (): number =>
      [0, 1, 2, 3].reduce(
        (sum, position) =>
          sum +
          readdirSync(join(fixture.driveFolder(position), 'blobs'), { recursive: true, withFileTypes: true }).filter(
            (e) => e.isFile(),
          ).length,
        0,
      );
    const body = randomBytes(2_000_000);
    await put(fixture, 'k', body);
    expect(count()).toBe(4);
    const snapshot = fixture.engine.open('b', 'k', '');
    await put(fixture, 'k', Buffer.from('small'));
    expect(count()).toBe(4);
    expect((await readAll(snapshot)).equals(body)).toBe(true);
    await expect.poll(count).toBe(0);
    expect((await get(fixture, 'k')).toString()).toBe('small');
    await fixture.engine.deleteObject('b', 'k', '', null);
    expect(() => fixture.engine.open('b', 'k', '')).toThrow(expect.objectContaining({ code: 'NoSuchKey' }) as Error);
  });

  it('has in memory what was written or read lately, and nothing that has changed since', async () => {
    const fixture = await start(4);
    const { engine } = fixture;
    const inMemory = (key: string): Buffer | null => {
      const found = engine.inMemory('b', key);
      return found === null ? null : Buffer.from(found.bytes);
    };
    for (const body of [randomBytes(5000), randomBytes(6000), randomBytes(7000)]) {
      const { etag } = await put(fixture, 'k', body);
      expect(inMemory('k')?.equals(body)).toBe(true);
      expect((await get(fixture, 'k')).equals(body)).toBe(true);
      expect(inMemory('k')?.equals(body)).toBe(true);
      expect(engine.inMemory('b', 'k')?.info).toMatchObject({ bucket: 'b', key: 'k', etag, bytes: body.length });
      expect(engine.head('b', 'k', '').etag).toBe(etag);
    }
    const snapshot = engine.open('b', 'k', '');
    const metadata = { headers: { 'content-type': 'text/new' }, storageClass: 'STANDARD' };
    await engine.replaceMetadata(snapshot, metadata, null);
    snapshot.close();
    expect(engine.inMemory('b', 'k')?.info.metadata).toEqual(metadata);
    await engine.deleteObject('b', 'k', '', null);
    expect(inMemory('k')).toBeNull();
    expect(() => engine.head('b', 'k', '')).toThrow(expect.objectContaining({ code: 'NoSuchKey' }) as Error);
    for (const [key, bytes] of [
      ['inline', 100],
      ['large', 300_000],
    ] as const) {
      await put(fixture, key, randomBytes(bytes));
      await get(fixture, key);
      expect(inMemory(key)).toBeNull();
    }
    expect(inMemory('absent')).toBeNull();
    expect(() => engine.inMemory('nowhere', 'k')).toThrow(expect.objectContaining({ code: 'NoSuchBucket' }) as Error);
  });

  it('does not copy what was replaced or deleted since it was opened', async () => {
    const fixture = await start(4);
    const { engine } = fixture;
    await put(fixture, 'k', Buffer.from('first'));
    const first = engine.open('b', 'k', '');
    const upload = await feed(fixture, 'k', Buffer.from('second'));
    // Both in one batch: what decides is the order, not what the index shows.
    const [, replaced] = await Promise.all([
      upload.commitObject(plain),
      engine.replaceMetadata(first, plain.metadata, null),
    ]);
    expect(replaced).toBeNull();
    // Whoever opens it anew at once finds what has replaced it.
    const second = engine.open('b', 'k', '');
    expect((await readAll(second)).toString()).toBe('second');
    await engine.deleteObject('b', 'k', '', null);
    expect(await engine.replaceMetadata(second, plain.metadata, null)).toBeNull();
    for (const snapshot of [first, second]) snapshot.close();
  });

  it('decides conditions in commit order', async () => {
    const fixture = await start(4);
    const uploads = await Promise.all([1, 2, 3, 4].map((n) => feed(fixture, 'k', Buffer.from(`body ${n}`))));
    const outcomes = await Promise.allSettled(
      uploads.map((upload) => upload.commitObject({ ...plain, precondition: { ifNoneMatch: ['*'] } })),
    );
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
  });

  it('refuses a body that is too short or too long', async () => {
    const fixture = await start(4);
    const free = fixture.arena.freeBytes;
    const short = fixture.engine.openUpload(uploadOptions('k', 10));
    short.write(Buffer.alloc(5), 0, 5);
    await expect(short.finish()).rejects.toMatchObject({ code: 'IncompleteBody' });
    short.abort();
    const long = fixture.engine.openUpload(uploadOptions('k', 10));
    long.write(Buffer.alloc(11), 0, 11);
    await expect(long.finish()).rejects.toMatchObject({ code: 'IncompleteBody' });
    long.abort();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(fixture.arena.freeBytes).toBe(free);
  });

  it('verifies signed chunks wherever they end', async () => {
    const fixture = await start(4);
    const scope = '20260101/us-east-1/s3/aws4_request';
    const amzDate = '20260101T000000Z';
    const signingKey = kernels.createSigningKey('secret', '20260101', 'us-east-1', 's3');
    const empty = createHash('sha256').digest('hex');
    // On the end of a stripe, across it, in one piece, and of a small body.
    for (const [bytes, chunkBytes] of [
      [3 << 20, 65_536],
      [2_500_000, 100_001],
      [1_048_577, 4 << 20],
      [70_000, 65_536],
      [300, 100],
      [0, 100],
    ] as const) {
      for (const isTampered of [false, true]) {
        const body = randomBytes(bytes);
        const seedSignature = '0'.repeat(64);
        const upload = fixture.engine.openUpload({
          ...uploadOptions('k', bytes),
          signedStream: { signingKey, amzDate, scope, seedSignature },
        });
        let failure: unknown = null;
        upload.onFailure = (refusal) => (failure = refusal);
        let previous: string = seedSignature;
        for (let at = 0; ; at += chunkBytes) {
          const chunk = body.subarray(at, at + chunkBytes);
          const hash = createHash('sha256').update(chunk).digest('hex');
          const text = `AWS4-HMAC-SHA256-PAYLOAD\n${amzDate}\n${scope}\n${previous}\n${empty}\n${hash}`;
          previous = kernels.sign(signingKey, text);
          if (isTampered && at + chunkBytes >= bytes && chunk.length > 0) chunk[chunk.length - 1]! ^= 1;
          for (let from = 0; from < chunk.length; from += 33_333) {
            if (!upload.write(chunk, from, Math.min(chunk.length, from + 33_333))) {
              await new Promise<void>((resolve) => (upload.onDrain = resolve));
            }
          }
          upload.endChunk(Buffer.from(previous, 'hex'));
          if (chunk.length === 0) break;
          if (at % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        const label = `${bytes} in ${chunkBytes}, ${isTampered ? 'tampered' : 'sound'}`;
        if (isTampered && bytes > 0) {
          await expect(upload.finish(), label).rejects.toMatchObject({ code: 'SignatureDoesNotMatch' });
          upload.abort();
          continue;
        }
        await upload.finish();
        await upload.commitObject(plain);
        expect(failure, label).toBeNull();
        expect((await get(fixture, 'k')).equals(body), label).toBe(true);
      }
    }
  });

  it('leaves nothing behind when an upload is given up at any point', async () => {
    const fixture = await start(4);
    const free = fixture.arena.freeBytes;
    const body = randomBytes(4_000_000);
    for (let stop = 0; stop < body.length; stop += 333_333) {
      const upload = fixture.engine.openUpload(uploadOptions('k', body.length));
      for (let at = 0; at < stop; at += 65_536) upload.write(body, at, Math.min(stop, at + 65_536));
      if (stop % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      upload.abort();
    }
    await expect.poll(() => fixture.arena.freeBytes, { timeout: 5000 }).toBe(free);
    const files = readdirSync(join(fixture.driveFolder(0), 'blobs'), { recursive: true, withFileTypes: true }).filter(
      (e) => e.isFile(),
    );
    expect(files).toHaveLength(0);
  });

  it('makes parts one object, whatever order they came in', async () => {
    const fixture = await start(4);
    const upload = await fixture.engine.createMultipartUpload({
      bucket: 'b',
      key: 'm',
      metadata: { headers: { 'content-type': 'x/y' }, storageClass: 'STANDARD' },
      checksumAlgorithm: null,
      checksumType: null,
    });
    const parts = [randomBytes(5 << 20), randomBytes((5 << 20) + 17), randomBytes(1000)];
    const etags: string[] = [];
    for (const number of [3, 1, 2]) {
      const body = parts[number - 1] ?? Buffer.alloc(0);
      const info = await (
        await feed(fixture, 'm', body)
      ).commitPart({ uploadId: upload.uploadId, partNumber: number, checksum: null });
      etags[number - 1] = info.etag;
    }
    // A part that is not listed goes with the completion.
    await (
      await feed(fixture, 'm', randomBytes(400_000))
    ).commitPart({ uploadId: upload.uploadId, partNumber: 9, checksum: null });
    expect(fixture.engine.listParts('b', 'm', upload.uploadId, 0, 10).parts.map((part) => part.partNumber)).toEqual([
      1, 2, 3, 9,
    ]);
    const listed = etags.map((etag, index) => ({ partNumber: index + 1, etag, checksum: null }));
    const complete = { bucket: 'b', key: 'm', uploadId: upload.uploadId, precondition: null };
    await expect(
      fixture.engine.completeMultipartUpload({ ...complete, parts: [...listed].reverse() }),
    ).rejects.toMatchObject({ code: 'InvalidPartOrder' });
    const first = await fixture.engine.completeMultipartUpload({ ...complete, parts: listed });
    expect(first.etag).toMatch(/^[0-9a-f]{32}-3$/);
    expect(await fixture.engine.completeMultipartUpload({ ...complete, parts: listed })).toEqual(first);
    const whole = Buffer.concat(parts);
    expect((await get(fixture, 'm')).equals(whole)).toBe(true);
    const middle = await readAll(fixture.engine.open('b', 'm', ''), (5 << 20) - 10, (10 << 20) + 20);
    expect(middle.equals(whole.subarray((5 << 20) - 10, (10 << 20) + 20))).toBe(true);
    const allUploads = { prefix: '', delimiter: '', keyMarker: '', uploadIdMarker: '', countMax: 10 };
    expect((await fixture.engine.listUploads({ bucket: 'b', ...allUploads })).uploads).toHaveLength(0);
    await fixture.engine.deleteObject('b', 'm', '', null);
    const files = (): number =>
      readdirSync(join(fixture.driveFolder(0), 'blobs'), { recursive: true, withFileTypes: true }).filter((e) =>
        e.isFile(),
      ).length;
    await expect.poll(files).toBe(0);
  });

  it('aborts an upload with all its parts', async () => {
    const fixture = await start(4);
    const options = {
      bucket: 'b',
      key: 'm',
      metadata: plain.metadata,
      checksumAlgorithm: null,
      checksumType: null,
    } as const;
    const { uploadId } = await fixture.engine.createMultipartUpload(options);
    await (await feed(fixture, 'm', randomBytes(600_000))).commitPart({ uploadId, partNumber: 1, checksum: null });
    await expect(fixture.engine.deleteBucket('b')).rejects.toMatchObject({ code: 'BucketNotEmpty' });
    await fixture.engine.abortMultipartUpload('b', 'm', uploadId);
    await expect(fixture.engine.abortMultipartUpload('b', 'm', uploadId)).rejects.toMatchObject({
      code: 'NoSuchUpload',
    });
    const late = await feed(fixture, 'm', randomBytes(600_000));
    await expect(late.commitPart({ uploadId, partNumber: 2, checksum: null })).rejects.toMatchObject({
      code: 'NoSuchUpload',
    });
    const files = (): number =>
      readdirSync(join(fixture.driveFolder(1), 'blobs'), { recursive: true, withFileTypes: true }).filter((e) =>
        e.isFile(),
      ).length;
    await expect.poll(files).toBe(0);
    await fixture.engine.deleteBucket('b');
    expect(fixture.engine.listBuckets()).toEqual([]);
  });

  it('lists in byte order with prefixes, delimiters and pages', async () => {
    const fixture = await start(4);
    const keys = ['a', 'a/1', 'a/2', 'a/b/3', 'b', 'b//c', 'c/\u{ff5e}', 'c/\u{1f600}', 'd..', 'é', '/lead', 'z/'];
    for (const key of keys) await put(fixture, key, Buffer.from(key));
    const ordered = [...keys].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    const list = (options: object) =>
      fixture.engine.list({ bucket: 'b', prefix: '', delimiter: '', startAfter: '', countMax: 1000, ...options });
    expect((await list({})).entries.map((entry) => entry.key)).toEqual(ordered);
    expect(await list({ delimiter: '/' })).toMatchObject({
      commonPrefixes: ['/', 'a/', 'b/', 'c/', 'z/'],
      isTruncated: false,
    });
    expect(await list({ delimiter: '/', prefix: 'a/' })).toMatchObject({ commonPrefixes: ['a/b/'] });
    expect((await list({ delimiter: '/', startAfter: 'a/1' })).commonPrefixes).toEqual(['b/', 'c/', 'z/']);
    for (const countMax of [1, 2, 3, 5]) {
      for (const delimiter of ['', '/']) {
        const seen: string[] = [];
        let startAfter = '';
        for (;;) {
          const page = await list({ countMax, delimiter, startAfter });
          seen.push(...page.entries.map((entry) => entry.key), ...page.commonPrefixes);
          if (!page.isTruncated) break;
          startAfter = page.next;
        }
        const whole = await list({ delimiter });
        expect(seen.sort()).toEqual([...whole.entries.map((entry) => entry.key), ...whole.commonPrefixes].sort());
      }
    }
  });

  it('lets others have their turn while a listing passes 200,000 deleted keys, and passes them once', async () => {
    const fixture = await start(4);
    const { catalog, buckets } = fixture.engine.index;
    await put(fixture, 'z', Buffer.from('z'));
    const bucketId = buckets.get('b')?.bucketId ?? 0;
    const keys = Array.from({ length: 200_000 }, (_, index) => objectKey(bucketId, `a${index}`));
    await catalog.write((batch) => {
      for (const key of keys) batch.put(key, Buffer.alloc(0));
    });
    await catalog.write((batch) => {
      for (const key of keys) batch.delete(key);
    });
    const turnsOf = async (list: () => Promise<{ entries: readonly { key: string }[] }>): Promise<number> => {
      let turns = 0;
      const count = (): void => {
        turns++;
        next = setImmediate(count);
      };
      let next = setImmediate(count);
      const { entries } = await list();
      clearImmediate(next);
      expect(entries.map(({ key }) => key)).toEqual(['z']);
      return turns;
    };
    const all = { bucket: 'b', prefix: '', delimiter: '', countMax: 10 };
    const objects = () => fixture.engine.list({ ...all, startAfter: '' });
    const versions = () => fixture.engine.listVersions({ ...all, keyMarker: '', versionIdMarker: '' });
    expect(await turnsOf(objects)).toBeGreaterThanOrEqual(2);
    expect([await turnsOf(objects), await turnsOf(versions)]).toEqual([0, 0]);
  });

  it('goes on below its memory budget', async () => {
    const fixture = await start(4, 32 << 20);
    const bodies = Array.from({ length: 24 }, () => randomBytes(3_000_000));
    await Promise.all(bodies.map((body, index) => put(fixture, `k${index}`, body)));
    const read = await Promise.all(bodies.map((_, index) => get(fixture, `k${index}`)));
    for (const [index, body] of bodies.entries()) expect(read[index]?.equals(body)).toBe(true);
  });

  it('keeps writing while the write quorum holds, and refuses below it', async () => {
    const fixture = await start(4);
    rmSync(fixture.driveFolder(3), { recursive: true });
    const body = randomBytes(1_500_000);
    await put(fixture, 'k', body);
    expect((await get(fixture, 'k')).equals(body)).toBe(true);
    rmSync(fixture.driveFolder(2), { recursive: true });
    await expect(put(fixture, 'k2', body)).rejects.toMatchObject({ code: 'SlowDownWrite' });
    expect((await get(fixture, 'k')).equals(body)).toBe(true);
  });
});
