/**
 * A folder that the index is about to move to. Until all of the index is there it is marked as damaged, so that no start
 * takes a part for the whole. Its disk may hang like the one before: nobody waits for it longer than `stuckMs`, and of
 * what it was asked to do the rest is not done when it comes back.
 */
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { damagedName, runsName } from './index-files.js';

/** A thread that was left may be making its last file. */
const removeTriesMax = 5;

export class IndexTarget {
  readonly runs: string;
  readonly #marker: string;
  #isGivenUp = false;

  constructor(
    readonly directory: string,
    private readonly stuckMs: number,
    /** Folders that owe an answer: nothing else is asked of them. */
    private readonly unanswered: Set<string>,
  ) {
    this.runs = join(directory, runsName);
    this.#marker = join(directory, damagedName);
  }

  /** Marked, durably, and without an index of an earlier start. */
  async prepare(): Promise<void> {
    await this.#inTime([
      () => mkdir(this.directory, { recursive: true, mode: 0o700 }),
      () => writeFile(this.#marker, ''),
      () => syncFolder(this.directory),
      () => this.#removeRuns(),
    ]);
  }

  /** All of the index is there, durably. */
  async complete(): Promise<void> {
    await this.#inTime([() => rm(this.#marker), () => syncFolder(this.directory)]);
  }

  /** Of an index that will not be whole nothing is kept but the mark. */
  async discard(): Promise<void> {
    if (!this.#isGivenUp) await this.#inTime([() => this.#removeRuns()]);
  }

  async #removeRuns(): Promise<void> {
    await rm(this.runs, { recursive: true, force: true, maxRetries: removeTriesMax });
  }

  async #inTime(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#isGivenUp = true;
        reject(new Error(`${this.directory} does not answer`));
      }, this.stuckMs);
    });
    this.unanswered.add(this.directory);
    const work = this.#do(steps).finally(() => this.unanswered.delete(this.directory));
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #do(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
    for (const step of steps) {
      if (this.#isGivenUp) return;
      await step();
    }
  }
}

/** Before what comes later can be: a part must never be there without its mark. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
