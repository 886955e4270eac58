import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits, Refusal } from '../../../src/base/index.js';
import { closingBytes, FormScanner, parseBoundary, type FormHead } from '../../../src/s3/form-data.js';

const boundary = '----WebKitFormBoundary7MA4YWxkTrZu0gW';

interface Scanned {
  readonly head: FormHead | null;
  readonly file: Buffer;
  readonly isComplete: boolean;
}

/** Scans a body that arrives in these pieces; what is lent is overwritten afterwards. */
function scan(pieces: readonly Uint8Array[], name = boundary): Scanned {
  let head: FormHead | null = null;
  const file: Buffer[] = [];
  let isComplete = false;
  const scanner = new FormScanner(name, {
    head: (one) => {
      expect(head).toBeNull();
      head = one;
    },
    data: (chunk, start, end) => {
      expect(end).toBeGreaterThan(start);
      expect(isComplete).toBe(false);
      file.push(Buffer.from(chunk.slice(start, end)));
    },
    fileEnd: () => {
      isComplete = true;
    },
  });
  for (const piece of pieces) {
    const lent = Buffer.concat([Buffer.from('#'), piece, Buffer.from('#')]);
    scanner.push(lent, 1, lent.length - 1);
    lent.fill(0xee);
  }
  scanner.end();
  return { head, file: Buffer.concat(file), isComplete };
}

const codeOf = (act: () => unknown): unknown => {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
};

const field = (name: string, value: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const fileHead = (fileName = 'a.txt') =>
  `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\nContent-Type: text/plain\r\n\r\n`;
const closing = `\r\n--${boundary}--\r\n`;

/** The same bytes in pieces of the given length. */
function cut(bytes: Buffer, pieceBytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return pieces;
}

describe('the boundary', () => {
  it.each([
    [`multipart/form-data; boundary=${boundary}`, boundary],
    ['Multipart/Form-Data;boundary="a b"', 'a b'],
    ['multipart/form-data; charset=utf-8; Boundary=x', 'x'],
    ['application/x-www-form-urlencoded', null],
    ['', null],
    ['multipart/form-database; boundary=x', null],
  ])('of %j is %j', (contentType, expected) => {
    expect(parseBoundary(contentType)).toBe(expected);
  });

  it.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary="a "',
    'multipart/form-data; boundary="a\rb"',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
  ])('is refused in %j', (contentType) => {
    expect(codeOf(() => parseBoundary(contentType))).toBe('MalformedPOSTRequest');
  });
});

describe('a form', () => {
  const fields = field('key', 'uploads/${filename}') + field('Content-Type', 'text/plain') + field('empty', '');
  const content = 'first\r\n--not the boundary\r\n------WebKit\r\n\r\nlast\r';
  const whole = Buffer.from(fields + fileHead('ä;b.txt') + content + closing);

  it.each([1, 2, 3, 7, 64, 100_000])('is read in pieces of %i bytes', (pieceBytes) => {
    const { head, file, isComplete } = scan(cut(whole, pieceBytes));
    expect([...(head?.fields ?? [])]).toEqual([
      ['key', 'uploads/${filename}'],
      ['content-type', 'text/plain'],
      ['empty', ''],
    ]);
    expect(head?.fileName).toBe('ä;b.txt');
    expect(head?.fileOffset).toBe(Buffer.byteLength(fields + fileHead('ä;b.txt')));
    expect([file.toString(), isComplete]).toEqual([content, true]);
    expect(whole.length - (head?.fileOffset ?? 0) - closingBytes(boundary)).toBe(file.length);
  });

  it('may have an empty file, text in front, and fields behind that do not count', () => {
    const odd = Buffer.from(`preamble\r\n${fields}${fileHead()}\r\n${field('key', 'other')}--${boundary}--`);
    const { head, file } = scan([odd]);
    expect(head?.fields.get('key')).toBe('uploads/${filename}');
    expect(file).toHaveLength(0);
  });

  it.each([
    ['C:\\\\pictures\\\\cat.png', 'cat.png'],
    ['/home/me/cat.png', 'cat.png'],
    ['a%22b.txt', 'a"b.txt'],
    ['a\\"b.txt', 'a"b.txt'],
    ['', ''],
  ])('takes of the file name %j what is no folder', (sent, fileName) => {
    expect(scan([Buffer.from(fileHead(sent) + closing)]).head?.fileName).toBe(fileName);
  });

  it('keeps the first of a repeated field', () => {
    const twice = field('key', 'one') + field('KEY', 'two') + fileHead() + closing;
    expect(scan([Buffer.from(twice)]).head?.fields.get('key')).toBe('one');
  });

  it.each([
    ['', 'MalformedPOSTRequest'],
    ['no form', 'MalformedPOSTRequest'],
    [fields, 'MalformedPOSTRequest'],
    [`${fields}--${boundary}--\r\n`, 'IncorrectNumberOfFilesInPostRequest'],
    [`${fields}${fileHead()}content`, 'MalformedPOSTRequest'],
    [`${fields}${fileHead()}content\r\n--${boundary.slice(0, -1)}`, 'MalformedPOSTRequest'],
    [`--${boundary}x\r\n`, 'MalformedPOSTRequest'],
    [`--${boundary}\r\nContent-Type: text/plain\r\n\r\nx${closing}`, 'MalformedPOSTRequest'],
    [`--${boundary}\r\nContent-Disposition: attachment; name="key"\r\n\r\nx${closing}`, 'MalformedPOSTRequest'],
    [`--${boundary}\r\nContent-Disposition: form-data\r\n\r\nx${closing}`, 'MalformedPOSTRequest'],
    [`--${boundary}\r\nContent-Disposition: form-data; name=""\r\n\r\nx${closing}`, 'MalformedPOSTRequest'],
  ])('that is %j is refused', (text, code) => {
    for (const pieceBytes of [1, 10_000]) expect(codeOf(() => scan(cut(Buffer.from(text), pieceBytes)))).toBe(code);
  });

  it('refuses a field that is not UTF-8', () => {
    const [before, after] = (field('key', '|') + fileHead() + closing).split('|').map((text) => Buffer.from(text));
    const bytes = Buffer.concat([before as Buffer, Buffer.from([0xff]), after as Buffer]);
    expect(codeOf(() => scan([bytes]))).toBe('MalformedPOSTRequest');
  });

  it('bounds what stands before the file', () => {
    const room = limits.formFieldsBytesMax - Buffer.byteLength(field('a', '') + fileHead());
    for (const pieceBytes of [997, 1_000_000]) {
      const fits = Buffer.from(field('a', 'x'.repeat(room)) + fileHead() + 'content' + closing);
      expect(scan(cut(fits, pieceBytes)).file.toString()).toBe('content');
      const large = Buffer.from(field('a', 'x'.repeat(room + 1)) + fileHead() + 'content' + closing);
      expect(codeOf(() => scan(cut(large, pieceBytes)))).toBe('MaxPostPreDataLengthExceeded');
    }
  });

  it('gives back any file, wherever it is cut', () => {
    const scrap = fc.constantFrom('\r', '\n', '\r\n', '-', '--', `\r\n--${boundary.slice(0, 9)}`, boundary, 'x', '\0');
    fc.assert(
      fc.property(
        fc.array(scrap, { maxLength: 40 }),
        fc.array(fc.nat({ max: 400 }), { maxLength: 12 }),
        (scraps, cuts) => {
          const text = scraps.join('').replaceAll(`\r\n--${boundary}`, '');
          const bytes = Buffer.from(field('key', 'k') + fileHead() + text + closing);
          const ends = [...cuts.map((at) => Math.min(at, bytes.length)), bytes.length].sort((a, b) => a - b);
          const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
          expect(scan(pieces).file.toString()).toBe(text);
        },
      ),
    );
  });

  it('answers any bytes with a form or a refusal', () => {
    const scrap = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom(
        '\r\n',
        `--${boundary}`,
        '--',
        field('a', 'b'),
        fileHead(),
        closing,
        'Content-Disposition: form-data; name=',
      ),
    );
    fc.assert(
      fc.property(fc.array(scrap, { maxLength: 20 }), fc.integer({ min: 1, max: 50 }), (scraps, pieceBytes) => {
        const code = codeOf(() => scan(cut(Buffer.from(scraps.join('')), pieceBytes)));
        expect([null, 'MalformedPOSTRequest', 'IncorrectNumberOfFilesInPostRequest']).toContain(code);
      }),
    );
  });
});
