import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likelyPlaces } from '../../../src/wiring/likely-places.js';

/** Drives by letter, in the order of their places: `a.c?` is four folders, without a drive in the second and the last. */
function guessed(folders: string, placeCount: number): string {
  const found = [...folders].map((letter) => (letter === '.' ? null : letter.charCodeAt(0) - 97));
  const places = likelyPlaces(found, placeCount);
  return [...folders]
    .map((letter, folder) => {
      if (letter !== '.') return letter;
      const place = places.get(folder);
      return place === undefined ? '-' : String.fromCharCode(97 + place);
    })
    .join('');
}

describe('the likely place of a folder without a drive', () => {
  it('is its own when all folders are named in the order of the places, whatever is missing', () => {
    const letters = 'abcdefgh';
    for (let mask = 0; mask < 1 << letters.length; mask++) {
      const folders = [...letters].map((letter, place) => ((mask >> place) & 1 ? letter : '.')).join('');
      expect(guessed(folders, letters.length), folders).toBe(letters);
    }
  });

  it.each([
    // Not all folders are named: what lies between two drives, or at an end, says it alone.
    ['b.d', 4, 'bcd'],
    ['.cd', 4, 'acd'],
    ['b.', 3, 'bc'],
    ['abc..fg', 8, 'abcdefg'],
    // The drives on both sides leave a choice: the first of it.
    ['a.d', 4, 'abd'],
    ['a..f', 6, 'abcf'],
    ['..', 4, 'ab'],
  ])('%s of %i is %s when some were not named', (folders, placeCount, expected) => {
    expect(guessed(folders, placeCount)).toBe(expected);
  });

  it.each([
    // Two were swapped: the others are where they were.
    ['ba..', 'bacd'],
    ['b.d.', 'bcda'],
    ['c.a.', 'cbad'],
    ['a.bc', 'adbc'],
    ['d..a', 'dbca'],
    // Moved along by some: the neighbours know more than the position does.
    ['b.daf.', 'bcdafe'],
    ['c.ef.b', 'cdefab'],
    ['ef....cd', 'efghabcd'],
    // Only one place is left.
    ['dcb.', 'dcba'],
  ])('%s is %s when the drives are found in another order', (folders, expected) => {
    expect(guessed(folders, folders.length)).toBe(expected);
  });

  it('is a missing one, and each of another folder, whatever is found where', () => {
    const arrangement = fc.integer({ min: 1, max: 24 }).chain((placeCount) =>
      fc.record({
        placeCount: fc.constant(placeCount),
        found: fc
          .shuffledSubarray(Array.from({ length: placeCount }, (_, place) => place))
          .chain((places) =>
            fc
              .array(fc.nat({ max: places.length }), { maxLength: 8 })
              .map((gaps) =>
                gaps.reduce<(number | null)[]>((row, at) => [...row.slice(0, at), null, ...row.slice(at)], places),
              ),
          ),
      }),
    );
    fc.assert(
      fc.property(arrangement, ({ found, placeCount }) => {
        const places = likelyPlaces(found, placeCount);
        const folders = [...found.keys()].filter((folder) => found[folder] === null);
        const missing = Array.from({ length: placeCount }, (_, place) => place).filter(
          (place) => !found.includes(place),
        );
        expect(places.size).toBe(Math.min(folders.length, missing.length));
        expect(new Set(places.values()).size).toBe(places.size);
        for (const [folder, place] of places) {
          expect(folders).toContain(folder);
          expect(missing).toContain(place);
        }
      }),
    );
  });
});
