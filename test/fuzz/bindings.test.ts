/**
 * Every binding of the addon with wrong arguments, in a process of its own: it refuses with an error, and never ends the
 * process. GRANARY_SEED replays a run, GRANARY_FUZZ_CALLS makes it longer.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const callCount = Number(process.env['GRANARY_FUZZ_CALLS'] ?? 40_000);
const child = fileURLToPath(new URL('bindings-child.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'granary-bindings-'));

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it(`refuse what is wrong, and go on (seed ${seed})`, async () => {
  const { code, signal, output } = await new Promise<{ code: unknown; signal: unknown; output: string }>((resolve) => {
    const done = (error: { code?: unknown; signal?: unknown } | null, out: string, err: string): void => {
      resolve({ code: error?.code ?? 0, signal: error?.signal ?? null, output: out + err });
    };
    // Random paths are relative, and some of them become folders.
    const options = { cwd: folder, timeout: 120_000 };
    execFile(process.execPath, [child, String(seed), String(callCount), folder], options, done);
  });
  expect([code, signal], `seed ${seed}: ${output.slice(-3000)}`).toEqual([0, null]);
  const counts = JSON.parse(output) as { calls: number; refused: number; answered: number; refusedTypes: number };
  // Each argument of each binding with each of some types that it is not.
  expect(counts.refusedTypes).toBeGreaterThan(500);
  expect(counts.calls).toBeGreaterThan(callCount * 0.9);
  expect(counts.refused).toBeGreaterThan(callCount / 5);
  expect(counts.answered).toBeGreaterThan(callCount / 5);
});
