import { totalmem } from 'node:os';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { memorySizes } from '../../../src/wiring/memory-sizes.js';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

vi.mock('node:os', async (original) => ({ ...(await original<object>()), totalmem: vi.fn() }));
const machine = (bytes: number, container = 0): void => {
  vi.mocked(totalmem).mockReturnValue(bytes);
  vi.spyOn(process, 'constrainedMemory').mockReturnValue(container);
};
afterEach(() => {
  vi.restoreAllMocks();
});

describe('memory for bodies', () => {
  test.each([
    [128 * MiB, 0, 32 * MiB, 4 * MiB],
    [2 * GiB, 0, 256 * MiB, 64 * MiB],
    [16 * GiB, 0, 512 * MiB, 512 * MiB],
    [512 * GiB, 0, 512 * MiB, GiB],
    // What a container may have counts; a limit beyond the machine is none.
    [512 * GiB, GiB, 128 * MiB, 32 * MiB],
    [16 * GiB, 2 ** 63, 512 * MiB, 512 * MiB],
  ])('of a machine with %i, of which a container has %i', (bytes, container, arenaBytes, readCacheBytes) => {
    machine(bytes, container);
    expect(memorySizes({})).toEqual({ arenaBytes, readCacheBytes });
  });

  test('is what was asked for', () => {
    machine(16 * GiB);
    expect(memorySizes({ arenaBytes: 4 * GiB, readCacheBytes: 0 })).toEqual({
      arenaBytes: 4 * GiB,
      readCacheBytes: 0,
    });
  });

  test.each([
    [{ arenaBytes: 31 * MiB }, 'memory for bodies'],
    [{ arenaBytes: 5 * GiB }, 'memory for bodies'],
    [{ readCacheBytes: -1 }, 'cache of reads'],
    [{ readCacheBytes: 2 ** 41 }, 'cache of reads'],
  ])('is refused out of its range: %j', (options, part) => {
    machine(16 * GiB);
    expect(() => memorySizes(options)).toThrow(part);
  });
});
