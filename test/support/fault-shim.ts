/** Faults in the files of a real server: `test/native/fault-shim.c`, compiled here and put in front of the C library. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../native/fault-shim.c', import.meta.url));
const numbers = 8;
const modes = { none: 0, stop: 1, 'fail once': 2, 'fail from then on': 3, delay: 4, hang: 5 };
export const anyCall = 63;
export const calls = { write: 1, sync: 2, rename: 4, unlink: 8, create: 16, makeFolder: 32, read: 64 };

export interface FaultPlan {
  readonly mode: keyof typeof modes;
  /** The call it is about, of those from now on, counted from 1; `hang`: with all behind it, until `rest`. */
  readonly after: number;
  /** An errno, or milliseconds. */
  readonly value?: number;
  readonly seed?: number;
  readonly kinds?: number;
  /** Of the roots, counted from 1; any when absent. */
  readonly root?: number;
}

export class FaultShim {
  readonly #library: string;
  readonly #control: string;
  readonly #fd: number;

  constructor(
    folder: string,
    readonly roots: readonly string[],
  ) {
    this.#library = join(folder, 'fault-shim.so');
    this.#control = join(folder, 'faults');
    const flags = ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror'];
    execFileSync('gcc', [...flags, '-o', this.#library, source, '-ldl'], { stdio: 'pipe' });
    this.#fd = openSync(this.#control, 'w+');
    this.rest();
  }

  /** In the environment of the server. */
  get environment(): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      GRANARY_FAULT_CONTROL: this.#control,
      GRANARY_FAULT_ROOTS: this.roots.join(':'),
    };
  }

  /** Nothing fails any more; calls are counted from 0. */
  rest(): void {
    writeSync(this.#fd, Buffer.alloc(8 * numbers), 0, 8 * numbers, 0);
  }

  plan({ mode, after, value = 0, seed = 1, kinds = anyCall, root = 0 }: FaultPlan): void {
    const text = Buffer.alloc(8 * numbers);
    const at = this.calls + after;
    [0, 0, at, value, seed, 0, kinds, root].forEach((number, index) => {
      text.writeBigInt64LE(BigInt(number), 8 * index);
    });
    // The mode last: before it nothing else is looked at.
    writeSync(this.#fd, text, 16, 48, 16);
    text.writeBigInt64LE(BigInt(modes[mode]), 0);
    writeSync(this.#fd, text, 0, 8, 8);
  }

  get calls(): number {
    return this.#number(0);
  }

  get hits(): number {
    return this.#number(5);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #number(index: number): number {
    const text = Buffer.alloc(8);
    readSync(this.#fd, text, 0, 8, 8 * index);
    return Number(text.readBigInt64LE(0));
  }
}
