import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeaderMap } from '../../../src/exchange/index.js';
import {
  judgeRead,
  parseEntityTags,
  parseHttpDate,
  parseReadConditions,
  parseSourceConditions,
  parseWritePrecondition,
} from '../../../src/s3/conditional.js';

const modifiedMs = Date.UTC(2026, 10, 24, 3, 0, 0, 700);
const object = { etag: 'abc', modifiedMs };
const before = new Date(modifiedMs - 60_000).toUTCString();
const same = new Date(modifiedMs).toUTCString();
const after = new Date(modifiedMs + 60_000).toUTCString();

function judge(headers: Record<string, string>) {
  const conditions = parseReadConditions(HeaderMap.from(Object.entries(headers)));
  return conditions === null ? 'unconditional' : judgeRead(conditions, object);
}

describe('conditional reads', () => {
  it.each([
    [{}, 'unconditional'],
    [{ 'if-match': '"abc"' }, 'proceed'],
    [{ 'if-match': 'abc' }, 'proceed'],
    [{ 'if-match': '*' }, 'proceed'],
    [{ 'if-match': '"x", "abc"' }, 'proceed'],
    [{ 'if-match': '"x"' }, 'failed'],
    [{ 'if-match': '' }, 'failed'],
    [{ 'if-none-match': '"abc"' }, 'not-modified'],
    [{ 'if-none-match': 'W/"abc"' }, 'not-modified'],
    [{ 'if-none-match': '*' }, 'not-modified'],
    [{ 'if-none-match': '"x"' }, 'proceed'],
    [{ 'if-modified-since': before }, 'proceed'],
    [{ 'if-modified-since': same }, 'not-modified'],
    [{ 'if-modified-since': after }, 'not-modified'],
    [{ 'if-modified-since': 'yesterday' }, 'proceed'],
    [{ 'if-unmodified-since': before }, 'failed'],
    [{ 'if-unmodified-since': same }, 'proceed'],
    [{ 'if-unmodified-since': after }, 'proceed'],
    [{ 'if-unmodified-since': 'tomorrow' }, 'proceed'],
    // The combinations that S3 documents.
    [{ 'if-match': '"abc"', 'if-unmodified-since': before }, 'proceed'],
    [{ 'if-none-match': '"abc"', 'if-modified-since': before }, 'not-modified'],
    [{ 'if-none-match': '"x"', 'if-modified-since': after }, 'proceed'],
    [{ 'if-match': '"x"', 'if-none-match': '"abc"' }, 'not-modified'],
  ])('%j: %s', (headers, verdict) => {
    expect(judge(headers as Record<string, string>)).toBe(verdict);
  });

  it('is decided by the four conditions alone, as the table says', () => {
    const tags = fc.constantFrom(undefined, '"abc"', '"x"');
    const dates = fc.constantFrom(undefined, before, after);
    fc.assert(
      fc.property(tags, tags, dates, dates, (ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince) => {
        const headers: Record<string, string> = {};
        if (ifMatch !== undefined) headers['if-match'] = ifMatch;
        if (ifNoneMatch !== undefined) headers['if-none-match'] = ifNoneMatch;
        if (ifModifiedSince !== undefined) headers['if-modified-since'] = ifModifiedSince;
        if (ifUnmodifiedSince !== undefined) headers['if-unmodified-since'] = ifUnmodifiedSince;
        const isCurrent = ifNoneMatch === undefined ? ifModifiedSince === after : ifNoneMatch === '"abc"';
        const isRight = ifMatch === undefined ? ifUnmodifiedSince !== before : ifMatch === '"abc"';
        const expected = isCurrent ? 'not-modified' : isRight ? 'proceed' : 'failed';
        expect(judge(headers)).toBe(Object.keys(headers).length === 0 ? 'unconditional' : expected);
      }),
    );
  });

  it('reads the conditions of a copy from their own headers', () => {
    const headers = HeaderMap.from([
      ['if-match', '"mine"'],
      ['x-amz-copy-source-if-none-match', '"theirs"'],
      ['x-amz-copy-source-if-unmodified-since', before],
    ]);
    expect(parseSourceConditions(headers)).toEqual({
      ifMatch: null,
      ifNoneMatch: ['theirs'],
      ifModifiedSinceMs: null,
      ifUnmodifiedSinceMs: Date.parse(before),
    });
  });
});

describe('parts of conditions', () => {
  it('takes entity tags with and without quotes', () => {
    expect(parseEntityTags('"a", W/"b",c , *,,')).toEqual(['a', 'b', 'c', '*']);
  });

  it('takes the three date forms of HTTP and nothing else', () => {
    const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
    expect(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(ms);
    expect(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT')).toBe(ms);
    expect(parseHttpDate('Sun Nov  6 08:49:37 1994')).toBe(ms);
    for (const text of ['', '1994', '2026-11-24T03:00:00Z', 'Sun, 99 Foo 1994 08:49:37 GMT']) {
      expect(parseHttpDate(text)).toBeNull();
    }
  });

  it('asks nothing of a write without conditions', () => {
    expect(parseWritePrecondition(HeaderMap.from([['content-type', 'x']]))).toBeNull();
    expect(parseWritePrecondition(HeaderMap.from([['if-none-match', '*']]))).toEqual({ ifNoneMatch: ['*'] });
    expect(parseWritePrecondition(HeaderMap.from([['if-match', '"a"']]))).toEqual({ ifMatch: ['a'] });
  });
});
