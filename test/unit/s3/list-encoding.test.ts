import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nameEncoder, parseEncodingType, urlEncode } from '../../../src/s3/list-encoding.js';

describe('urlEncode', () => {
  test.each([
    ['', ''],
    ['azAZ09/*-_.', 'azAZ09/*-_.'],
    ['a b', 'a+b'],
    ['a+b', 'a%2Bb'],
    ['~', '%7E'],
    ["!'()", '%21%27%28%29'],
    ['%&=?#:;,@$[]', '%25%26%3D%3F%23%3A%3B%2C%40%24%5B%5D'],
    ['\u0001\u007f', '%01%7F'],
    ['\u00e9\u{1f33e}', '%C3%A9%F0%9F%8C%BE'],
  ])('%j is %s', (name, encoded) => {
    expect(urlEncode(name)).toBe(encoded);
  });

  test('round trip through the decoding of a client, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const encoded = urlEncode(name);
        expect(encoded).toMatch(/^[A-Za-z0-9/*\-_.+%]*$/);
        expect(decodeURIComponent(encoded.replaceAll('+', ' '))).toBe(name);
      }),
      { numRuns: 2000, verbose: 1 },
    );
  });

  test('never fails, whatever it is given', () => {
    expect(urlEncode('\ud800')).toBe('%EF%BF%BD');
  });
});

describe('encoding-type', () => {
  test.each([
    [undefined, null],
    ['', null],
    ['url', 'url'],
    ['URL', 'url'],
  ])('%s is %s', (value, expected) => {
    expect(parseEncodingType(new Map(value === undefined ? [] : [['encoding-type', value]]))).toBe(expected);
  });

  test('anything else is refused', () => {
    const parse = () => parseEncodingType(new Map([['encoding-type', 'base64']]));
    expect(parse).toThrow(expect.objectContaining({ code: 'InvalidArgument' }));
  });

  test('without it names stay as they are', () => {
    expect(nameEncoder(null)('a b')).toBe('a b');
    expect(nameEncoder('url')('a b')).toBe('a+b');
  });
});
