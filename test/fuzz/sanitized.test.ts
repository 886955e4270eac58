/**
 * The whole addon under the address and undefined-behaviour sanitizers: in node, with the calls of bindings.test.ts; with
 * libFuzzer in a program in which test/native/fake-napi.cc stands in for node; and its kernels alone, where libFuzzer looks
 * for an input on which a path differs or leaves its bounds. GRANARY_SEED replays the calls, GRANARY_FUZZ_CALLS and
 * GRANARY_FUZZ_SECONDS (for each kernel) make the runs longer.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefusals } from './bindings-run.js';

interface Sanitized {
  readonly addon: string;
  readonly runtime: string;
  readonly bindings: string;
  readonly kernels: string;
}
interface Compiler {
  compileSanitized(folder: string): Promise<Sanitized>;
}

const run = promisify(execFile);
const { compileSanitized } = createRequire(import.meta.url)('../native/compile.cjs') as Compiler;
const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const callCount = Number(process.env['GRANARY_FUZZ_CALLS'] ?? 40_000);
const kernelSeconds = Number(process.env['GRANARY_FUZZ_SECONDS'] ?? 2);
/** There are as many bindings as ten kernels, and more. */
const bindingsSeconds = 5 * kernelSeconds;

const folder = mkdtempSync(join(tmpdir(), 'granary-sanitized-'));
let built: Sanitized;
beforeAll(async () => {
  built = await compileSanitized(folder);
}, 600_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function folderFor(name: string): string {
  const made = join(folder, name);
  mkdirSync(made);
  return made;
}

describe('bindings', () => {
  it(`touch nothing out of bounds in node, whatever they are called with (seed ${seed})`, async () => {
    // What node itself leaves behind at its end is not ours.
    const env = { LD_PRELOAD: built.runtime, ASAN_OPTIONS: 'detect_leaks=0' };
    await expectRefusals({ seed, callCount, folder: folderFor('node'), addon: built.addon, env });
  });

  it(
    'touch nothing out of bounds, whatever libFuzzer calls them with, and always answer or throw',
    async () => {
      // What it starts from: random bytes are calls of all of them.
      const corpus = folderFor('corpus');
      for (let index = 0; index < 400; index++) writeFileSync(join(corpus, String(index)), randomBytes(512));
      // A failure prints the seed and the input.
      const args = [
        corpus,
        `-max_total_time=${bindingsSeconds}`,
        '-max_len=512',
        '-len_control=0',
        '-print_final_stats=1',
      ];
      // Looked for once, at the end: with threads about, it would be done after each input.
      args.push('-detect_leaks=0');
      // Counting how rare a feature is takes a quarter of the time here.
      args.push('-entropic=0');
      const { stdout, stderr } = await run(built.bindings, args, { cwd: folderFor('fuzz'), maxBuffer: 1 << 26 });
      expect(Number(/number_of_executed_units: (\d+)/.exec(stderr)?.[1])).toBeGreaterThan(10);
      const calls = JSON.parse(stdout) as Record<string, { answered: number; refused: number }>;
      const [coverage] = /DONE {3}cov: \d+ ft: \d+/.exec(stderr) ?? [];
      const total = Object.values(calls).reduce((sum, { answered, refused }) => sum + answered + refused, 0);
      console.log(`bindings: ${total} calls under libFuzzer, ${coverage}`);
      // A process is never replaced by a program that is not there.
      const silent = Object.keys(calls).filter((name) => calls[name]?.answered === 0);
      expect(silent).toEqual(['exports.replaceProcess']);
      expect(calls['exports.replaceProcess']?.refused).toBeGreaterThan(0);
    },
    60_000 + bindingsSeconds * 2000,
  );
});

describe('kernels', () => {
  const selected = ['pass', 'digest', 'stream'];
  const all = ['reed-solomon', 'highway-hash', 'crc', 'md5', 'sha256', 'copy', 'argon2', ...selected];
  const targets: [string, string, object][] = [
    ...all.map((kernel): [string, string, object] => [kernel, kernel, {}]),
    // These take the paths that were selected, so that the others need a process of their own.
    ...selected.map((kernel): [string, string, object] => [
      `${kernel} on the scalar paths`,
      kernel,
      { GRANARY_KERNEL: 'scalar' },
    ]),
  ];
  it.each(targets)(
    'no input makes %s differ from its reference',
    async (name, kernel, cap) => {
      // A failure prints the seed and the input.
      const args = [`-max_total_time=${kernelSeconds}`, '-max_len=16384', '-print_final_stats=1'];
      const env = { ...process.env, GRANARY_FUZZ: kernel, ...cap };
      const cwd = folderFor(name.replaceAll(' ', '-'));
      const { stderr } = await run(built.kernels, args, { cwd, env, maxBuffer: 1 << 26 });
      expect(Number(/number_of_executed_units: (\d+)/.exec(stderr)?.[1])).toBeGreaterThan(10);
    },
    60_000 + kernelSeconds * 2000,
  );
});
