/**
 * An index that moves from drive to drive while it is in use, in a process of its own: its drives go, are exchanged, fail,
 * fill up and hang, so do those that it moves to, and the process ends at any call that changes a file. Whatever a start
 * finds is the whole index as it was after some batch, no older than what was flushed before nothing moved; a running one
 * always agrees with a model. A failing run prints its seed; GRANARY_SEED replays its choices (not the machine's timing),
 * GRANARY_INDEX_ROUNDS makes it longer.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { FaultShim, anyCall, calls } from '../support/fault-shim.js';
import { seededRandom } from '../support/seeded-random.js';

const program = fileURLToPath(new URL('../support/index-child.mjs', import.meta.url));
const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const rounds = Number(process.env['GRANARY_INDEX_ROUNDS'] ?? 40);
const { EIO, ENOSPC } = constants.errno;
const driveCount = 4;

/** What the child tells. */
interface Told {
  readonly log?: string;
  readonly wrong?: string;
  readonly refused?: string;
  readonly opened?: { readonly directory: string; readonly batch: number };
  readonly flushed?: number;
  readonly closed?: number;
}

const folder = mkdtempSync(join(tmpdir(), 'granary-index-moves-'));
const drives = Array.from({ length: driveCount }, (_, index) => join(folder, `drive${index + 1}`));
const indexOf = (drive: string): string => join(drive, 'index');
let child: Child | null = null;

afterAll(async () => {
  await child?.kill();
  rmSync(folder, { recursive: true, force: true });
});

class Child {
  readonly #process: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly logs: string[] = [];
  wrong = '';
  opened: Told['opened'];
  closed: number | undefined;
  flushed = 0;
  /** The folder that the index lies in. */
  directory = '';
  #isGone = false;

  constructor(places: readonly string[], environment: Record<string, string>) {
    this.#process = fork(program, [String(seed), ...places], {
      env: { ...process.env, ...environment },
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (text: Buffer) => this.logs.push(text.toString()));
    }
    this.#process.on('message', (told: Told) => {
      this.#hear(told);
    });
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (code) => {
        this.#isGone = true;
        resolve(code);
      });
    });
  }

  get moves(): number {
    return this.logs.filter((line) => line.includes('the index lies in')).length;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Until it is so, or the child has gone. */
  async until(isSo: () => boolean): Promise<void> {
    await expect.poll(() => this.#isGone || isSo(), { timeout: 60_000, interval: 5 }).toBe(true);
  }

  place(places: readonly string[]): void {
    this.#send({ places });
  }

  async stop(): Promise<number | null> {
    this.#send({ stop: true });
    await this.until(() => false);
    return await this.ended;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }

  #send(message: object): void {
    // One that ended meanwhile hears nothing.
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  #hear({ log, wrong, refused, opened, flushed, closed }: Told): void {
    if (log !== undefined) {
      this.logs.push(log);
      this.directory = /the index lies in (\S+) now/.exec(log)?.[1] ?? this.directory;
    }
    this.wrong = wrong ?? this.wrong;
    if (refused !== undefined) this.logs.push(`refused: ${refused}`);
    this.opened = opened ?? this.opened;
    if (opened !== undefined) this.directory = opened.directory;
    this.flushed = flushed ?? this.flushed;
    this.closed = closed ?? this.closed;
  }
}

describe(`an index that moves (seed ${seed})`, () => {
  it(`is whole at every start and always right, in ${rounds} rounds`, async () => {
    const random = seededRandom(seed);
    const below = (bound: number): number => Math.floor(random() * bound);
    const pick = <T>(things: readonly [T, ...T[]]): T => things[below(things.length)] ?? things[0];
    const shim = new FaultShim(folder, drives);
    const counts = { moves: 0, twice: 0, stopped: 0, stoppedInMove: 0, atStart: 0, closed: 0, rebuilt: 0, batches: 0 };
    const story: string[] = [];
    for (const drive of drives) mkdirSync(drive);
    /** What the next start has to find at least; null: nothing is asked of it. */
    let atLeast: { readonly directory: string; readonly batch: number } | null = null;

    const away = (drive: string): void => {
      rmSync(`${drive}-gone`, { recursive: true, force: true });
      renameSync(drive, `${drive}-gone`);
    };
    const driveOf = (directory: string): string => drives.find((drive) => indexOf(drive) === directory) ?? '';
    const present = (): string[] => drives.filter((drive) => existsSync(drive));

    /** Drives that were away are there again, or empty ones in their place. */
    const bringBack = (): void => {
      for (const drive of drives) {
        if (!existsSync(`${drive}-gone`)) continue;
        rmSync(drive, { recursive: true, force: true });
        if (random() < 0.7) {
          renameSync(`${drive}-gone`, drive);
          continue;
        }
        rmSync(`${drive}-gone`, { recursive: true });
        mkdirSync(drive);
        if (atLeast?.directory === indexOf(drive)) atLeast = null;
      }
    };

    const start = async (): Promise<Child> => {
      shim.rest();
      const places = present().map(indexOf);
      for (let attempt = 0; attempt < 2 && random() < 0.2; attempt++) {
        shim.plan({ mode: 'stop', after: 1 + below(15), seed: below(2 ** 31) });
        const cut = new Child(places, shim.environment);
        child = cut;
        await cut.until(() => cut.opened !== undefined || cut.wrong !== '');
        expect(cut.wrong, cut.logs.join('\n')).toBe('');
        await cut.kill();
        counts.atStart++;
        shim.rest();
      }
      const started = new Child(places, shim.environment);
      child = started;
      await started.until(() => started.opened !== undefined);
      const tale = (): string => [...story, ...started.logs].slice(-40).join('\n');
      expect(started.wrong, tale()).toBe('');
      expect(started.opened, tale()).toBeDefined();
      if (atLeast !== null) expect(started.opened?.batch, tale()).toBeGreaterThanOrEqual(atLeast.batch);
      if (started.logs.some((line) => line.includes('rebuilt from the logs'))) counts.rebuilt++;
      return started;
    };

    /** The drive with the index goes in one way or another. */
    const leave = (one: Child): void => {
      const drive = driveOf(one.directory);
      const others = present().filter((other) => other !== drive);
      const root = drives.indexOf(drive) + 1;
      const targetRoot = 1 + below(driveCount);
      const way = pick(['vanishes', 'vanishes', 'fails', 'hangs', 'is exchanged', 'target fails', 'target hangs']);
      story.push(`${drive} ${way}`);
      if (way === 'fails') {
        shim.plan({ mode: 'fail from then on', after: 1 + below(10), value: pick([EIO, ENOSPC]), root });
      } else if (way === 'hangs') {
        const kinds = pick([calls.write, calls.sync, calls.rename, calls.create, anyCall]);
        shim.plan({ mode: 'delay', after: 1 + below(10), value: pick([3000, 600_000]), kinds, root });
      } else if (way === 'is exchanged') {
        const other = others[below(others.length)] ?? '';
        renameSync(drive, `${drive}-x`);
        renameSync(other, drive);
        renameSync(`${drive}-x`, other);
        one.place(present().map(indexOf));
        return;
      } else {
        away(drive);
        if (way === 'target fails') {
          const mode = pick<'fail once' | 'fail from then on'>(['fail once', 'fail from then on']);
          shim.plan({ mode, after: 1 + below(20), value: pick([EIO, ENOSPC]), root: targetRoot });
        } else if (way === 'target hangs') {
          shim.plan({ mode: 'delay', after: 1 + below(20), value: pick([100, 2000]), root: targetRoot });
        }
      }
      one.place(others.map(indexOf));
    };

    try {
      for (let round = 0; round < rounds; round++) {
        story.push(`--- round ${round}`);
        const one = await start();
        const begun = one.opened?.batch ?? 0;
        await one.until(() => one.flushed > begun);
        const quiet = { directory: one.directory, batch: one.flushed };
        atLeast = null;
        const choice = random();
        if (choice < 0.15) {
          // Nothing moves.
          atLeast = quiet;
        } else if (choice < 0.5) {
          // It ends at some call of the move, or behind it.
          away(driveOf(one.directory));
          shim.plan({ mode: 'stop', after: 1 + below(500), seed: below(2 ** 31) });
          one.place(present().map(indexOf));
          await one.until(() => false);
        } else {
          leave(one);
          await one.until(() => one.moves > 0 || shim.hits > 0);
          if (random() < 0.6) await one.until(() => one.moves > 0);
          if (one.moves > 0 && random() < 0.5 && existsSync(driveOf(one.directory)) && present().length > 2) {
            shim.rest();
            story.push('and once more');
            away(driveOf(one.directory));
            one.place(present().map(indexOf));
            await one.until(() => one.moves > 1);
          }
        }
        counts.moves += one.moves > 0 ? 1 : 0;
        counts.twice += one.moves > 1 ? 1 : 0;
        if (one.isGone) {
          counts.stopped++;
          counts.stoppedInMove += one.moves === 0 ? 1 : 0;
        } else if (random() < 0.5) {
          story.push('it is killed');
          await one.kill();
        } else {
          story.push('it is stopped');
          const code = await one.stop();
          if (code === 0) {
            counts.closed++;
            atLeast = { directory: one.directory, batch: one.closed ?? 0 };
          }
        }
        expect(one.wrong, [...story, ...one.logs].slice(-40).join('\n')).toBe('');
        counts.batches = Math.max(counts.batches, one.closed ?? one.flushed);
        shim.rest();
        bringBack();
      }
      // All are there again, and nothing fails: it is used, and closed, and one of them has it.
      const last = await start();
      await last.until(() => last.flushed > 0);
      expect(await last.stop(), last.logs.join('\n')).toBe(0);
      expect(last.wrong).toBe('');
      expect(drives.map(indexOf).filter((directory) => existsSync(directory))).toEqual([last.directory]);
      expect(existsSync(join(last.directory, 'damaged'))).toBe(false);
      console.log(`index that moves, seed ${seed}: ${JSON.stringify(counts)}`);
      expect(counts.moves).toBeGreaterThan(0);
    } catch (error) {
      console.error(`GRANARY_SEED=${seed}\n${[...story, ...(child?.logs ?? [])].slice(-60).join('\n')}`);
      throw error;
    } finally {
      shim.close();
    }
  }, 3_600_000);
});
