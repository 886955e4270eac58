// `npm run crash -- --points 10000 --seed 1`: that many ends of a server in the middle of its work, on simulated
// drives; `--replay SEED` runs the one that a failure named. The same runs as test/fault/crash-points.test.ts.
// `npm run crash -- --random 600`: a random workload with crashes, lost drives and damage for that many seconds;
// `--replay-random SEED` runs the one that a failure named. The same runs as test/fault/random-machine.test.ts.
import { parseArgs } from 'node:util';
import { buildNative, buildTypeScript, forwardSignals, installPackages, main, root, run, StepError } from './steps.mjs';

const numberOf = (name, text) => {
  if (!/^\d{1,9}$/.test(text)) throw new StepError(`--${name} takes a number, not ${text}`);
  return text;
};

function choice() {
  const options = {
    points: { type: 'string' },
    seed: { type: 'string' },
    replay: { type: 'string' },
    random: { type: 'string' },
    'replay-random': { type: 'string' },
  };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new StepError(
      `${error.message}\nusage: npm run crash -- [--points N | --random SECONDS] [--seed N]\n` +
        '       npm run crash -- --replay SEED | --replay-random SEED',
    );
  }
  const env = {};
  if (values.seed !== undefined) env.CRASH_FIRST_SEED = numberOf('seed', values.seed);
  const isRandom = values.random !== undefined || values['replay-random'] !== undefined;
  if (isRandom) {
    if (values.random !== undefined) env.CRASH_RANDOM_SECONDS = numberOf('random', values.random);
    if (values['replay-random'] !== undefined)
      env.CRASH_RANDOM_SEED = numberOf('replay-random', values['replay-random']);
  } else {
    env.CRASH_POINTS = numberOf('points', values.points ?? '10000');
    if (values.replay !== undefined) env.CRASH_SEED = numberOf('replay', values.replay);
  }
  return { env, test: isRandom ? 'random-machine' : 'crash-points' };
}

await main(async () => {
  const { env, test } = choice();
  forwardSignals();
  await installPackages();
  await buildNative();
  await buildTypeScript();
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'fault', `test/fault/${test}.test.ts`];
  const { code } = await run(process.execPath, args, { env, cwd: root });
  process.exitCode = code;
});
