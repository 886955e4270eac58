/**
 * Matching with `*` (any run, also of `/`) and `?` (one character) without backtracking: what stands between
 * two stars is found leftmost, which is never worse than any later place. Time is linear in the text,
 * however the pattern is made.
 */

/** What stands between two stars. Text, or code points with `anyOne` among them. */
export type Segment = string | Int32Array;

/** In place of a code point: `?`. */
export const anyOne = -1;

/** Segments up to this are looked for the plain way: so many comparisons for each place at the most. */
const plainSearchCharsMax = 32;

/** Knuth–Morris–Pratt: never steps back in the text. */
function searchLong(text: string, part: string, from: number): number {
  const shorter = new Int32Array(part.length);
  for (let index = 1, length = 0; index < part.length; index++) {
    while (length > 0 && part.charCodeAt(index) !== part.charCodeAt(length)) length = shorter[length - 1] ?? 0;
    if (part.charCodeAt(index) === part.charCodeAt(length)) length++;
    shorter[index] = length;
  }
  for (let index = from, length = 0; index < text.length; index++) {
    while (length > 0 && text.charCodeAt(index) !== part.charCodeAt(length)) length = shorter[length - 1] ?? 0;
    if (text.charCodeAt(index) === part.charCodeAt(length)) length++;
    if (length === part.length) return index + 1 - length;
  }
  return -1;
}

function searchText(text: string, part: string, from: number): number {
  return part.length <= plainSearchCharsMax ? text.indexOf(part, from) : searchLong(text, part, from);
}

/** Segments without `?`. Requires: at least one. */
export function matchText(segments: readonly string[], text: string): boolean {
  const first = segments[0] ?? '';
  const last = segments.length - 1;
  if (last === 0) return text === first;
  const tail = segments[last] ?? '';
  if (!text.startsWith(first) || text.length < first.length + tail.length || !text.endsWith(tail)) return false;
  let from = first.length;
  const end = text.length - tail.length;
  for (let index = 1; index < last; index++) {
    const part = segments[index] ?? '';
    const at = searchText(text, part, from);
    if (at < 0 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

export function codePoints(text: string): Int32Array {
  return Int32Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

function matchesAt(text: Int32Array, part: Int32Array, at: number): boolean {
  if (at < 0 || at + part.length > text.length) return false;
  for (let index = 0; index < part.length; index++) {
    const wanted = part[index];
    if (wanted !== anyOne && wanted !== text[at + index]) return false;
  }
  return true;
}

/** Shift-And: bit i of the state says that the part's first i + 1 characters end here. 32 of them a step. */
function searchLongCodePoints(text: Int32Array, part: Int32Array, from: number): number {
  const wordCount = Math.ceil(part.length / 32);
  const everywhere = new Uint32Array(wordCount);
  const masks = new Map<number, Uint32Array>();
  for (const point of part) if (point !== anyOne) masks.set(point, new Uint32Array(wordCount));
  part.forEach((point, index) => {
    for (const mask of point === anyOne ? [everywhere, ...masks.values()] : [masks.get(point) ?? everywhere]) {
      mask[index >>> 5] = (mask[index >>> 5] ?? 0) | (1 << (index & 31));
    }
  });
  const state = new Uint32Array(wordCount);
  const lastWord = wordCount - 1;
  const lastBit = 1 << ((part.length - 1) & 31);
  for (let at = from; at < text.length; at++) {
    const mask = masks.get(text[at] ?? 0) ?? everywhere;
    let carry = 1;
    for (let word = 0; word < wordCount; word++) {
      const before = state[word] ?? 0;
      state[word] = ((before << 1) | carry) & (mask[word] ?? 0);
      carry = before >>> 31;
    }
    if (((state[lastWord] ?? 0) & lastBit) !== 0) return at + 1 - part.length;
  }
  return -1;
}

function searchCodePoints(text: Int32Array, part: Int32Array, from: number): number {
  if (part.length > plainSearchCharsMax) return searchLongCodePoints(text, part, from);
  for (let at = from; at + part.length <= text.length; at++) if (matchesAt(text, part, at)) return at;
  return -1;
}

const toCodePoints = (segment: Segment): Int32Array => (typeof segment === 'string' ? codePoints(segment) : segment);

function matchCodePoints(segments: readonly Segment[], text: Int32Array): boolean {
  const parts = segments.map(toCodePoints);
  const first = parts[0] ?? new Int32Array();
  const last = parts.length - 1;
  if (last === 0) return first.length === text.length && matchesAt(text, first, 0);
  const tail = parts[last] ?? first;
  const end = text.length - tail.length;
  if (first.length > end || !matchesAt(text, first, 0) || !matchesAt(text, tail, end)) return false;
  let from = first.length;
  for (let index = 1; index < last; index++) {
    const part = parts[index] ?? first;
    const at = searchCodePoints(text, part, from);
    if (at < 0 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

const isText = (segments: readonly Segment[]): segments is readonly string[] =>
  segments.every((segment) => typeof segment === 'string');

/** Requires: at least one segment. */
export function matchSegments(segments: readonly Segment[], text: string): boolean {
  return isText(segments) ? matchText(segments, text) : matchCodePoints(segments, codePoints(text));
}

/** Whether the pattern matches some text that begins with this one. Time is the product of both lengths: for parsing only. */
export function matchesSomeContinuation(segments: readonly Segment[], text: string): boolean {
  const star = -2;
  const pattern: number[] = [];
  segments.forEach((segment, index) => {
    if (index > 0) pattern.push(star);
    pattern.push(...toCodePoints(segment));
  });
  // Places in the pattern at which the rest of the text may begin; a star may stand for nothing.
  const settle = (places: Set<number>): Set<number> => {
    for (const place of places) if (pattern[place] === star) places.add(place + 1);
    return places;
  };
  let places = settle(new Set([0]));
  for (const point of codePoints(text)) {
    const next = new Set<number>();
    for (const place of places) {
      const wanted = pattern[place];
      if (wanted === star) next.add(place);
      else if (wanted === anyOne || wanted === point) next.add(place + 1);
    }
    places = settle(next);
  }
  return places.size > 0;
}
