/**
 * The journal on real files, killed with SIGKILL while it writes: what it acknowledged is there at the
 * next start, in order and readable, whichever k drives are there; emptied drives are rebuilt.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { Random } from '../unit/journal/model/random.js';

const child = fileURLToPath(new URL('../support/journal-child.mjs', import.meta.url));
const seed = Number(process.env['JOURNAL_SEED'] ?? randomBytes(4).readUInt32LE());
const rounds = Number(process.env['JOURNAL_KILL_ROUNDS'] ?? 12);
const folder = mkdtempSync(join(tmpdir(), 'granary-journal-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Start {
  readonly report: { readonly isReadOnly: boolean; readonly unreadableBatches: number; readonly lostPlaces: number };
  readonly health: { readonly inSync: readonly number[] };
  readonly numbers: readonly number[];
  readonly unreadable: number;
}

interface Life {
  readonly start: Start | null;
  readonly acknowledged: readonly number[];
  readonly output: string;
}

/** Runs the child until it ends by itself or, with `killAfterMs`, for so long after its start. */
async function live(reachable: number, mode: string, killAfterMs: number | null): Promise<Life> {
  const process = spawn('node', [child, folder, String(reachable), mode], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const onText = (text: Buffer): void => {
    const hadStarted = output.includes('\nstart ') || output.startsWith('start ');
    output += text.toString();
    const hasStarted = output.includes('\nstart ') || output.startsWith('start ');
    if (!hadStarted && hasStarted && killAfterMs !== null) setTimeout(() => process.kill('SIGKILL'), killAfterMs);
  };
  process.stdout.on('data', onText);
  process.stderr.on('data', onText);
  await new Promise((resolve) => process.once('close', resolve));
  const lines = output.split('\n');
  const start = lines.find((line) => line.startsWith('start '));
  // The last line may have been cut short by the kill.
  const complete = lines.slice(0, -1);
  return {
    start: start === undefined ? null : (JSON.parse(start.slice(6)) as Start),
    acknowledged: complete.filter((line) => line.startsWith('ack ')).map((line) => Number(line.slice(4))),
    output,
  };
}

it(`loses nothing to SIGKILL (JOURNAL_SEED=${String(seed)})`, async () => {
  const random = new Random(seed);
  const acknowledged = new Set<number>();
  let before: readonly number[] = [];
  const check = ({ start, output }: Life): Start => {
    if (start === null) throw new Error(`it did not start: ${output}`);
    const shown = new Set(start.numbers);
    expect(shown.size, 'nothing is shown twice').toBe(start.numbers.length);
    expect([...acknowledged].filter((number) => !shown.has(number))).toEqual([]);
    // What a start has shown stays, in the same order.
    expect(start.numbers.slice(0, before.length)).toEqual(before);
    expect(start.unreadable).toBe(0);
    expect(start.report).toMatchObject({ unreadableBatches: 0, lostPlaces: 0 });
    return start;
  };
  for (let round = 0; round < rounds; round++) {
    const life = await live(15, 'write', 5 + random.below(250));
    const start = check(life);
    expect(start.report.isReadOnly).toBe(false);
    before = start.numbers;
    for (const number of life.acknowledged) acknowledged.add(number);
    if (round % 4 === 1) {
      // Without one drive the set goes on; it is caught up afterwards.
      const absent = await live(15 & ~(1 << random.below(4)), 'write', 50);
      before = check(absent).numbers;
      for (const number of absent.acknowledged) acknowledged.add(number);
      before = check(await live(15, 'whole', null)).numbers;
    }
    if (round % 4 === 2) {
      before = check(await live(15, 'whole', null)).numbers;
      const victim = join(folder, `d${String(random.below(4))}`, 'log');
      for (const name of readdirSync(victim)) rmSync(join(victim, name));
      before = check(await live(15, 'whole', null)).numbers;
    }
    if (round % 4 === 3) {
      before = check(await live(15, 'whole', null)).numbers;
      // Any two drives read everything.
      const [one, two] = [random.below(4), random.below(3)];
      const readOnly = check(await live((1 << one) | (1 << (two >= one ? two + 1 : two)), 'read', null));
      expect(readOnly.report.isReadOnly).toBe(true);
    }
  }
  expect(acknowledged.size).toBeGreaterThan(rounds);
}, 600_000);
