/**
 * The whole addon under the address and undefined-behaviour sanitizers: in node, with the calls of bindings.test.ts, and
 * with libFuzzer in a program in which test/native/fake-napi.cc stands in for node. GRANARY_SEED replays the calls,
 * GRANARY_FUZZ_CALLS and GRANARY_FUZZ_SECONDS make the runs longer.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectRefusals } from './bindings-run.js';

interface SanitizedAddon {
  readonly addon: string;
  readonly runtime: string;
  readonly program: string;
}
interface Compiler {
  compileSanitizedAddon(folder: string, programSources: readonly string[]): Promise<SanitizedAddon>;
}

const run = promisify(execFile);
const { compileSanitizedAddon } = createRequire(import.meta.url)('../native/compile.cjs') as Compiler;
const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const callCount = Number(process.env['GRANARY_FUZZ_CALLS'] ?? 40_000);
/** There are as many bindings as ten kernels, and more. */
const seconds = 5 * Number(process.env['GRANARY_FUZZ_SECONDS'] ?? 2);

const folder = mkdtempSync(join(tmpdir(), 'granary-sanitized-'));
let built: SanitizedAddon;
beforeAll(async () => {
  built = await compileSanitizedAddon(folder, ['test/native/fake-napi.cc', 'test/native/fuzz-bindings.cc']);
}, 600_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function folderFor(name: string): string {
  const made = join(folder, name);
  mkdirSync(made);
  return made;
}

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
    const args = [corpus, `-max_total_time=${seconds}`, '-max_len=512', '-len_control=0', '-print_final_stats=1'];
    // Looked for once, at the end: with threads about, it would be done after each input.
    args.push('-detect_leaks=0');
    // Counting how rare a feature is takes a quarter of the time here.
    args.push('-entropic=0');
    const { stdout, stderr } = await run(built.program, args, { cwd: folderFor('fuzz'), maxBuffer: 1 << 26 });
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
  60_000 + seconds * 2000,
);
