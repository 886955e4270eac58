/**
 * Compiles the kernels alone with g++ and runs them: under the address and undefined-behaviour
 * sanitizers, and against ISA-L and libhighwayhash.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface CompileOptions {
  readonly folder: string;
  readonly flags: readonly string[];
  readonly libraries: readonly string[];
  readonly sources?: readonly string[];
}
interface Compiler {
  compileWithKernels(source: string, options: CompileOptions): Promise<string>;
}

const run = promisify(execFile);
const { compileWithKernels } = createRequire(import.meta.url)('../../native/compile.cjs') as Compiler;
const crypto = '-l:libcrypto.so.3';
const indexSources = [
  'test/native/index-test.cc',
  ...['cursor', 'disk-reader', 'file', 'memory-table', 'run', 'store'].map((name) => `native/index/${name}.cc`),
];
// Half a minute on an idle machine.
const minutes = 60_000;

async function compile(source: string, flags: string[], libraries: string[], sources: string[] = []): Promise<string> {
  return compileWithKernels(source, { folder: await mkdtemp(path.join(folder, 'build-')), flags, libraries, sources });
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'granary-kernels-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('kernels compiled alone', () => {
  it(
    'agree with the scalar path and touch nothing out of bounds, on every path',
    async () => {
      const sanitizers = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
      const program = await compile('test/native/kernel-test.cc', sanitizers, [crypto], indexSources);
      const seed = String(Math.floor(Math.random() * 2 ** 32));
      // The program walks all paths it may use; the cap decides which one the stripe pass takes.
      for (const cap of ['scalar', 'avx2', 'gfni']) {
        const { stdout } = await run(program, [seed], { env: { ...process.env, GRANARY_KERNEL: cap } });
        expect(stdout, `GRANARY_KERNEL=${cap}`).toContain('ok kernels');
      }
    },
    5 * minutes,
  );

  it(
    'agree with ISA-L and libhighwayhash (Debian: libisal-dev, libhighwayhash-dev)',
    async () => {
      const program = await compile('test/native/oracle-test.cc', ['-O2'], ['-lisal', '-lhighwayhash', crypto]);
      const { stdout } = await run(program, [String(Math.floor(Math.random() * 2 ** 32))]);
      expect(stdout).toContain('ok oracles');
    },
    5 * minutes,
  );
});
