import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { kernels } from '../../../src/native/index.js';
import type { KernelPaths } from '../../../src/native/kernels.js';

interface Probe {
  readonly paths: KernelPaths<string>;
  readonly results: string;
}

const probe = fileURLToPath(new URL('../../native/path-probe.cjs', import.meta.url));
const addon = fileURLToPath(new URL('../../../build/Release/granary.node', import.meta.url));

function runProbe(cap: string, seed: number): Probe {
  const env = { ...process.env, GRANARY_KERNEL: cap };
  return JSON.parse(execFileSync(process.execPath, [probe, String(seed)], { env, encoding: 'utf8' })) as Probe;
}

describe('kernel paths', () => {
  it('selects the best path of each kernel, and scalar is always there', () => {
    const available = kernels.availablePaths();
    expect(kernels.paths()).toEqual({
      rs: available.rs[0],
      highwayHash: available.highwayHash[0],
      crc: available.crc[0],
      md5: available.md5[0],
      sha256: available.sha256[0],
    });
    expect(available.rs.at(-1)).toBe('scalar');
    expect(available.highwayHash.at(-1)).toBe('scalar');
    expect(available.crc.at(-1)).toBe('table');
    expect(available.md5.at(-1)).toBe('openssl');
    expect(available.sha256.at(-1)).toBe('openssl');
  });

  it('gives the same bytes on every path that this CPU has', { timeout: 60_000 }, () => {
    const seed = 1 + Math.floor(Math.random() * 2 ** 31);
    const scalar = runProbe('scalar', seed);
    expect(scalar.paths).toEqual({
      rs: 'scalar',
      highwayHash: 'scalar',
      crc: 'table',
      md5: 'openssl',
      sha256: 'openssl',
    });
    for (const cap of kernels.availablePaths().rs) {
      const capped = runProbe(cap, seed);
      expect(capped.paths.rs).toBe(cap);
      expect(capped.results, `path ${cap}, seed ${seed}`).toBe(scalar.results);
    }
  });

  it('refuses to load with an unknown GRANARY_KERNEL', () => {
    const script = `try { require(${JSON.stringify(addon)}); } catch (error) { console.log(error.message); }`;
    const env = { ...process.env, GRANARY_KERNEL: 'mmx' };
    const output = execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
    expect(output).toMatch(/^GRANARY_KERNEL must be one of scalar/);
  });
});
