import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { resolveCopyRange, resolveRange } from '../../../src/s3/range.js';

function codeOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return String(error.code);
    throw error;
  }
}

describe('Range', () => {
  it.each([
    ['bytes=0-0', 10, 0, 1],
    ['bytes=0-9', 10, 0, 10],
    ['bytes=0-10', 10, 0, 10],
    ['bytes=9-', 10, 9, 10],
    ['bytes=3-5', 10, 3, 6],
    ['bytes=-1', 10, 9, 10],
    ['bytes=-10', 10, 0, 10],
    ['bytes=-11', 10, 0, 10],
    ['bytes=-99999999999999999999999', 10, 0, 10],
    ['bytes=2-99999999999999999999999', 10, 2, 10],
    ['bytes= 2 - 4', 10, 2, 5],
  ])('%s of %d bytes', (header, objectBytes, startByte, endByte) => {
    expect(resolveRange(header, objectBytes)).toEqual({ startByte, endByte });
  });

  it.each([
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes',
    'items=0-1',
    'bytes=0-1,3-4',
    'bytes=--1',
    'bytes=1',
    'bytes=0x1-2',
    '',
  ])('is ignored: %j', (header) => {
    expect(resolveRange(header, 10)).toBeNull();
  });

  it.each([
    ['bytes=10-', 10],
    ['bytes=10-20', 10],
    ['bytes=5-3', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=0-0', 0],
    ['bytes=-5', 0],
    ['bytes=99999999999999999999999-', 10],
  ])('%s of %d bytes is refused', (header, objectBytes) => {
    expect(codeOf(() => resolveRange(header, objectBytes))).toBe('InvalidRange');
  });

  it('gives the slice that the header names', () => {
    const bound = fc.integer({ min: 0, max: 40 });
    fc.assert(
      fc.property(bound, fc.option(bound), fc.option(bound), (objectBytes, first, last) => {
        fc.pre(first !== null || last !== null);
        const object = Array.from({ length: objectBytes }, (_, index) => index);
        const wanted = object.filter((index) =>
          first === null ? index >= objectBytes - last! : index >= first && (last === null || index <= last),
        );
        const header = `bytes=${first ?? ''}-${last ?? ''}`;
        if (wanted.length === 0) {
          expect(codeOf(() => resolveRange(header, objectBytes))).toBe('InvalidRange');
        } else {
          const range = resolveRange(header, objectBytes)!;
          expect(object.slice(range.startByte, range.endByte)).toEqual(wanted);
        }
      }),
    );
  });

  it('never leaves the object, whatever the header says', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(1000), (text, objectBytes) => {
        for (const header of [text, `bytes=${text}`]) {
          if (codeOf(() => resolveRange(header, objectBytes)) !== null) continue;
          const range = resolveRange(header, objectBytes);
          if (range === null) continue;
          expect(range.startByte).toBeGreaterThanOrEqual(0);
          expect(range.endByte).toBeLessThanOrEqual(objectBytes);
          expect(range.startByte).toBeLessThan(range.endByte);
        }
      }),
    );
  });
});

describe('x-amz-copy-source-range', () => {
  it('takes both ends', () => {
    expect(resolveCopyRange('bytes=0-9', 10)).toEqual({ startByte: 0, endByte: 10 });
    expect(resolveCopyRange('bytes=4-4', 10)).toEqual({ startByte: 4, endByte: 5 });
  });

  it.each(['bytes=0-', 'bytes=-5', 'bytes=5-3', 'bytes=0-1,2-3', '0-5', 'bytes=a-b', ''])(
    '%j is malformed',
    (header) => {
      expect(codeOf(() => resolveCopyRange(header, 10))).toBe('InvalidArgument');
    },
  );

  it.each(['bytes=0-10', 'bytes=10-10', 'bytes=0-99999999999999999999'])('%s lies outside of 10 bytes', (header) => {
    expect(codeOf(() => resolveCopyRange(header, 10))).toBe('InvalidRange');
  });
});
