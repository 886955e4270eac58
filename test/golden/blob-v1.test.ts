/**
 * The blob files of version 1: the example of docs/format/blob.md, written by the writer and compared with
 * what the document says, and with the bytes that the first release wrote.
 */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import type { Drive } from '../../dist/drive/index.js';
import { BlobSource, BlobWriter, BodyReader, blobName, type DriveSet } from '../../dist/erasure/index.js';
import { Digest, kernels } from '../../dist/native/index.js';
import { ComputePool, SlabArena } from '../../dist/pool/index.js';

const hashKey = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
const deploymentId = '01234567-89ab-cdef-0123-456789abcdef';
const id = { high: 5, low: 300 };
const bytes = 1_048_577;
const body = Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 9)) & 0xff));
const layout = { dataShards: 2, parityShards: 2, rotation: 1, stripeBytes: 1_048_576, objectBytes: bytes };

const arena = new SlabArena(32 << 20);
const compute = new ComputePool({ arena: arena.arena, hashKey, threads: 1 });
const files = Array.from({ length: 4 }, () => Buffer.alloc(532_481));
const ends = [0, 0, 0, 0];

function memoryDrive(position: number): Drive {
  const file = files[position] ?? Buffer.alloc(0);
  const handle = { name: blobName(id), fd: position };
  return {
    path: `/memory/${position}`,
    blobs: {
      write: (_name: string, write: { fileOffset: number; segments: Float64Array; close: boolean }) => {
        let at = write.fileOffset;
        for (let index = 0; index < write.segments.length; index += 2) {
          const offset = write.segments[index] ?? 0;
          const length = write.segments[index + 1] ?? 0;
          arena.view.copy(file, at, offset, offset + length);
          at += length;
        }
        ends[position] = Math.max(ends[position] ?? 0, at);
        return Promise.resolve({ ok: true, value: write.close ? null : handle });
      },
      open: () => Promise.resolve({ ok: true, value: handle }),
      read: (_handle: unknown, fileOffset: number, segments: Float64Array) => {
        let at = fileOffset;
        for (let index = 0; index < segments.length; index += 2) {
          at += file.copy(arena.view, segments[index], at, at + (segments[index + 1] ?? 0));
        }
        return Promise.resolve({ ok: true, value: at - fileOffset });
      },
      readChecked: (_handle: unknown, fileOffset: number, checks: Float64Array) => {
        let at = fileOffset;
        for (let row = 0; row < checks.length; row += 8) {
          at += file.copy(arena.view, checks[row], at, at + (checks[row + 1] ?? 0));
        }
        const wrongRows = kernels.verifyBlocks(checks).length;
        return Promise.resolve({ ok: true, value: { bytes: at - fileOffset, wrongRows } });
      },
      close: () => undefined,
    },
  } as unknown as Drive;
}

const drives = [0, 1, 2, 3].map(memoryDrive);
const set: DriveSet = {
  setIndex: 0,
  deploymentId,
  driveCount: 4,
  drive: (position) => drives[position] ?? null,
  reportWrite: () => undefined,
  reportRead: () => undefined,
  suspect: () => Promise.resolve(),
  departures: () => 0,
  inSync: () => [0, 1, 2, 3],
};

async function writeExample(): Promise<void> {
  const writer = new BlobWriter(set, arena, compute, id, layout);
  await writer.prepare();
  for (const stripe of [0, 1]) {
    const part = body.subarray(stripe * 1_048_576, (stripe + 1) * 1_048_576);
    const data = await arena.allocate(1_048_576, 'pass');
    const aux = await arena.allocate(1_048_576 + 4096, 'pass');
    const shardBytes = Math.ceil(part.length / 2);
    compute.copyIn(data.offset, part, 0, part.length);
    await compute.pass({
      stateOffset: -1,
      dataOffset: data.offset,
      dataBytes: part.length,
      dataShards: 2,
      parityShards: 2,
      shardBytes,
      parityOffset: aux.offset,
      hashesOffset: aux.offset + 1_048_576,
      idHigh: id.high,
      idLow: id.low,
      firstBlock: stripe * 8,
      chunkEnds: [],
      chunkSignatures: [],
    });
    await writer.writeStripe(stripe, data.offset, aux.offset, aux.offset + 1_048_576);
    data.release();
    aux.release();
  }
  await writer.finish();
}

const shardOn = (position: number): number => (position - 1 + 4) % 4;
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

afterAll(() => compute.close());

describe('blob files of version 1', () => {
  it('are what the document says', async () => {
    const free = arena.freeBytes;
    await writeExample();
    expect(arena.freeBytes).toBe(free);
    expect(ends).toEqual([532_481, 532_481, 532_481, 532_481]);
    for (const [position, file] of files.entries()) {
      const shard = shardOn(position);
      expect(file.toString('latin1', 0, 8)).toBe('GRNBLOB\n');
      expect(file.readUInt16LE(8)).toBe(1);
      expect(file.readUInt16LE(10)).toBe(0);
      expect([...file.subarray(12, 16)]).toEqual([2, 2, 1, shard]);
      expect(file.toString('hex', 16, 32)).toBe(deploymentId.replaceAll('-', ''));
      expect(file.readBigUInt64LE(32)).toBe(5n);
      expect(file.readBigUInt64LE(40)).toBe(300n);
      expect(file.readBigUInt64LE(48)).toBe(BigInt(bytes));
      expect(file.readUInt32LE(56)).toBe(1_048_576);
      expect(file.readUInt32LE(60)).toBe(65_536);
      expect(file.readBigUInt64LE(64)).toBe(4096n);
      expect(file.readBigUInt64LE(72)).toBe(8192n);
      expect(file.subarray(80, 96).every((byte) => byte === 0)).toBe(true);
      expect(file.subarray(96, 100)).toEqual(Buffer.from(kernels.digest(Digest.crc32c, file.subarray(0, 96))));
      expect(file.subarray(100, 4096).every((byte) => byte === 0)).toBe(true);
      const payload = file.subarray(8192);
      if (shard === 0) expect(payload).toEqual(Buffer.concat([body.subarray(0, 524_288), body.subarray(1_048_576)]));
      if (shard === 1) expect(payload).toEqual(Buffer.concat([body.subarray(524_288, 1_048_576), Buffer.alloc(1)]));
      for (let block = 0; block < 9; block++) {
        const key = Buffer.from(hashKey);
        for (const [lane, value] of [5, 300, shard, block].entries()) {
          key.writeBigUInt64LE(key.readBigUInt64LE(lane * 8) ^ BigInt(value), lane * 8);
        }
        const wanted = kernels.highwayHash256(key, payload.subarray(block * 65_536, (block + 1) * 65_536));
        expect(file.subarray(4096 + 32 * block, 4128 + 32 * block), `block ${block}`).toEqual(Buffer.from(wanted));
      }
      expect(file.subarray(4096 + 32 * 9, 8192).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('are what the first release wrote', () => {
    expect(files[1]?.toString('hex', 0, 100)).toBe(
      '47524e424c4f420a010000000202010001234567' +
        '89abcdef0123456789abcdef05000000000000002c01000000000000' +
        '010010000000000000001000000001000010000000000000002000000000000000000000000000000000000000000000207b5bae',
    );
    expect(files.map(sha256)).toEqual([
      '5ebe06de51ab402f79ca15b7f9c91358b4aef48cbd82520ac0ef4de576b156b6',
      'cad0900b39a9add07310efd349669f5d4ee6976b0b42e7207d5abdd3d47cdc3a',
      '0ccd526271df7ecd1a3f35815af833737148b3b8d17e03bb83c4381b281185b1',
      'cfbfbf804752a6f297093a7c4ba73f19c4c5bee7b6e89acfc89b0679951c8af8',
    ]);
  });

  it('read back from any two of the four', async () => {
    const free = arena.freeBytes;
    const placement = {
      kind: 'blob',
      geometry: layout,
      id,
      stripeBytes: layout.stripeBytes,
      positions: 0b1111,
    } as const;
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
      [2, 3],
    ]) {
      const some = {
        ...set,
        drive: (position: number) => (position === a || position === b ? (drives[position] ?? null) : null),
      };
      const source = new BlobSource(some, placement, layout, arena);
      const reader = new BodyReader(source, arena, compute, 0, bytes, () => undefined);
      const pieces: Buffer[] = [];
      for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
        pieces.push(Buffer.from(piece.bytes));
        piece.release();
      }
      reader.close();
      expect(Buffer.concat(pieces).equals(body)).toBe(true);
    }
    expect(arena.freeBytes).toBe(free);
  });
});
