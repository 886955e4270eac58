/** Uploads, reads and completions that are cut short or overtaken at awkward moments. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ObjectSnapshot, Upload, UploadOptions } from '../../../dist/object/index.js';
import type { Slab } from '../../../dist/base/index.js';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';

const open: EngineFixture[] = [];

async function start(driveCount: number, arenaBytes = 64 << 20): Promise<EngineFixture> {
  const fixture = await engineOnDrives({ driveCount, arenaBytes });
  open.push(fixture);
  await fixture.engine.createBucket('b', { region: '' });
  return fixture;
}

afterEach(async () => {
  for (const fixture of open.splice(0)) await fixture.close();
});

const plain = { metadata: { headers: {}, storageClass: 'STANDARD' }, checksum: null, precondition: null };
const noChecksum = { metadata: plain.metadata, checksumAlgorithm: null, checksumType: null } as const;

function uploadOptions(key: string, bytes: number): UploadOptions {
  return { bucket: 'b', key, bytes, sha256: false, checksum: null, signedStream: null, storageClass: 'STANDARD' };
}

async function feed(fixture: EngineFixture, key: string, body: Buffer, pieceBytes = 100_003): Promise<Upload> {
  const upload = fixture.engine.openUpload(uploadOptions(key, body.length));
  let wake = (): void => undefined;
  upload.onDrain = () => wake();
  for (let at = 0; at < body.length; at += pieceBytes) {
    if (!upload.write(body, at, Math.min(body.length, at + pieceBytes))) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return upload;
}

async function put(fixture: EngineFixture, key: string, body: Buffer): Promise<void> {
  const upload = await feed(fixture, key, body);
  await upload.finish();
  await upload.commitObject(plain);
}

async function readAll(snapshot: ObjectSnapshot): Promise<Buffer> {
  const source = snapshot.read(0, snapshot.info.bytes);
  const pieces: Buffer[] = [];
  try {
    for (;;) {
      const piece = await source.next();
      if (piece === null) return Buffer.concat(pieces);
      pieces.push(Buffer.from(piece.bytes));
      piece.release();
    }
  } finally {
    source.close();
  }
}

function blobFiles(fixture: EngineFixture, position = 0): number {
  return readdirSync(join(fixture.driveFolder(position), 'blobs'), { recursive: true, withFileTypes: true }).filter(
    (e) => e.isFile(),
  ).length;
}

/** Takes all memory but `leave` bytes of what is kept for commits. */
function fill(fixture: EngineFixture, leave: number): Slab[] {
  const held: Slab[] = [];
  for (const bytes of [4 << 20, 1 << 20, 65_536, 4096]) {
    while (fixture.arena.freeBytes - bytes >= leave) {
      const slab = fixture.arena.tryAllocate(bytes, 'commit');
      if (slab === null) break;
      held.push(slab);
    }
  }
  return held;
}

describe('the padding of the last shard', () => {
  it.each([
    [5, 262_144],
    [5, 131_072],
    [6, 65_536],
    [9, 131_071],
    [7, 262_143],
  ])('stays inside its slab on %i drives with %i bytes', async (driveCount, bytes) => {
    const fixture = await start(driveCount);
    const slabs: Slab[] = [];
    // Neighbours on every side of whatever the upload gets.
    for (let index = 0; index < 40; index++) slabs.push(fixture.arena.tryAllocate(bytes, 'read')!);
    for (const slab of slabs) fixture.arena.view.fill(0xaa, slab.offset, slab.offset + slab.bytes);
    slabs.splice(7, 1)[0]?.release();
    const body = randomBytes(bytes);
    const first = Math.floor(bytes * 0.6);
    const upload = fixture.engine.openUpload(uploadOptions('k', bytes));
    upload.write(body, 0, first);
    upload.write(body, first, bytes);
    await upload.finish();
    await upload.commitObject(plain);
    for (const slab of slabs) {
      const bytesThere = fixture.arena.view.subarray(slab.offset, slab.offset + slab.bytes);
      expect(bytesThere.every((byte) => byte === 0xaa)).toBe(true);
      slab.release();
    }
    expect((await readAll(fixture.engine.open('b', 'k', ''))).equals(body)).toBe(true);
  });
});

describe('an upload that is given up', () => {
  it.each([300, 5_000, 200_000, 300_000, 2_500_000])('while %i bytes are finished holds nothing', async (bytes) => {
    const fixture = await start(4);
    const free = fixture.arena.freeBytes;
    for (const turns of [0, 1, 2, 3, 5, 8, 20, 100]) {
      const upload = await feed(fixture, 'k', randomBytes(bytes));
      const finished = upload.finish();
      finished.catch(() => undefined);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      upload.abort();
      await finished.catch(() => undefined);
      await expect(upload.commitObject(plain)).rejects.toMatchObject({ name: 'Refusal' });
    }
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
    await expect.poll(() => blobFiles(fixture)).toBe(0);
    expect(() => fixture.engine.open('b', 'k', '')).toThrow(expect.objectContaining({ code: 'NoSuchKey' }) as Error);
  });

  it('while it waits for the memory of its parity gives back what it gets', async () => {
    const fixture = await start(4);
    const free = fixture.arena.freeBytes;
    const upload = await feed(fixture, 'k', randomBytes(200_000));
    const held = fill(fixture, 0);
    const finished = upload.finish();
    await new Promise((resolve) => setImmediate(resolve));
    upload.abort();
    for (const slab of held) slab.release();
    await expect(finished).rejects.toMatchObject({ name: 'Refusal' });
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
  });

  it('while a stripe waits for the memory of its parity does not wait on', async () => {
    const fixture = await start(4);
    const free = fixture.arena.freeBytes;
    const upload = fixture.engine.openUpload(uploadOptions('k', 3 << 20));
    const body = randomBytes(1 << 20);
    upload.write(body, 0, body.length - 1);
    const held = fill(fixture, 0);
    const before = fixture.arena.freeBytes;
    upload.write(body, body.length - 1, body.length);
    await new Promise((resolve) => setImmediate(resolve));
    upload.abort();
    // Its own memory is back before anybody else gives any.
    await expect.poll(() => fixture.arena.freeBytes).toBe(before + (1 << 20));
    for (const slab of held) slab.release();
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
  });

  it('while its record is on the way keeps its memory until the drives have it', async () => {
    const fixture = await start(4);
    await put(fixture, 'k', randomBytes(200_000));
    const free = fixture.arena.freeBytes;
    const body = randomBytes(200_000);
    const upload = await feed(fixture, 'k', body);
    await upload.finish();
    // The record has been prepared, its slots are not written yet.
    let write = (): void => undefined;
    fixture.journal.beforeWrite = new Promise((resolve) => (write = resolve));
    const committed = upload.commitObject(plain);
    await new Promise((resolve) => setImmediate(resolve));
    upload.abort();
    await new Promise((resolve) => setImmediate(resolve));
    const others = fill(fixture, 0);
    for (const slab of others) fixture.arena.view.fill(0x55, slab.offset, slab.offset + slab.bytes);
    write();
    await committed;
    for (const slab of others) slab.release();
    expect((await readAll(fixture.engine.open('b', 'k', ''))).equals(body)).toBe(true);
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
  });

  it('before its record was prepared commits nothing', async () => {
    const fixture = await start(4);
    const upload = await feed(fixture, 'k', randomBytes(300_000));
    await upload.finish();
    const first = put(fixture, 'other', Buffer.from('x'));
    const committed = upload.commitObject(plain);
    upload.abort();
    await expect(committed).rejects.toMatchObject({ code: 'RequestTimeout' });
    await first;
    await expect.poll(() => blobFiles(fixture)).toBe(0);
  });
});

describe('under memory pressure', () => {
  it('keeps the checksum table of a long blob in order', async () => {
    const fixture = await start(4, 32 << 20);
    const bodies = Array.from({ length: 6 }, () => randomBytes(40 << 20));
    const pressure = fill(fixture, 14 << 20);
    const churn = setInterval(() => {
      pressure.pop()?.release();
      pressure.push(...fill(fixture, 14 << 20));
    }, 3);
    try {
      for (const [index, body] of bodies.entries()) {
        await Promise.all([put(fixture, `k${index}`, body), put(fixture, `l${index}`, body.subarray(0, 18 << 20))]);
      }
    } finally {
      clearInterval(churn);
      for (const slab of pressure) slab.release();
    }
    for (const [index, body] of bodies.entries()) {
      expect((await readAll(fixture.engine.open('b', `k${index}`, ''))).equals(body)).toBe(true);
    }
  });

  it('reads, degraded reads and uploads all get on', async () => {
    const fixture = await start(4, 32 << 20);
    const body = randomBytes(9_000_001);
    await put(fixture, 'k', body);
    await put(fixture, 's', body.subarray(0, 200_000));
    fixture.drives[1] = null;
    const free = fixture.arena.freeBytes;
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        if (index % 3 === 0) await put(fixture, `n${index}`, body.subarray(0, 100_000 + index * 200_000));
        else if (index % 3 === 1) expect((await readAll(fixture.engine.open('b', 'k', ''))).equals(body)).toBe(true);
        else expect((await readAll(fixture.engine.open('b', 's', ''))).length).toBe(200_000);
      }),
    );
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
  });
});

describe('a multipart upload', () => {
  const fiveMiB = 5 << 20;

  it('is not completed with a part that is being replaced', async () => {
    const fixture = await start(4);
    const { uploadId } = await fixture.engine.createMultipartUpload({ bucket: 'b', key: 'm', ...noChecksum });
    const send = async (number: number, body: Buffer): Promise<() => Promise<string>> => {
      const upload = await feed(fixture, 'm', body);
      await upload.finish();
      return async () => (await upload.commitPart({ uploadId, partNumber: number, checksum: null })).etag;
    };
    const etag = await (await send(1, randomBytes(fiveMiB)))();
    const again = await send(1, randomBytes(fiveMiB + 1000));
    // Both are prepared before either is shown.
    let release = (): void => undefined;
    fixture.journal.beforeApply = new Promise((resolve) => (release = resolve));
    const replaced = again();
    const completed = fixture.engine.completeMultipartUpload({
      bucket: 'b',
      key: 'm',
      uploadId,
      parts: [{ partNumber: 1, etag, checksum: null }],
      precondition: null,
    });
    completed.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    release();
    await replaced;
    await expect(completed).rejects.toMatchObject({ code: 'InvalidPart' });
  });

  it('answers a completion that is repeated while the first is under way', async () => {
    const fixture = await start(4);
    const { uploadId } = await fixture.engine.createMultipartUpload({ bucket: 'b', key: 'm', ...noChecksum });
    const upload = await feed(fixture, 'm', randomBytes(1000));
    await upload.finish();
    const { etag } = await upload.commitPart({ uploadId, partNumber: 1, checksum: null });
    const parts = [{ partNumber: 1, etag, checksum: null }];
    const options = { bucket: 'b', key: 'm', uploadId, parts, precondition: null };
    const [first, second] = await Promise.all([
      fixture.engine.completeMultipartUpload(options),
      fixture.engine.completeMultipartUpload(options),
    ]);
    expect(second).toEqual(first);
  });

  it('drops an unlisted part that came in the same batch', async () => {
    const fixture = await start(4);
    const { uploadId } = await fixture.engine.createMultipartUpload({ bucket: 'b', key: 'm', ...noChecksum });
    const one = await feed(fixture, 'm', randomBytes(400_000));
    await one.finish();
    const { etag } = await one.commitPart({ uploadId, partNumber: 1, checksum: null });
    const two = await feed(fixture, 'm', randomBytes(500_000));
    await two.finish();
    fixture.journal.batchNext(2);
    const late = two.commitPart({ uploadId, partNumber: 2, checksum: null });
    const parts = [{ partNumber: 1, etag, checksum: null }];
    await Promise.all([
      late,
      fixture.engine.completeMultipartUpload({ bucket: 'b', key: 'm', uploadId, parts, precondition: null }),
    ]);
    await expect.poll(() => blobFiles(fixture)).toBe(1);
  });
});

describe('a set that takes no writes', () => {
  it('refuses to delete what is absent: a write whose outcome is open may yet appear', async () => {
    const fixture = await start(4);
    await fixture.engine.deleteObject('b', 'absent', '', null);
    fixture.journal.canWrite = false;
    await expect(fixture.engine.deleteObject('b', 'absent', '', null)).rejects.toMatchObject({ code: 'SlowDownWrite' });
  });
});

describe('a reader', () => {
  it('holds nothing for a receiver that waits, and goes on where it stopped', async () => {
    const fixture = await start(4);
    const { uploadId } = await fixture.engine.createMultipartUpload({ bucket: 'b', key: 'm', ...noChecksum });
    const bodies = [randomBytes(6 << 20), randomBytes(5_500_000), randomBytes(1000)];
    const parts = [];
    for (const [index, body] of bodies.entries()) {
      const upload = await feed(fixture, 'm', body);
      await upload.finish();
      const { etag } = await upload.commitPart({ uploadId, partNumber: index + 1, checksum: null });
      parts.push({ partNumber: index + 1, etag, checksum: null });
    }
    await fixture.engine.completeMultipartUpload({ bucket: 'b', key: 'm', uploadId, parts, precondition: null });
    await put(fixture, 'k', bodies[0] ?? Buffer.alloc(0));
    await put(fixture, 's', randomBytes(200_000));
    const free = fixture.arena.freeBytes;
    for (const key of ['m', 'k', 's']) {
      const snapshot = fixture.engine.open('b', key, '');
      const source = snapshot.read(100, snapshot.info.bytes);
      expect(source.rewind).toBeTypeOf('function');
      const got: Buffer[] = [];
      let position = 0;
      for (let round = 0; ; round++) {
        const piece = await source.next();
        if (piece === null) break;
        // Every other time only a part of the piece gets out before the receiver has to wait.
        const taken = round % 2 === 0 ? piece.bytes.length : Math.floor(piece.bytes.length / 3) + 1;
        got.push(Buffer.from(piece.bytes.subarray(0, taken)));
        position += taken;
        piece.release();
        if (taken === piece.bytes.length) continue;
        source.rewind?.(position);
        await expect.poll(() => fixture.arena.freeBytes).toBe(free);
      }
      source.close();
      const whole = await readAll(fixture.engine.open('b', key, ''));
      expect(Buffer.concat(got).equals(whole.subarray(100))).toBe(true);
    }
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
    await fixture.engine.deleteObject('b', 'm', '', null);
    await fixture.engine.deleteObject('b', 'k', '', null);
    await expect.poll(() => blobFiles(fixture)).toBe(0);
  });

  it('may be closed at any moment', async () => {
    const fixture = await start(4);
    const { uploadId } = await fixture.engine.createMultipartUpload({ bucket: 'b', key: 'm', ...noChecksum });
    const parts = [];
    for (const [index, bytes] of [5 << 20, 5 << 20, 700_000].entries()) {
      const upload = await feed(fixture, 'm', randomBytes(bytes));
      await upload.finish();
      const { etag } = await upload.commitPart({ uploadId, partNumber: index + 1, checksum: null });
      parts.push({ partNumber: index + 1, etag, checksum: null });
    }
    await fixture.engine.completeMultipartUpload({ bucket: 'b', key: 'm', uploadId, parts, precondition: null });
    await put(fixture, 'k', randomBytes(6_000_000));
    const free = fixture.arena.freeBytes;
    for (const key of ['m', 'k']) {
      for (let pieces = 0; pieces < 12; pieces++) {
        for (const turns of [0, 1, 3]) {
          const snapshot = fixture.engine.open('b', key, '');
          const source = snapshot.read(0, snapshot.info.bytes);
          for (let taken = 0; taken < pieces; taken++) (await source.next())?.release();
          const pending = Promise.resolve(source.next());
          for (let turn = 0; turn < turns; turn++) await Promise.resolve();
          source.close();
          // A piece, or the end: never a broken promise.
          (await pending)?.release();
        }
      }
    }
    await expect.poll(() => fixture.arena.freeBytes).toBe(free);
    await fixture.engine.deleteObject('b', 'm', '', null);
    await fixture.engine.deleteObject('b', 'k', '', null);
    await expect.poll(() => blobFiles(fixture)).toBe(0);
  });
});
