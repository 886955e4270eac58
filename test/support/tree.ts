/** A folder tree as people have them, made of the same bytes in each run, and the comparison of two trees. */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';

const MiB = 1024 * 1024;
const smallFileCount = 2000;

/** A little over 1 GiB, and no multiple of anything. */
export const bigFileBytes = 1075 * MiB + 54_321;

/** Around the bounds of shards, stripes, inline objects and parts. */
const lengths = [1, 4095, 4096, 4097, 65_535, 65_536, 131_071, 131_072, 131_073, 262_145, MiB - 1, MiB, MiB + 1];
const longLengths = [2 * MiB, 5 * MiB, 8 * MiB + 1, 17 * MiB + 3];

/** Names that go through every client. */
const oddNames: readonly string[] = [
  'with space',
  ' leading space',
  'trailing space ',
  'two  spaces',
  'plus+plus',
  'amp&amp;',
  'percent%',
  'percent%20percent%2F',
  'quote"double',
  "quote'single",
  'back`tick',
  '.hidden',
  '..two-dots',
  '...',
  'ends.',
  'semi;colon',
  'comma,',
  'equals=',
  'hash#hash',
  'question?mark=1&x',
  'star*',
  'pipe|',
  '<less-greater>',
  'back\\slash',
  'tilde~',
  'at@',
  'dollar$HOME',
  'exclamation!',
  '(parentheses)',
  '[brackets]',
  '{braces}',
  'caret^',
  'colon:colon',
  'caf\u00e9',
  'cafe\u0301',
  '日本語',
  'Ελληνικά',
  'emoji-😀',
  'שלום',
  'no-break\u00a0space',
  'ä'.repeat(120),
  'L'.repeat(250),
  'a',
  'a.b',
  'a-b',
];
const oddPaths: readonly string[] = ['a+b/c d/%/é', 'ab/c', '.hidden-folder/.hidden', `${'deep/'.repeat(60)}file`];
/** Some clients replace these. */
const controlNames: readonly string[] = ['new\nline', 'tab\ttab', 'carriage\rreturn', '\u0001'];

export interface TreeOptions {
  /** Names with control characters too. */
  readonly control?: boolean;
  /** Names that this client cannot carry; say why beside it. */
  readonly without?: readonly string[];
}

/** Deterministic and fast: xorshift32. */
export function patternBytes(bytes: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = (Math.imul(seed + 1, 2_654_435_761) >>> 0) | 1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, bytes);
}

/** Answers how many files there are. */
export function makeTree(folder: string, options: TreeOptions = {}): number {
  let count = 0;
  const write = (path: string, bytes: Uint8Array | string) => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    count += 1;
  };
  for (let index = 0; index < smallFileCount; index += 1) {
    // From nothing to 20 KiB.
    write(`small/${index % 25}/file-${index}.bin`, patternBytes((index * 7919) % 20_000, index));
  }
  write('sizes/0', '');
  for (const bytes of [...lengths, ...longLengths]) write(`sizes/${bytes}`, patternBytes(bytes, bytes));
  const without = new Set(options.without);
  const names = [...oddNames, ...(options.control === true ? controlNames : [])].filter((name) => !without.has(name));
  for (const name of names) write(`odd/${name}`, `content of ${name}`);
  for (const path of oddPaths) write(`odd/folders/${path}`, path);
  return count;
}

/** Mostly holes, so that it costs no time, with a number every 64 KiB and some dense MiB. */
export function makeBigFile(path: string): void {
  const file = openSync(path, 'wx');
  ftruncateSync(file, bigFileBytes);
  const mark = Buffer.alloc(8);
  for (let at = 0; at < bigFileBytes - 8; at += 65_536) {
    mark.writeDoubleLE(at + 0.5);
    writeSync(file, mark, 0, 8, at);
  }
  for (const at of [0, 5 * MiB - 100, 333 * MiB + 7, 1024 * MiB - 12_345, bigFileBytes - MiB]) {
    writeSync(file, patternBytes(MiB, at), 0, MiB, at);
  }
  closeSync(file);
}

/** Paths of all files below, `/` between, in byte order; folders are not named. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** One line for each difference: none when both hold the same files with the same bytes. */
export function differences(wanted: string, found: string): string[] {
  const here = new Set(filesBelow(wanted));
  const there = new Set(filesBelow(found));
  const lines: string[] = [];
  for (const path of there) if (!here.has(path)) lines.push(`unexpected: ${JSON.stringify(path)}`);
  for (const path of here) {
    if (!there.has(path)) lines.push(`missing: ${JSON.stringify(path)}`);
    else if (!sameBytes(join(wanted, path), join(found, path))) lines.push(`differs: ${JSON.stringify(path)}`);
  }
  return lines;
}

/** Whether two files hold the same bytes. */
export function sameBytes(one: string, other: string): boolean {
  const total = statSync(one).size;
  if (statSync(other).size !== total) return false;
  const left = openSync(one, 'r');
  const right = openSync(other, 'r');
  const a = Buffer.alloc(Math.min(total, 4 * MiB));
  const b = Buffer.alloc(a.length);
  try {
    for (let at = 0; at < total;) {
      const bytes = readSync(left, a, 0, a.length, at);
      if (bytes === 0 || !fillFrom(right, b, bytes, at) || a.compare(b, 0, bytes, 0, bytes) !== 0) return false;
      at += bytes;
    }
    return true;
  } finally {
    closeSync(left);
    closeSync(right);
  }
}

function fillFrom(file: number, into: Buffer, bytes: number, position: number): boolean {
  for (let at = 0; at < bytes;) {
    const got = readSync(file, into, at, bytes - at, position + at);
    if (got === 0) return false;
    at += got;
  }
  return true;
}

export async function sha256Of(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}
