import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeaderMap } from '../../../src/exchange/index.js';

describe('headers', () => {
  it('are found by their name, joined when they were repeated, and named in order of arrival', () => {
    const headers = HeaderMap.from([
      ['Host', 'here'],
      ['x-amz-date', '1'],
      ['X-Amz-Date', '2'],
      ['x-amz-dats', ''],
    ]);
    expect(headers.get('x-amz-date')).toBe('1,2');
    expect(headers.get('x-amz-dats')).toBe('');
    expect(headers.get('x-amz-datz')).toBeUndefined();
    expect(headers.has('host')).toBe(true);
    expect(headers.names()).toEqual(['host', 'x-amz-date', 'x-amz-dats']);
    expect(headers.size).toBe(3);
  });

  it('are those of a table, whatever the lengths of their names', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 70 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 100 }), fc.array(name), (pairs, asked) => {
        const headers = HeaderMap.from(pairs);
        const table = new Map<string, string>();
        for (const [key, value] of pairs) table.set(key, table.has(key) ? `${table.get(key)},${value}` : value);
        for (const key of [...table.keys(), ...asked]) {
          expect(headers.get(key)).toBe(table.get(key));
          expect(headers.has(key)).toBe(table.has(key));
        }
        expect(headers.names()).toEqual([...table.keys()]);
      }),
    );
  });
});
