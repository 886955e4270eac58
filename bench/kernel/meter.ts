/**
 * A child process that measures what it is told, one command a line. The bench talks to two of them
 * in turn, so that what is compared is measured in the same moments on the same machine.
 */
import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The project's folder, from the source tree or from where it was compiled to. */
export function projectRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'binding.gyp'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('the kernel bench runs inside a checkout of the project');
    folder = parent;
  }
  return folder;
}

export class Meter {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(command, args, { env, stdio: 'pipe' });
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(command: string): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    const answer = await this.#lines.next();
    if (answer.done) throw new Error(`the measuring process ended at: ${command}`);
    return answer.value;
  }

  /** GB/s of object bytes over about this many milliseconds. */
  async rate(command: string, milliseconds: number): Promise<number> {
    const value = Number(await this.ask(`${command} ${milliseconds}`));
    if (!(value > 0)) throw new Error(`not a measurement: ${command}`);
    return value;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.stdin.end();
    await exited;
  }
}

/** The addon; `cap` is the best path it may take (empty: the best there is). */
export function addonMeter(cap: string): Meter {
  const script = path.join(projectRoot(), 'bench', 'kernel', 'measure.cjs');
  return new Meter(process.execPath, [script], { ...process.env, GRANARY_KERNEL: cap });
}

/** Compiles the reference programs; runs `use` with them, then removes them. */
export async function withAnchorMeter<T>(use: (anchor: Meter) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'granary-anchor-'));
  try {
    const source = path.join(projectRoot(), 'bench', 'kernel', 'anchor.cc');
    const program = path.join(folder, 'anchor');
    const libraries = ['-lisal', '-lhighwayhash', '-l:libcrypto.so.3'];
    await run('g++', ['-O3', '-std=c++17', source, '-o', program, ...libraries]).catch((cause: unknown) => {
      throw new Error('the anchors need g++ and the Debian packages libisal-dev and libhighwayhash-dev', { cause });
    });
    const anchor = new Meter(program, [], process.env);
    try {
      return await use(anchor);
    } finally {
      await anchor.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}
