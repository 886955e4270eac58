import { defineConfig } from 'vitest/config';

interface Files {
  readonly include: string[];
  readonly exclude?: string[];
}

/** Each slice has its own time limits; forks keep native state and open files of one file from the next. */
function project(name: string, groupOrder: number, files: Files, testTimeout: number, maxWorkers: number) {
  return {
    extends: true as const,
    test: {
      name,
      ...files,
      testTimeout,
      // What is waited for comes later on a busy machine; what does not come at all is no sooner known by haste.
      expect: { poll: { timeout: 10_000 } },
      hookTimeout: Math.max(testTimeout, 60_000),
      maxWorkers,
      // One group after the other: each measures or loads the machine in its own way.
      sequence: { groupOrder },
    },
  };
}

/** Of drives that hang and machines that stand still: what the other core does would be part of what they look at. */
const ofTime = ['drives', 'index', 'index-moves'].map((name) => `test/fault/${name}.test.ts`);

// eslint-disable-next-line no-restricted-exports -- vitest reads the default export.
export default defineConfig({
  test: {
    pool: 'forks',
    reporters: ['default', './test/tally-reporter.ts'],
    teardownTimeout: 20_000,
    projects: [
      project(
        'unit',
        0,
        {
          include: [
            'test/unit/**/*.test.ts',
            'test/tidy*.test.ts',
            'test/golden/**/*.test.ts',
            'test/native/**/*.test.ts',
          ],
        },
        30_000,
        2,
      ),
      project('fuzz', 0, { include: ['test/fuzz/**/*.test.ts'] }, 300_000, 2),
      project('api', 1, { include: ['test/api/**/*.test.ts'] }, 60_000, 2),
      project('fault', 2, { include: ['test/fault/**/*.test.ts'], exclude: ofTime }, 300_000, 3),
      project('fault-time', 3, { include: ofTime }, 300_000, 1),
      // Foreign clients copy real trees: minutes each.
      project('clients', 4, { include: ['test/clients/**/*.test.ts'] }, 900_000, 2),
    ],
  },
});
