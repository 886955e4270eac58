/**
 * Thousands of ends of a server in the middle of its work, on simulated drives. `npm run crash -- --points 10000
 * --seed 1` takes every step of every operation in turn; with the other tests a sample runs for a bounded time.
 * CRASH_SEED replays the run that a failure names.
 */
import { expect, it } from 'vitest';
import { CrashRun, noCounts } from '../support/simulation/crash-run.js';
import { scenarios } from '../support/simulation/scenarios.js';

const replayed = process.env['CRASH_SEED'];
/** Of the sample. Other seeds are for `npm run crash`. */
const sampleSeed = 1_526_096;
const firstSeed = Number(replayed ?? process.env['CRASH_FIRST_SEED'] ?? sampleSeed);
const points = process.env['CRASH_POINTS'];
const isSample = replayed === undefined && points === undefined;
const sampleMs = 55_000;
/** A sample leaves out steps, so that it sees more operations. */
const options = isSample ? { pointsMax: 20, strideMax: 8, passes: 1 } : { pointsMax: 400, strideMax: 1, passes: 3 };

/** From one seed to the next to operations of another kind: it has no factor in common with their number. */
const scenarioStride = 17;

function runOf(seed: number): CrashRun {
  const index = (seed * scenarioStride) % scenarios.length;
  // Of four rounds through the operations three end the process at each step, one lets the step fail.
  const round = Math.floor(seed / scenarios.length) + index;
  return new CrashRun(seed, scenarios[index], round % 4 === 3 ? 'faults' : 'crashes');
}

it(`nothing acknowledged is lost, nothing comes in part (first seed ${firstSeed})`, async () => {
  const total = noCounts();
  const byName = new Map<string, number>();
  const startMs = performance.now();
  let seed = firstSeed;
  for (let isOver = false; !isOver; seed++) {
    const run = runOf(seed);
    const counts = await run.run(options);
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name];
    byName.set(run.scenario.name, (byName.get(run.scenario.name) ?? 0) + counts.points);
    if (!isSample) console.log(`seed ${seed}: ${run.scenario.name}, ${counts.points} points, ${total.points} in all`);
    isOver = isSample
      ? performance.now() - startMs > sampleMs
      : replayed !== undefined || total.points >= Number(points);
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`crash points: seeds ${firstSeed} to ${seed - 1}, ${seconds} s`, total, Object.fromEntries(byName));
  expect(total.points).toBeGreaterThan(0);
}, 14_400_000);

it('from one seed to the next every operation has its turn', () => {
  const names = scenarios.map((_, seed) => runOf(seed).scenario.name);
  expect(new Set(names).size).toBe(scenarios.length);
});
