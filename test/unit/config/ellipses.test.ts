import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { expandEllipses } from '../../../src/config/ellipses.js';

describe('expandEllipses', () => {
  test.each([
    ['/mnt/data', ['/mnt/data']],
    ['/mnt/{1...4}', ['/mnt/1', '/mnt/2', '/mnt/3', '/mnt/4']],
    ['/mnt/{01...03}', ['/mnt/01', '/mnt/02', '/mnt/03']],
    ['/mnt/{8...11}', ['/mnt/8', '/mnt/9', '/mnt/10', '/mnt/11']],
    ['/mnt/{08...11}', ['/mnt/08', '/mnt/09', '/mnt/10', '/mnt/11']],
    ['/mnt/{001...2}', ['/mnt/1', '/mnt/2']],
    ['/mnt/{9...010}', ['/mnt/009', '/mnt/010']],
    ['/mnt/{0a...0c}', ['/mnt/0a', '/mnt/0b', '/mnt/0c']],
    ['/mnt/{0...2}', ['/mnt/0', '/mnt/1', '/mnt/2']],
    ['/mnt/{a...f}', ['/mnt/a', '/mnt/b', '/mnt/c', '/mnt/d', '/mnt/e', '/mnt/f']],
    ['/mnt/{9...b}', ['/mnt/9', '/mnt/a', '/mnt/b']],
    ['/mnt/{3...3}', ['/mnt/3']],
    ['{1...2}', ['1', '2']],
    ['/r{1...2}/d{a...b}/x', ['/r1/da/x', '/r2/da/x', '/r1/db/x', '/r2/db/x']],
    ['/r{1...2}{01...02}', ['/r101', '/r201', '/r102', '/r202']],
    ['/with ... dots', ['/with ... dots']],
    ['/with{brace}', ['/with{brace}']],
  ])('%s', (argument, expected) => {
    expect(expandEllipses(argument)).toEqual(expected);
  });

  test.each([
    ['/mnt/{4...1}', 'backwards'],
    ['/mnt/{1...}', 'not a valid range'],
    ['/mnt/{...4}', 'not a valid range'],
    ['/mnt/{1....4}', 'not a valid range'],
    ['/mnt/{1...4', 'not a valid range'],
    ['/mnt/1...4}', 'not a valid range'],
    ['/mnt/{{1...4}}', 'not a valid range'],
    ['/mnt/{1...2...3}', 'not a valid range'],
    ['/mnt/{1..4}', 'two dots'],
    ['/mnt/{a...z}', 'hexadecimal'],
    ['/mnt/{A...F}', 'not a valid range'],
    ['/mnt/{-1...4}', 'not a valid range'],
    ['/mnt/{1...99999999999999999999}', 'too large'],
    ['/mnt/{1...100000}', '100000 folders'],
    ['/mnt/{1...100}/{1...100}', '10000 folders'],
  ])('refuses %s', (argument, part) => {
    expect(() => expandEllipses(argument)).toThrow(StartupError);
    expect(() => expandEllipses(argument)).toThrow(part);
  });

  test('a range has as many distinct values as its bounds say, in order', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(200), fc.nat(4), (from, more, zeros) => {
        const first = '0'.repeat(zeros) + String(from);
        const values = expandEllipses(`d{${first}...${from + more}}`);
        expect(values).toHaveLength(more + 1);
        expect(new Set(values).size).toBe(more + 1);
        expect(values.map((value) => Number(value.slice(1)))).toEqual(
          Array.from({ length: more + 1 }, (_, index) => from + index),
        );
      }),
    );
  });

  test('any argument is expanded or refused as a start-up mistake, and stays within its bound', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a{}.0-9/-]{0,20}$/), (argument) => {
        try {
          expect(expandEllipses(argument).length).toBeLessThanOrEqual(1024);
        } catch (error) {
          expect(error).toBeInstanceOf(StartupError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
