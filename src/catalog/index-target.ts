/**
 * A folder that the index is about to move to. Until all of the index is there it is marked as damaged, so that no start
 * takes a part for the whole. Its disk may hang like the one before.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from './folder-calls.js';
import { damagedName, removeRuns, runsName, syncFolder } from './index-files.js';

export class IndexTarget {
  readonly runs: string;
  readonly #marker: string;

  constructor(
    readonly directory: string,
    private readonly stuckMs: number,
  ) {
    this.runs = join(directory, runsName);
    this.#marker = join(directory, damagedName);
  }

  /** Marked, durably, and without an index of an earlier start. */
  async prepare(): Promise<void> {
    await this.#ask(async (goOn) => {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      goOn();
      await writeFile(this.#marker, '');
      goOn();
      await syncFolder(this.directory);
      goOn();
      await removeRuns(this.directory);
    });
  }

  /** All of the index is there, durably. */
  async complete(): Promise<void> {
    await this.#ask(async (goOn) => {
      await rm(this.#marker);
      goOn();
      await syncFolder(this.directory);
    });
  }

  /** Of an index that will not be whole nothing is kept but the mark. */
  async discard(): Promise<void> {
    await this.#ask(() => removeRuns(this.directory));
  }

  #ask(call: (goOn: () => void) => Promise<void>): Promise<void> {
    return ask(this.directory, call, this.stuckMs);
  }
}
