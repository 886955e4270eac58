import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalHeaders } from '../../../src/signature/canonical.js';
import { HeaderLines } from '../../../src/signature/header-lines.js';

describe('header lines of one client', () => {
  it('are those of the request, whatever the ones before said', () => {
    const names = ['host', 'range', 'x-amz-date'];
    const value = fc.constantFrom('a', ' a', 'a  b', '', 'c\td');
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value, value)), (requests) => {
        const lines = new HeaderLines(names);
        for (const values of requests) {
          const valueOf = (name: string): string => values[names.indexOf(name)] ?? '';
          expect(lines.of(valueOf)).toEqual(canonicalHeaders(names, valueOf));
        }
      }),
    );
  });

  it('are right after a request in which a header was missing', () => {
    const names = ['a', 'b', 'c'];
    const lines = new HeaderLines(names);
    const all = (value: string) => lines.of(() => value);
    expect(all('1')).toBe('a:1\nb:1\nc:1\n\na;b;c');
    const missing = (name: string): string => {
      if (name === 'b') throw new Error('missing');
      return '2';
    };
    expect(() => lines.of(missing)).toThrow('missing');
    expect(all('1')).toBe('a:1\nb:1\nc:1\n\na;b;c');
    expect(() => lines.of(missing)).toThrow('missing');
    expect(all('2')).toBe('a:2\nb:2\nc:2\n\na;b;c');
  });

  it('are right where a value is secret', () => {
    const lines = new HeaderLines(['host', 'x-amz-security-token']);
    for (const value of ['t', 't', 'u'])
      expect(lines.of(() => value)).toBe(`host:${value}\nx-amz-security-token:${value}\n\nhost;x-amz-security-token`);
  });

  it('may be none', () => {
    expect(new HeaderLines([]).of(() => '')).toBe('\n');
  });
});
