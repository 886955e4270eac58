'use strict';
// Builds build/Release/granary.node with node-gyp. Does nothing when the build was made from the
// same inputs (a hash of all sources, the build files and the Node version); --force builds anyway.
const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync, rmSync } = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const output = path.join(root, 'build', 'Release', 'granary.node');
const stamp = path.join(root, 'build', 'granary.stamp');

function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(full);
    return /\.(cc|c|h)$/.test(entry.name) ? [full] : [];
  });
}

function hashOfInputs() {
  const hash = createHash('sha256');
  hash.update(`${process.version} ${process.arch} ${process.platform}\n`);
  const inputs = [
    path.join(root, 'binding.gyp'),
    path.join(__dirname, 'build-native.cjs'),
    path.join(__dirname, 'native-sources.cjs'),
    ...filesUnder(path.join(root, 'native')).sort(),
  ];
  for (const file of inputs)
    hash
      .update(`${path.relative(root, file)}\n`)
      .update(readFileSync(file))
      .update('\n');
  return hash.digest('hex');
}

function isOnPath(command) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, command)));
}

/** node-gyp as [command, ...arguments]: from PATH (npm puts it there), else the one npm carries. */
function findNodeGyp() {
  if (isOnPath('node-gyp')) return ['node-gyp'];
  const inNpm = ['node_modules', 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'];
  const prefixes = [path.join(path.dirname(realpathSync(process.execPath)), '..', 'lib')];
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const npm = path.join(folder, 'npm');
    if (existsSync(npm)) prefixes.push(path.join(path.dirname(realpathSync(npm)), '..', '..', '..'));
  }
  for (const prefix of prefixes) {
    const candidate = path.join(prefix, ...inNpm);
    if (existsSync(candidate)) return [process.execPath, candidate];
  }
  console.error('build-native: node-gyp was found neither on PATH nor beside npm; install npm, then try again');
  process.exit(1);
}

const inputs = hashOfInputs();
const isForced = process.argv.includes('--force');
if (!isForced && existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) process.exit(0);

const env = { ...process.env };
if (!env.npm_config_nodedir && existsSync('/usr/include/node/node_api.h')) env.npm_config_nodedir = '/usr';
const [command, ...leading] = findNodeGyp();
rmSync(stamp, { force: true });
for (const step of isForced || !existsSync(path.join(root, 'build', 'Makefile'))
  ? ['rebuild']
  : ['configure', 'build']) {
  const jobs = step === 'configure' ? [] : ['-j', 'max'];
  const result = spawnSync(command, [...leading, step, ...jobs], { stdio: 'inherit', env, cwd: root });
  if (result.error) {
    console.error(`build-native: ${result.error.message}`);
    process.exit(1);
  }
  if (result.status !== 0) process.exit(result.status ?? 1);
}
writeFileSync(stamp, inputs);
