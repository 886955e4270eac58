/**
 * What a run of the bench leaves behind unless it is taken away: processes and folders. Ends and removes them
 * at the end and on SIGINT and SIGTERM.
 */
import { execFile, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from './kernel/meter.js';

const run = promisify(execFile);

/** Tmpfs and disk are where the data of the measured programs lies. */
export type Medium = 'tmpfs' | 'disk';

export interface Pinning {
  /** Core lists for taskset; null where it cannot be done. */
  readonly server: string | null;
  readonly client: string | null;
}

/** The load generator has the last core to itself, the servers have the others. */
export async function choosePinning(wanted: boolean): Promise<Pinning> {
  const cores = await ownCores();
  const last = cores.at(-1);
  if (!wanted || cores.length < 2 || last === undefined) return { server: null, client: null };
  return { server: cores.slice(0, -1).join(','), client: String(last) };
}

async function ownCores(): Promise<number[]> {
  try {
    await run('taskset', ['--version']);
    const status = await readFile('/proc/self/status', 'utf8');
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '';
    return list.split(',').flatMap((range) => {
      const [first = Number.NaN, end = first] = range.split('-').map(Number);
      return Array.from({ length: end - first + 1 }, (_, index) => first + index);
    });
  } catch {
    // No taskset, or not Linux: the system places the processes.
    return Array.from({ length: Math.min(1, availableParallelism()) }, () => 0);
  }
}

export class Workspace {
  readonly root = projectRoot();
  readonly #children = new Set<ChildProcess>();
  readonly #folders = new Set<string>();
  readonly #programs = new Map<string, Promise<string>>();

  constructor(
    readonly folders: Readonly<Record<Medium, string | null>>,
    readonly pinning: Pinning,
  ) {
    process.once('exit', this.#removeAll);
    process.once('SIGINT', this.#interrupted);
    process.once('SIGTERM', this.#interrupted);
  }

  /** A new folder on the medium. */
  async makeFolder(medium: Medium, name: string): Promise<string> {
    const parent = this.folders[medium];
    if (parent === null) throw new Error(`there is no folder for ${medium}`);
    await mkdir(parent, { recursive: true });
    const folder = await mkdtemp(path.join(parent, `granary-bench-${name}-`));
    this.#folders.add(folder);
    return folder;
  }

  async removeFolder(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    this.#folders.delete(folder);
  }

  /**
   * Writes out what the file system still holds back: one side of a comparison must not pay for what the other left,
   * thousands of new files for instance, whose inodes the kernel writes half a minute later.
   */
  async settle(folder: string): Promise<void> {
    await run('sync', ['-f', folder]);
  }

  /** Starts a program, on the given cores. */
  start(cores: string | null, command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    // taskset replaces itself by the program: the process id is the program's.
    const child =
      cores === null ? spawn(command, args, options) : spawn('taskset', ['-c', cores, command, ...args], options);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Ends a program politely, after a while not. */
  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(timer);
  }

  /** Compiles a C or C++ program of bench/, unless it was before; answers its path. */
  compile(source: string): Promise<string> {
    const known = this.#programs.get(source) ?? this.#compile(source);
    this.#programs.set(source, known);
    return known;
  }

  async #compile(source: string): Promise<string> {
    const file = path.join(this.root, 'bench', source);
    const [compiler, standard] = source.endsWith('.cc') ? ['g++', '-std=c++17'] : ['gcc', '-std=gnu11'];
    const flags = [standard, '-O2', '-Wall', '-Wextra', '-pthread'];
    const hash = createHash('sha256')
      .update(flags.join(' '))
      .update(await readFile(file));
    const folder = path.join(this.root, 'build', 'bench', 'native');
    const program = path.join(folder, `${path.parse(source).name}-${hash.digest('hex').slice(0, 16)}`);
    if (existsSync(program)) return program;
    await mkdir(folder, { recursive: true });
    const partial = `${program}.${process.pid}`;
    await run(compiler, [...flags, file, '-o', partial]).catch((cause: unknown) => {
      throw new Error(`${compiler} could not compile bench/${source}`, { cause });
    });
    await rename(partial, program);
    return program;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.stop(child)));
    this.#removeAll();
    process.off('exit', this.#removeAll);
    process.off('SIGINT', this.#interrupted);
    process.off('SIGTERM', this.#interrupted);
  }

  readonly #removeAll = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
    this.#folders.clear();
  };

  readonly #interrupted = (signal: NodeJS.Signals): void => {
    this.#removeAll();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
}
