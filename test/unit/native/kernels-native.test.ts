/**
 * Compiles the kernels alone with g++ and runs them: under the address and undefined-behaviour
 * sanitizers, and against ISA-L and libhighwayhash. With them the index, and the queues of file operations.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
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
interface Sources {
  sourcesIn(folder: string): string[];
}

const run = promisify(execFile);
const { compileWithKernels } = createRequire(import.meta.url)('../../native/compile.cjs') as Compiler;
const crypto = '-l:libcrypto.so.3';
const { sourcesIn } = createRequire(import.meta.url)('../../../scripts/native-sources.cjs') as Sources;
const indexSources = ['test/native/index-test.cc', ...sourcesIn('native/index')];
// Half a minute on an idle machine.
const minutes = 60_000;
/** One that does not end goes with its test. */
const timeout = 1.5 * minutes;

async function compile(source: string, flags: string[], libraries: string[], sources: string[] = []): Promise<string> {
  return compileWithKernels(source, { folder: await mkdtemp(path.join(folder, 'build-')), flags, libraries, sources });
}

/** The thread sanitizer of today's compilers knows where memory lies only when the kernel moves it about by so much. */
const addressBitsMax = 28;

function withKnownAddresses(program: string): [string, string[]] {
  const bits = Number(readFileSync('/proc/sys/vm/mmap_rnd_bits', 'latin1'));
  return bits > addressBitsMax ? ['setarch', ['-R', program]] : [program, []];
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
        const { stdout } = await run(program, [seed], { timeout, env: { ...process.env, GRANARY_KERNEL: cap } });
        expect(stdout, `GRANARY_KERNEL=${cap}`).toContain('ok kernels');
      }
    },
    5 * minutes,
  );

  it(
    'have nothing that two threads touch without an order, nor have the index and the queues',
    async () => {
      const sources = ['native/index', 'native/io'].flatMap(sourcesIn);
      const program = await compile('test/native/threads-test.cc', ['-O1', '-fsanitize=thread'], [crypto], sources);
      const [command, args] = withKnownAddresses(program);
      const { stdout } = await run(command, [...args, String(Math.floor(Math.random() * 2 ** 32))], { timeout });
      expect(stdout).toContain('ok threads');
    },
    5 * minutes,
  );

  it(
    'agree with ISA-L and libhighwayhash (Debian: libisal-dev, libhighwayhash-dev)',
    async () => {
      const program = await compile('test/native/oracle-test.cc', ['-O2'], ['-lisal', '-lhighwayhash', crypto]);
      const { stdout } = await run(program, [String(Math.floor(Math.random() * 2 ** 32))], { timeout });
      expect(stdout).toContain('ok oracles');
    },
    5 * minutes,
  );
});
