'use strict';
// Compiles a test program with all kernels beside it, each with the flags of its instruction set.
const { execFile } = require('node:child_process');
const { existsSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { baselineSources, instructionSet, instructionSetNames } = require('../../scripts/native-sources.cjs');

const run = promisify(execFile);
const root = path.join(__dirname, '..', '..');

/** The folder that holds the openssl headers of this Node. */
function nodeHeaders() {
  const prefixes = [process.env.npm_config_nodedir, path.join(path.dirname(process.execPath), '..'), '/usr'];
  for (const prefix of prefixes) {
    const folder = prefix && path.join(prefix, 'include', 'node');
    if (folder && existsSync(path.join(folder, 'openssl', 'sha.h'))) return folder;
  }
  throw new Error('the headers of Node were not found; install them or set npm_config_nodedir');
}

/**
 * @param {string} source of the program, relative to the project
 * @param {{ folder: string, flags: string[], libraries: string[], sources?: string[], compiler?: string }} options
 *   where to build, compiler flags, -l flags, further sources, g++ unless said otherwise
 * @returns {Promise<string>} the program's path
 */
async function compileWithKernels(source, options) {
  const compiler = options.compiler ?? 'g++';
  const common = ['-std=c++17', '-g1', '-Wall', '-Wextra', '-Werror', `-I${nodeHeaders()}`, ...options.flags];
  const baseline = { flags: [], sources: [source, ...(options.sources ?? []), ...baselineSources()] };
  const sets = process.arch === 'x64' ? instructionSetNames.map(instructionSet) : [];
  const jobs = [baseline, ...sets].flatMap(({ flags, sources }) =>
    sources.map((file) => ({
      file: path.join(root, file),
      flags,
      object: path.join(options.folder, `${path.basename(file, '.cc')}.o`),
    })),
  );
  const objects = jobs.map((job) => job.object);
  const compileRest = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      await run(compiler, [...common, ...job.flags, '-c', job.file, '-o', job.object]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, os.cpus().length) }, compileRest));
  const program = path.join(options.folder, path.basename(source, '.cc'));
  await run(compiler, [...options.flags, '-pthread', ...objects, '-o', program, ...options.libraries]);
  return program;
}

module.exports = { compileWithKernels };
