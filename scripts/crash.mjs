// `npm run crash -- --points 10000 --seed 1`: that many ends of a server in the middle of its work, on simulated
// drives; `--replay SEED` runs the one that a failure named. The same runs as test/fault/crash-points.test.ts.
import { parseArgs } from 'node:util';
import { buildNative, buildTypeScript, forwardSignals, installPackages, main, root, run, StepError } from './steps.mjs';

const numberOf = (name, text) => {
  if (!/^\d{1,9}$/.test(text)) throw new StepError(`--${name} takes a number, not ${text}`);
  return text;
};

function environment() {
  const options = {
    points: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    replay: { type: 'string' },
  };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new StepError(`${error.message}\nusage: npm run crash -- [--points N] [--seed N] | [--replay SEED]`);
  }
  const env = { CRASH_POINTS: numberOf('points', values.points) };
  if (values.seed !== undefined) env.CRASH_FIRST_SEED = numberOf('seed', values.seed);
  if (values.replay !== undefined) env.CRASH_SEED = numberOf('replay', values.replay);
  return env;
}

await main(async () => {
  const env = environment();
  forwardSignals();
  await installPackages();
  await buildNative();
  await buildTypeScript();
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'fault', 'test/fault/crash-points.test.ts'];
  const { code } = await run(process.execPath, args, { env, cwd: root });
  process.exitCode = code;
});
