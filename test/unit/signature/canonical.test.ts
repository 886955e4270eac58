import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalHeaderValue,
  canonicalPath,
  canonicalQuery,
  canonicalHeaders,
  canonicalRequest,
} from '../../../src/signature/canonical.js';
import { decodePath, encodeComponent, encodePath, parseQuery } from '../../../src/signature/uri.js';
import { limits } from '../../../src/base/index.js';
import { referenceEncode, refusalOf } from './support.js';

/** Well-formed text without NUL, rich in what makes encoding hard. */
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom(...'a/ %+&=~!\'()*?#;:@.é漢😀"<>\\|^`{}[]'), maxLength: 20 }),
  )
  .filter((value) => !value.includes('\0'));

describe('percent-encoding', () => {
  it('matches a byte-wise reference', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(encodeComponent(value)).toBe(referenceEncode(value, false));
        expect(encodePath(value)).toBe(referenceEncode(value, true));
      }),
    );
  });

  it('refuses text without a UTF-8 form', () => {
    expect(refusalOf(() => encodeComponent('\ud800')).code).toBe('InvalidURI');
    expect(refusalOf(() => canonicalPath('/\udfff')).code).toBe('InvalidURI');
  });
});

describe('decodePath', () => {
  it('inverts every way to encode a path', () => {
    fc.assert(
      fc.property(text, fc.boolean(), fc.boolean(), (value, isLower, keepSlash) => {
        const encoded = referenceEncode(value, keepSlash);
        expect(decodePath(isLower ? encoded.replace(/%../g, (escape) => escape.toLowerCase()) : encoded)).toBe(value);
      }),
    );
  });

  it.each(['/a//b', '/a/../b', '/./', '//', '/a+b', '/bucket/', '/b/..'])('keeps %s as it is', (path) => {
    expect(decodePath(path)).toBe(path);
    expect(canonicalPath(path)).toBe(path.replace('+', '%2B'));
  });

  it.each(['/%', '/%a', '/%zz', '/a%2', '/%C3', '/%ff', '/%ED%A0%80', '/%C0%AF', '/a%00b', '/a\0b'])(
    'refuses %j',
    (path) => {
      expect(refusalOf(() => decodePath(path)).code).toBe('InvalidURI');
    },
  );
});

describe('canonicalPath', () => {
  it.each([
    ['', '/'],
    ['/', '/'],
    ['/a%2Fb', '/a/b'],
    ['/%7Ea~', '/~a~'],
    ['/%61', '/a'],
    ['/%e6%bc%a2', '/%E6%BC%A2'],
    ['/漢', '/%E6%BC%A2'],
    ["/!'()*", '/%21%27%28%29%2A'],
    ['/a%252Fb', '/a%252Fb'],
    ['/a b', '/a%20b'],
    ['/a%20b', '/a%20b'],
    ['/a&b=c;d', '/a%26b%3Dc%3Bd'],
  ])('of %j is %j', (raw, expected) => {
    expect(canonicalPath(raw)).toBe(expected);
  });

  it('says the same of every encoding of a key, and different things of different keys', () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        const canonical = canonicalPath('/' + referenceEncode(one, true));
        expect(canonical).toBe('/' + referenceEncode(one, true));
        expect(canonicalPath(canonical)).toBe(canonical);
        if (one !== other) expect(canonicalPath('/' + referenceEncode(other, true))).not.toBe(canonical);
      }),
    );
  });
});

describe('parseQuery', () => {
  it.each([
    ['', []],
    ['&&', []],
    ['acl', [['acl', '']]],
    ['acl=', [['acl', '']]],
    ['a=b=c', [['a', 'b=c']]],
    ['=v', [['', 'v']]],
    [
      'a=1&a=2&a=',
      [
        ['a', '1'],
        ['a', '2'],
        ['a', ''],
      ],
    ],
    ['p=a+b%2Bc%20d', [['p', 'a b+c d']]],
    ['start-after=a%00', [['start-after', 'a\0']]],
    ['a%3Db%26=%26', [['a=b&', '&']]],
    ['a;b=c', [['a;b', 'c']]],
  ])('of %j', (raw, expected) => {
    expect(parseQuery(raw)).toEqual(expected);
  });

  it.each(['a=%', 'a=%f', 'a=%gg', '%ff=1', 'a=%C3'])('refuses %j', (raw) => {
    expect(refusalOf(() => parseQuery(raw)).code).toBe('InvalidURI');
  });

  it('has a bound on parameters', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`).join('&');
    expect(parseQuery(many(limits.queryPairsMax))).toHaveLength(limits.queryPairsMax);
    expect(refusalOf(() => parseQuery(many(limits.queryPairsMax + 1))).code).toBe('InvalidURI');
  });

  it('inverts encoding', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            text.filter((name) => name !== ''),
            text,
          ),
          { maxLength: 20 },
        ),
        (pairs) => {
          const raw = pairs.map(([name, value]) => `${referenceEncode(name, false)}=${referenceEncode(value, true)}`);
          expect(parseQuery(raw.join('&'))).toEqual(pairs);
        },
      ),
    );
  });
});

describe('canonicalQuery', () => {
  it('sorts by encoded name, then by encoded value', () => {
    const raw = 'b=2&a=2&a=10&a=&a-b=1&a!=x&A=1&%E6%BC%A2&a%20=3';
    expect(canonicalQuery(parseQuery(raw))).toBe('%E6%BC%A2=&A=1&a=&a=10&a=2&a%20=3&a%21=x&a-b=1&b=2');
  });

  it('leaves out the signature itself, and nothing that only looks like it', () => {
    const pairs = parseQuery('X-Amz-Signature=1&x-amz-signature=2&X-Amz-Signature2=3');
    expect(canonicalQuery(pairs, 'X-Amz-Signature')).toBe('X-Amz-Signature2=3&x-amz-signature=2');
  });

  it('does not depend on the order of arrival', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(text, text), { selector: ([name, value]) => `${name}\0${value}`, maxLength: 10 }),
        fc.integer(),
        (pairs, turn) => {
          const cut = pairs.length === 0 ? 0 : Math.abs(turn) % pairs.length;
          expect(canonicalQuery([...pairs.slice(cut), ...pairs.slice(0, cut)])).toBe(canonicalQuery(pairs));
        },
      ),
    );
  });
});

describe('canonicalHeaderValue', () => {
  it.each([
    ['a', 'a'],
    ['', ''],
    ['   ', ''],
    ['  a   b \t c ', 'a b c'],
    ['a\tb', 'a b'],
    ['"a   b"', '"a b"'],
    ['a\u00a0b', 'a\u00a0b'],
    ['a\u00a0', 'a\u00a0'],
  ])('of %j is %j', (value, expected) => {
    expect(canonicalHeaderValue(value)).toBe(expected);
  });

  it('is idempotent', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(' ', '\t', 'a', 'b', '\u00a0') }), (value) => {
        const once = canonicalHeaderValue(value);
        expect(canonicalHeaderValue(once)).toBe(once);
        expect(once).toBe(
          value
            .split(/[ \t]+/)
            .filter((word) => word !== '')
            .join(' '),
        );
      }),
    );
  });
});

describe('canonicalRequest', () => {
  it('has the lines of the specification', () => {
    const headers = new Map([
      ['host', ' h '],
      ['x-amz-date', 'd'],
    ]);
    expect(
      canonicalRequest({
        method: 'GET',
        path: '/p',
        query: 'q=',
        headers: canonicalHeaders(['host', 'x-amz-date'], (name) => headers.get(name) ?? ''),
        payloadHash: 'UNSIGNED-PAYLOAD',
      }),
    ).toBe('GET\n/p\nq=\nhost:h\nx-amz-date:d\n\nhost;x-amz-date\nUNSIGNED-PAYLOAD');
  });
});
