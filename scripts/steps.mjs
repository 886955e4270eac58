// The steps that `npm start` and `npm test` share: packages, addon, TypeScript. Each looks first whether
// there is anything to do, by comparing what it would be made from with what it was made from.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const useColour = process.stderr.isTTY === true && !process.env.NO_COLOR;
const paint = (code, text) => (useColour ? `\x1b[${code}m${text}\x1b[0m` : text);

export const say = (text) => process.stderr.write(`${text}\n`);
export const bold = (text) => paint(1, text);
export const green = (text) => paint(32, text);
export const red = (text) => paint(31, text);

/** The mistake is the reader's to mend: printed without a stack. */
export class StepError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

let child = null;
/** Signals reach the step that runs, and end this script with it. */
export function forwardSignals() {
  const forward = (signal) => {
    // The whole group: npm and make have children of their own.
    if (child !== null) process.kill(-child.pid, signal);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  return () => {
    process.off('SIGINT', forward);
    process.off('SIGTERM', forward);
  };
}

/** Runs a program and answers its exit code; its output goes to ours unless `quiet`, then to the answer. */
export function run(program, args, { quiet = false, env = {}, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const started = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 2, 2],
      detached: true,
    });
    child = started.pid === undefined ? null : started;
    let output = '';
    if (quiet) {
      started.stdout.on('data', (data) => (output += data));
      started.stderr.on('data', (data) => (output += data));
    }
    started.on('error', (error) => reject(new StepError(`cannot run ${program}: ${error.message}`)));
    started.on('close', (code, signal) => {
      child = null;
      resolve({ code: code ?? (signal === null ? 1 : 128), output });
    });
  });
}

/** Says what is done, how long it took, and shows the output only when it failed. */
export async function step(title, work) {
  const start = performance.now();
  const took = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  // A terminal shows that something is still going on; a log file gets one line at the start and one at the end.
  say(`${bold('==>')} ${title} …`);
  const timer = useColour ? setInterval(() => process.stderr.write(`\r    ${took()} `), 500) : null;
  try {
    const result = await work();
    if (timer !== null) process.stderr.write('\r');
    say(`    ${green('done')} in ${took()}`);
    return result;
  } catch (error) {
    if (timer !== null) process.stderr.write('\r');
    say(`    ${red('failed')} after ${took()}`);
    throw error;
  } finally {
    if (timer !== null) clearInterval(timer);
  }
}

async function quietly(program, args, what, options = {}) {
  const { code, output } = await run(program, args, { quiet: true, ...options });
  if (code !== 0)
    throw new StepError(`${output.trimEnd()}\n${what} failed (${program} ${args.join(' ')}: exit code ${code})`);
}

/** The npm that started us, or the one in PATH. */
export function npm(args) {
  const file = process.env.npm_execpath;
  return file !== undefined && /\.[cm]?js$/.test(file) ? [process.execPath, [file, ...args]] : ['npm', args];
}

// ---- packages

/** npm writes what it installed to node_modules/.package-lock.json; the lock file says what it should be. */
function packagesAreCurrent() {
  const installedFile = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  let installed;
  try {
    installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  } catch {
    // A half-written file: npm was interrupted.
    return false;
  }
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const locked = wanted[''] ?? {};
  for (const group of ['dependencies', 'devDependencies']) {
    if (JSON.stringify(manifest[group] ?? {}) !== JSON.stringify(locked[group] ?? {})) return false;
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    if (found === undefined) {
      // Of the packages for other platforms npm installs none.
      if (entry.optional === true || entry.devOptional === true) continue;
      return false;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) return false;
  }
  return true;
}

export async function installPackages() {
  if (packagesAreCurrent()) return;
  await step('Installing packages (npm ci)', async () => {
    // Install scripts are not needed: the addon is built in the next step, and the rest ships binaries.
    await quietly(...npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund']), 'npm ci');
  });
}

// ---- stamps

function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function fingerprint(paths, extra) {
  const hash = createHash('sha256').update(JSON.stringify(extra));
  for (const file of paths.flatMap((path) => filesBelow(join(root, path)))) {
    hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

/** Runs `work` unless `result` exists and was made from the same inputs. */
async function whenChanged({ result, stamp, inputs, extra }, work) {
  const now = fingerprint(inputs, extra);
  const stampFile = join(root, stamp);
  if (existsSync(join(root, result)) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === now) return;
  rmSync(stampFile, { force: true });
  await work();
  if (!existsSync(join(root, result))) throw new StepError(`the build left no ${result}`);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, now);
}

// ---- addon

export async function buildNative() {
  await whenChanged(
    {
      result: 'build/Release/granary.node',
      stamp: 'build/Release/granary.stamp',
      inputs: [
        'binding.gyp',
        'native',
        'scripts/build-native.cjs',
        'scripts/native-sources.cjs',
        'node_modules/node-addon-api/package.json',
      ],
      extra: [process.versions.modules, process.arch, process.platform],
    },
    async () => {
      for (const tool of ['make', 'g++', 'python3']) {
        const found = await run('sh', ['-c', `command -v ${tool}`], { quiet: true });
        if (found.code !== 0) {
          throw new StepError(
            `${tool} is needed to build the addon and was not found\nInstall it, on Debian with: apt-get install make g++ python3`,
          );
        }
      }
      await step('Building the addon (C++)', () =>
        quietly(process.execPath, ['scripts/build-native.cjs'], 'the addon build'),
      );
    },
  );
}

// ---- TypeScript

export async function buildTypeScript() {
  await whenChanged(
    {
      result: 'dist/main.js',
      stamp: 'dist/granary.stamp',
      inputs: ['src', 'tsconfig.json', 'package.json', 'node_modules/typescript/package.json'],
      extra: [],
    },
    async () => {
      await step('Compiling TypeScript', async () => {
        await quietly(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], 'the TypeScript build');
        removeStale();
      });
    },
  );
}

/** What was compiled from a file that is gone would still be found by an import. */
function removeStale() {
  for (const file of filesBelow(join(root, 'dist'))) {
    const name = relative(join(root, 'dist'), file);
    const source = name.replace(/\.(js|js\.map|d\.ts)$/, '.ts');
    if (source !== name && !existsSync(join(root, 'src', source))) rmSync(file);
  }
}

/** Runs a script's main function and turns its failures into an exit code. */
export async function main(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    say(red(error.message));
    process.exit(error.exitCode);
  }
}
