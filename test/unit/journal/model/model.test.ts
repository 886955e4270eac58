import { expect, it } from 'vitest';
import { Random } from './random.js';
import { newCoverage, World } from './world.js';

const runs = Number(process.env['MODEL_RUNS'] ?? 8_000);
const onlySeed = process.env['MODEL_SEED'];

it('loses nothing acknowledged and never changes a verdict, whatever is killed and whoever is reachable', () => {
  const coverage = newCoverage();
  const base = onlySeed === undefined ? 1 : Number(onlySeed);
  const count = onlySeed === undefined ? runs : 1;
  for (let seed = base; seed < base + count; seed++) {
    const world = new World(new Random(seed), coverage);
    try {
      world.run();
    } catch (error) {
      throw new Error(`MODEL_SEED=${String(seed)} fails\n${world.describe()}`, { cause: error });
    }
  }
  const { crashes, ...totals } = coverage;
  console.log(`model: ${String(count)} runs`, totals, Object.fromEntries(crashes));
  if (onlySeed !== undefined) return;
  for (const kind of ['batch', 'epoch', 'cut', 'clear', 'mark', 'unmark', 'free', 'wipe']) {
    expect(crashes.get(kind) ?? 0, `crashes at ${kind}`).toBeGreaterThan(0);
  }
  for (const [what, seen] of Object.entries(totals)) expect(seen, what).toBeGreaterThan(0);
}, 3_600_000);
