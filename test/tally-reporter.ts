import { writeFileSync, writeSync } from 'node:fs';
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

/**
 * The last line of a run: `N passed, N failed`. A file that throws, a failed hook and an unhandled error
 * count as failures, so the line never looks green on a red run.
 * scripts/test.mjs asks for the numbers in a file instead and adds its own checks to them.
 */
// eslint-disable-next-line no-restricted-exports -- vitest reads the default export.
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state] += 1;
        // Its process ended under it: vitest says so, but not of which file.
        if (state === 'pending') console.error(`Not finished: ${module.relativeModuleId} > ${test.fullName}`);
      }
      if (module.errors().length > 0) count.failed += 1;
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) count.failed += 1;
    }
    count.failed += errors.length;
    if (reason !== 'passed' && count.failed === 0) count.failed = 1;
    const skipped = count.skipped + count.pending;
    const tallyFile = process.env['GRANARY_TALLY_FILE'];
    if (tallyFile !== undefined) {
      writeFileSync(tallyFile, JSON.stringify({ passed: count.passed, failed: count.failed, skipped }));
      return;
    }
    const line = `${count.passed} passed, ${count.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
    process.once('exit', () => writeSync(1, line));
  }
}
