/**
 * Ellipses in drive arguments: `/mnt/drive{1...4}`, `{01...16}`, `{a...f}`, several in one argument, three dots.
 * As in MinIO: a leading zero pads to the width of the second bound, letters are hexadecimal digits, and the
 * leftmost range varies fastest, so that neighbours in the list lie in different folders.
 */
import { limits, StartupError } from '../base/index.js';

/** Both bounds included. Groups never nest: braces end at the first `}`. */
const rangePattern = /\{([0-9a-z]+)\.\.\.([0-9a-z]+)\}/g;

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
  // Built from the end, so that the range before varies within each value of the ranges after it.
  return ranges.reduceRight<readonly string[]>(
    (tails, range, index) =>
      tails.flatMap((tail) => range.map((value) => `${literals[index] as string}${value}${tail}`)),
    [literals[literals.length - 1] as string],
  );
}

function expandRange(first: string, last: string, argument: string): readonly string[] {
  const isDecimal = /^\d+$/.test(first) && /^\d+$/.test(last);
  if (!isDecimal && !/^[0-9a-f]+$/.test(first + last)) {
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
  const isPadded = (first.length > 1 && first.startsWith('0')) || last.startsWith('0');
  const width = isPadded ? last.length : 0;
  return Array.from({ length: to - from + 1 }, (_, index) => (from + index).toString(radix).padStart(width, '0'));
}
