/** Runs bindings-child.mjs and looks at how it ended. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const child = fileURLToPath(new URL('bindings-child.mjs', import.meta.url));

export interface BindingsRun {
  readonly seed: number;
  readonly callCount: number;
  /** Random paths are relative to it, and some of them become folders. */
  readonly folder: string;
  /** Instead of the one that is shipped. */
  readonly addon?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export async function expectRefusals({ seed, callCount, folder, addon, env }: BindingsRun): Promise<void> {
  const { code, signal, output } = await new Promise<{ code: unknown; signal: unknown; output: string }>((resolve) => {
    const done = (error: { code?: unknown; signal?: unknown } | null, out: string, err: string): void => {
      resolve({ code: error?.code ?? 0, signal: error?.signal ?? null, output: out + err });
    };
    const args = [child, String(seed), String(callCount), folder, ...(addon === undefined ? [] : [addon])];
    execFile(process.execPath, args, { cwd: folder, timeout: 120_000, env: { ...process.env, ...env } }, done);
  });
  expect([code, signal], `seed ${seed}: ${output.slice(-5000)}`).toEqual([0, null]);
  const counts = JSON.parse(output) as { calls: number; refused: number; answered: number; refusedTypes: number };
  // Each argument of each binding with each of some types that it is not.
  expect(counts.refusedTypes).toBeGreaterThan(500);
  expect(counts.calls).toBeGreaterThan(callCount * 0.9);
  expect(counts.refused).toBeGreaterThan(callCount / 5);
  expect(counts.answered).toBeGreaterThan(callCount / 5);
}
