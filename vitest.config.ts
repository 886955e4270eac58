import { defineConfig } from 'vitest/config';

/** Each slice has its own time limits; forks keep native state and open files of one file from the next. */
function project(name: string, groupOrder: number, include: string[], testTimeout: number, maxWorkers: number) {
  return {
    extends: true as const,
    test: {
      name,
      include,
      testTimeout,
      // What is waited for comes later on a busy machine; what does not come at all is no sooner known by haste.
      expect: { poll: { timeout: 10_000 } },
      hookTimeout: Math.max(testTimeout, 60_000),
      maxWorkers,
      // One slice after the other: each measures or loads the machine in its own way.
      sequence: { groupOrder },
    },
  };
}

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
        ['test/unit/**/*.test.ts', 'test/tidy*.test.ts', 'test/golden/**/*.test.ts', 'test/native/**/*.test.ts'],
        30_000,
        2,
      ),
      project('fuzz', 1, ['test/fuzz/**/*.test.ts'], 300_000, 2),
      project('api', 2, ['test/api/**/*.test.ts'], 60_000, 2),
      project('fault', 3, ['test/fault/**/*.test.ts'], 300_000, 1),
      // Foreign clients copy real trees: one at a time, minutes each.
      project('clients', 4, ['test/clients/**/*.test.ts'], 900_000, 1),
    ],
  },
});
