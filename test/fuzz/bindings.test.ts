/**
 * Every binding of the addon with wrong arguments, in a process of its own: it refuses with an error, and never ends the
 * process. GRANARY_SEED replays a run, GRANARY_FUZZ_CALLS makes it longer.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, it } from 'vitest';
import { expectRefusals } from './bindings-run.js';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const callCount = Number(process.env['GRANARY_FUZZ_CALLS'] ?? 40_000);
const folder = mkdtempSync(join(tmpdir(), 'granary-bindings-'));

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it(`refuse what is wrong, and go on (seed ${seed})`, () => expectRefusals({ seed, callCount, folder }));
