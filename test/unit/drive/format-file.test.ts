import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DriveFormat } from '../../../src/drive/index.js';
import { encodeFormat, parseFormat, poolsOfFormat, versionFor } from '../../../src/drive/format-file.js';
import { blobFileName, blobSubfolder, blobSubfolders, logFileName, logFileNumber } from '../../../src/drive/layout.js';
import { newFormat } from './support.js';

/** The bytes of version 1, as docs/format/drive.md shows them. They never change. */
const golden =
  '{"granary":"drive","version":1,"deploymentId":"6f1c2a52-0f4e-4f0b-9d1e-8a54d3a7c001",' +
  '"hashKey":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",' +
  '"driveId":"b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02","setIndex":0,"position":1,' +
  '"sets":[["b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a01","b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02"]],' +
  '"parity":1,"wasMountPoint":true}\n' +
  '{"sha256":"61adcc5c75199ff063cd2dc0a8fdf0cc7189c21368f3bf82b0daa2fef4074b18"}\n';

const goldenFormat: DriveFormat = {
  version: 1,
  deploymentId: '6f1c2a52-0f4e-4f0b-9d1e-8a54d3a7c001',
  hashKey: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  driveId: 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02',
  setIndex: 0,
  position: 1,
  sets: [['b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a01', 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02']],
  parity: 1,
  wasMountPoint: true,
};

/** The bytes of version 2: one pool of one set, and one that was added. */
const goldenTwo =
  '{"granary":"drive","version":2,"deploymentId":"6f1c2a52-0f4e-4f0b-9d1e-8a54d3a7c001",' +
  '"hashKey":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",' +
  '"driveId":"b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a04","setIndex":1,"position":1,' +
  '"sets":[["b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a01","b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02"],' +
  '["b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a03","b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a04"]],' +
  '"parity":1,"wasMountPoint":false,"poolIndex":1,"pools":[1,1]}\n' +
  '{"sha256":"552fd300f263c71aab1001169c178d8196ee112be15352e968fb6a5e0b8f2927"}\n';

const goldenOfPools: DriveFormat = {
  ...goldenFormat,
  version: 2,
  driveId: 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a04',
  setIndex: 1,
  sets: [
    ['b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a01', 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02'],
    ['b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a03', 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a04'],
  ],
  wasMountPoint: false,
  pools: [1, 1],
};

/** The bytes of version 3: two drives with a copy of everything, and a pool of one drive that was added. */
const goldenThree =
  '{"granary":"drive","version":3,"deploymentId":"6f1c2a52-0f4e-4f0b-9d1e-8a54d3a7c001",' +
  '"hashKey":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",' +
  '"driveId":"b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a03","setIndex":1,"position":0,' +
  '"sets":[["b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a01","b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02"],' +
  '["b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a03"]],' +
  '"parity":0,"wasMountPoint":false,"poolIndex":1,"pools":[1,1],"parities":[1,0]}\n' +
  '{"sha256":"9054a1d19cb507d05842d7b6174190dfa4e0e4f1135071efbbd8a8263d7ceda9"}\n';

const goldenOfParities: DriveFormat = {
  ...goldenOfPools,
  version: 3,
  driveId: 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a03',
  position: 0,
  sets: [
    ['b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a01', 'b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a02'],
    ['b3a0f3de-7c55-4a39-8d5c-0c7e7f1d2a03'],
  ],
  parity: 0,
  parities: [1, 0],
};

describe('a copy of the format', () => {
  it('has the bytes of version 1', () => {
    expect(encodeFormat(goldenFormat).toString()).toBe(golden);
    expect(parseFormat(Buffer.from(golden))).toEqual({ kind: 'good', format: goldenFormat });
  });

  it('has the bytes of version 2 when there are several sets', () => {
    expect(encodeFormat(goldenOfPools).toString()).toBe(goldenTwo);
    expect(parseFormat(Buffer.from(goldenTwo))).toEqual({ kind: 'good', format: goldenOfPools });
  });

  it('has the bytes of version 3 when pools have parities of their own', () => {
    expect(encodeFormat(goldenOfParities).toString()).toBe(goldenThree);
    expect(parseFormat(Buffer.from(goldenThree))).toEqual({ kind: 'good', format: goldenOfParities });
  });

  it('says the parity of every pool in each version, and is written in the oldest that can say it', () => {
    expect(poolsOfFormat(goldenFormat)).toEqual({ pools: [1], parities: [1] });
    expect(poolsOfFormat(goldenOfPools)).toEqual({ pools: [1, 1], parities: [1, 1] });
    expect(poolsOfFormat(goldenOfParities)).toEqual({ pools: [1, 1], parities: [1, 0] });
    expect([goldenFormat, goldenOfPools, goldenOfParities].map(versionFor)).toEqual([1, 2, 3]);
  });

  it.each<[string, Partial<DriveFormat>]>([
    ['parities', { parities: [0] }],
    ['parities', { parities: [1, 0, 0] }],
    ['another parity than that of its pool', { parity: 1 }],
    // Also in a set that is not the drive's own.
    ['no shard for data', { parities: [2, 0] }],
    ['no shard for data', { parities: [1, 1], parity: 1 }],
    ['parity', { parities: [1, 9], parity: 9 }],
  ])('of several parities is damaged with wrong ones: %s %j', (what, wrong) => {
    const parsed = parseFormat(encodeFormat({ ...goldenOfParities, ...wrong }));
    expect(parsed).toMatchObject({ kind: 'damaged', what: expect.stringContaining(what) });
  });

  it('of version 3 is damaged without its parities, and an older one does not heed them', () => {
    const { parities: _, ...without } = goldenOfParities;
    expect(parseFormat(encodeFormat(without))).toMatchObject({ kind: 'damaged', what: 'its field parities is wrong' });
    expect(encodeFormat({ ...goldenOfPools, parities: [1, 0] }).toString()).toBe(goldenTwo);
  });

  it.each([
    ['pool', { pools: [1] }],
    ['pools', { pools: [1, 1, 1] }],
    ['pool', { setIndex: 5 }],
  ])('of several sets is damaged with wrong %s %j', (what, wrong) => {
    const parsed = parseFormat(encodeFormat({ ...goldenOfPools, ...wrong }));
    expect(parsed).toMatchObject({ kind: 'damaged', what: expect.stringContaining(what) });
  });

  it('keeps nothing that is not part of it', () => {
    const more = { ...goldenFormat, secret: 'x' };
    expect(encodeFormat(more).toString()).toBe(golden);
  });

  it('is damaged when any bit of it changes, and never throws', () => {
    const bytes = encodeFormat(newFormat());
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 32, 128]) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ bit, at);
        // A change of the last newline, or of white space in the checksum's line, may leave its meaning.
        const parsed = parseFormat(changed);
        if (parsed.kind === 'good') expect(changed.indexOf(0x0a)).toBeLessThan(at);
        else expect(parsed.kind).toBe('damaged');
      }
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(parseFormat(bytes.subarray(0, length)).kind).toBe('damaged');
    }
  });

  it('may be any bytes at all', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string().map(Buffer.from), fc.json().map(Buffer.from)), (bytes) => {
        expect(parseFormat(Buffer.concat([bytes, Buffer.from('\n{}\n')])).kind).toBe('damaged');
      }),
    );
  });
});

describe('names on a drive', () => {
  it('spread blobs over 256 folders by the top byte of FNV-1a', () => {
    // The published vectors of 32-bit FNV-1a: "" is 811c9dc5, "a" e40c292c, "b" e70c2de5.
    expect(blobSubfolder('')).toBe('81');
    expect(blobSubfolder('a')).toBe('e4');
    expect(blobFileName('b')).toBe('blobs/e7/b');
    expect(blobSubfolders()).toHaveLength(256);
    const counts = new Map<string, number>();
    for (let part = 0; part < 25_600; part++) {
      const folder = blobSubfolder(`4d5e6f708192a3b4c5d6e7f809a1b2c3.${part.toString(16)}`);
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
    expect(counts.size).toBe(256);
    expect(Math.max(...counts.values())).toBeLessThan(400);
  });

  it('number log files with eight digits', () => {
    expect(logFileName(7)).toBe('log/00000007.log');
    expect(logFileNumber('00000007.log')).toBe(7);
    expect(logFileNumber('99999999.log')).toBe(99_999_999);
    for (const name of ['7.log', '000000007.log', '00000007.log.new', '00000007', '0000000a.log', 'x00000007.log']) {
      expect(logFileNumber(name)).toBeNull();
    }
    for (const wrong of [-1, 0.5, 100_000_000, NaN]) expect(() => logFileName(wrong)).toThrow('a log file');
  });
});
