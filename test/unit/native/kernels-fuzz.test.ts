/** Compiles the kernels with clang and lets libFuzzer look for an input on which a path differs or leaves its bounds. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

interface Compiler {
  compileWithKernels(source: string, options: object): Promise<string>;
}

const run = promisify(execFile);
const { compileWithKernels } = createRequire(import.meta.url)('../../native/compile.cjs') as Compiler;
/** GRANARY_FUZZ_SECONDS for each kernel. */
const seconds = Number(process.env['GRANARY_FUZZ_SECONDS'] ?? 2);

let folder: string;
let program: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'granary-fuzz-'));
  program = await compileWithKernels('test/native/fuzz-kernels.cc', {
    compiler: 'clang++',
    folder,
    flags: ['-O1', '-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'],
    libraries: ['-l:libcrypto.so.3'],
  });
}, 600_000);
afterAll(() => rm(folder, { recursive: true }));

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
  async (_, kernel, cap) => {
    // A failure prints the seed and the input.
    const args = [`-max_total_time=${seconds}`, '-max_len=16384', '-print_final_stats=1'];
    const env = { ...process.env, GRANARY_FUZZ: kernel, ...cap };
    const { stderr } = await run(program, args, { cwd: folder, env, maxBuffer: 1 << 26 });
    expect(Number(/number_of_executed_units: (\d+)/.exec(stderr)?.[1])).toBeGreaterThan(10);
  },
  60_000 + seconds * 2000,
);
