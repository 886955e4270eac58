// `npm test [SLICE…]`: installs what is needed, builds, checks and tests. The last line is `N passed, N failed`.
// Slices: unit fuzz api fault clients; without one, everything and the checks (lint, format, types, imports).
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildNative,
  buildTypeScript,
  forwardSignals,
  installPackages,
  root,
  run,
  say,
  bold,
  red,
  green,
} from './steps.mjs';
import { checks } from './checks.mjs';
import { installTools } from './tools.mjs';

const slices = ['unit', 'fuzz', 'api', 'fault', 'clients'];
const asked = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const unknown = asked.filter((slice) => !slices.includes(slice));
if (unknown.length > 0) {
  say(`unknown slice: ${unknown.join(', ')}; there are: ${slices.join(', ')}`);
  process.exit(1);
}
const everything = asked.length === 0;

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

function count(title, ok) {
  if (ok) total.passed += 1;
  else {
    total.failed += 1;
    failures.push(title);
  }
}

/** A preparation that fails ends the run: nothing after it would tell anything. */
async function prepare() {
  await installPackages();
  const environment = await installTools({ clients: everything || asked.includes('clients') });
  await buildNative();
  await buildTypeScript();
  return environment;
}

async function check({ title, program, args }) {
  say(`${bold('==>')} ${title} …`);
  const start = performance.now();
  const { code, output } = await run(program, args, { quiet: true });
  const took = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  if (code !== 0) process.stdout.write(`${output.trimEnd()}\n`);
  say(code === 0 ? `    ${green('ok')} in ${took}` : `    ${red('failed')} after ${took}`);
  count(title, code === 0);
}

async function vitest(environment) {
  const tallyFile = join(root, 'build', 'tally.json');
  mkdirSync(join(root, 'build'), { recursive: true });
  rmSync(tallyFile, { force: true });
  // One slice may be several projects of vitest.config.ts.
  const projects = (everything ? slices : asked).flatMap((slice) => ['--project', `${slice}*`]);
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--passWithNoTests', ...projects];
  say(`${bold('==>')} Running the tests (${everything ? 'all' : asked.join(', ')}) …`);
  const { code } = await run(process.execPath, args, { env: { ...environment, GRANARY_TALLY_FILE: tallyFile } });
  if (!existsSync(tallyFile)) {
    count('vitest ended without a result', false);
    return;
  }
  const tally = JSON.parse(readFileSync(tallyFile, 'utf8'));
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped += tally.skipped;
  if (code !== 0 && tally.failed === 0) count(`vitest ended with exit code ${code}`, false);
}

function finish() {
  for (const title of failures) process.stdout.write(`${red('failed')}: ${title}\n`);
  if (total.passed === 0 && total.failed === 0) total.failed = 1;
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  process.exitCode = total.failed === 0 ? 0 : 1;
  process.stdout.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`);
}

forwardSignals();
let environment = null;
try {
  environment = await prepare();
} catch (error) {
  say(red(error.message));
  count('preparation', false);
}
if (environment !== null) {
  if (everything) for (const one of await checks()) await check(one);
  await vitest(environment);
}
finish();
