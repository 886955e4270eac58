/**
 * Ellipses in drive arguments: `/mnt/drive{1...4}`, `{01...16}`, `{a...f}`, several in one argument, three dots.
 * A bound with a leading zero pads all of them; letters are hexadecimal digits, as in MinIO. The leftmost
 * range varies slowest.
 */
import { limits, StartupError } from '../base/index.js';

/** Both bounds included. Groups never nest: braces end at the first `}`. */
const rangePattern = /\{([0-9a-zA-Z]+)\.\.\.([0-9a-zA-Z]+)\}/g;

const remedy = 'Write a range as {1...4}, {01...16} or {a...f}: two bounds, three dots, the smaller one first.';

export function hasEllipses(argument: string): boolean {
  return argument.includes('...') && (argument.includes('{') || argument.includes('}'));
}

/** One argument becomes one or more; without ellipses, itself. Throws StartupError. */
export function expandEllipses(argument: string): readonly string[] {
  if (!hasEllipses(argument)) {
    const shellRange = /\{[^{}]*\.\.[^{}]*\}/.exec(argument);
    if (shellRange !== null) throw new StartupError(`"${argument}" has a range with two dots`, remedy);
    return [argument];
  }
  const literals: string[] = [];
  const ranges: (readonly string[])[] = [];
  let end = 0;
  for (const match of argument.matchAll(rangePattern)) {
    literals.push(argument.slice(end, match.index));
    ranges.push(expandRange(match[1] as string, match[2] as string, argument));
    end = match.index + match[0].length;
  }
  literals.push(argument.slice(end));
  if (literals.some((literal) => /[{}]|\.\.\./.test(literal))) {
    throw new StartupError(`"${argument}" is not a valid range`, remedy);
  }
  const count = ranges.reduce((product, range) => product * range.length, 1);
  if (count > limits.argumentExpansionMax) {
    throw new StartupError(
      `"${argument}" stands for ${count} folders, at most ${limits.argumentExpansionMax} can be named`,
      'Name fewer drives.',
    );
  }
  return ranges.reduce<readonly string[]>(
    (prefixes, range, index) =>
      prefixes.flatMap((prefix) => range.map((value) => `${prefix}${value}${literals[index + 1] as string}`)),
    [literals[0] as string],
  );
}

function expandRange(first: string, last: string, argument: string): readonly string[] {
  const isDecimal = /^\d+$/.test(first) && /^\d+$/.test(last);
  if (!isDecimal && !/^[0-9a-fA-F]+$/.test(first + last)) {
    throw new StartupError(`"${argument}" has a range whose letters are not hexadecimal digits (0-9, a-f)`, remedy);
  }
  const radix = isDecimal ? 10 : 16;
  const [from, to] = [Number.parseInt(first, radix), Number.parseInt(last, radix)];
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) {
    throw new StartupError(`"${argument}" has a range with numbers that are too large`, remedy);
  }
  if (from > to) throw new StartupError(`"${argument}" has a range that runs backwards`, remedy);
  if (to - from >= limits.argumentExpansionMax) {
    throw new StartupError(`"${argument}" stands for ${to - from + 1} folders`, 'Name fewer drives.');
  }
  // The padding is that of the longer bound, and only asked for by a leading zero.
  const isPadded = (first.length > 1 && first.startsWith('0')) || (last.length > 1 && last.startsWith('0'));
  const width = isPadded ? Math.max(first.length, last.length) : 0;
  return Array.from({ length: to - from + 1 }, (_, index) => (from + index).toString(radix).padStart(width, '0'));
}
