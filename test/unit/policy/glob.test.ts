import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesSomeContinuation, matchSegments } from '../../../src/policy/glob.js';
import { compilePattern } from '../../../src/policy/template.js';

/** Patterns against the plain definition of them: a regular expression over characters. */
function matches(pattern: string, text: string): boolean {
  return matchSegments(compilePattern(pattern).literalSegments, text);
}

function expected(pattern: string, text: string): boolean {
  const source = Array.from(pattern, (one) =>
    one === '*' ? '.*' : one === '?' ? '.' : one.replace(/[\\^$.|+()[\]{}/-]/, '\\$&'),
  );
  return new RegExp(`^${source.join('')}$`, 'su').test(text);
}

const letters = fc.constantFrom('a', 'b', '*', '?', '/', '.', '😀');
const texts = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '😀', 'ü'), maxLength: 12 });

test('a pattern matches what its regular expression does', () => {
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 8 }), texts, (pattern, text) => {
      expect(matches(pattern, text)).toBe(expected(pattern, text));
    }),
    { numRuns: 5000 },
  );
});

test('long pieces between stars too', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '?'), minLength: 30, maxLength: 70 });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 3 }), fc.boolean(), texts, (pieces, isBroken, noise) => {
      const pattern = `*${pieces.join('*')}*`;
      const text = noise + pieces.map((one) => one.replaceAll('?', 'b')).join(noise) + noise;
      const asked = isBroken ? text.replace('a', 'c') : text;
      expect(matches(pattern, asked)).toBe(expected(pattern, asked));
      if (!isBroken) expect(matches(pattern, asked)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('some continuation of a text', () => {
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 6 }), texts, texts, (pattern, text, rest) => {
      const { literalSegments } = compilePattern(pattern);
      if (expected(pattern, text + rest)) expect(matchesSomeContinuation(literalSegments, text)).toBe(true);
      // A pattern without stars has few continuations: none is longer than it.
      if (!pattern.includes('*') && Array.from(text).length > Array.from(pattern).length) {
        expect(matchesSomeContinuation(literalSegments, text)).toBe(false);
      }
    }),
    { numRuns: 2000 },
  );
});

describe('time is linear in the text, however the pattern is made', () => {
  test.each<readonly [what: string, pattern: string, text: string]>([
    ['many stars', '*a'.repeat(500) + '*b', 'a'.repeat(1024)],
    ['many marks', '*' + '?'.repeat(1000) + 'b', 'a'.repeat(1024)],
    ['a long piece that almost fits', `*${'a'.repeat(900)}b*`, 'a'.repeat(1024)],
    ['a long piece with a mark', `*${'a'.repeat(900)}?b*`, 'a'.repeat(1024)],
    ['stars and marks', '*?a'.repeat(300) + 'b', 'a'.repeat(1024)],
  ])('%s', (_what, pattern, text) => {
    const begun = performance.now();
    for (let round = 0; round < 20; round++) expect(matches(pattern, text)).toBe(false);
    // A backtracking matcher would need longer than the universe has been there.
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});
