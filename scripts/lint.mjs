// `npm run lint`: the checks of `npm test`. `npm run format`: the same formatters, writing.
import { checks, nativeSources } from './checks.mjs';
import { forwardSignals, main, run, say, bold, StepError } from './steps.mjs';

const write = process.argv.includes('--write');

await main(async () => {
  forwardSignals();
  if (write) {
    await must('node', ['node_modules/prettier/bin/prettier.cjs', '--write', '--log-level', 'warn', '.']);
    await must('clang-format', ['-i', '--style=file', ...nativeSources()]);
    return;
  }
  const failed = [];
  for (const { title, program, args } of checks()) {
    say(`${bold('==>')} ${title} …`);
    if ((await run(program, args)).code !== 0) failed.push(title);
  }
  if (failed.length > 0) throw new StepError(`failed: ${failed.join(', ')}`);
});

async function must(program, args) {
  if ((await run(program, args)).code !== 0) throw new StepError(`${program} failed`);
}
