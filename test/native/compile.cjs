'use strict';
// Compiles test programs with all kernels beside them, each with the flags of its instruction set, and the addon itself
// with sanitizers.
const { execFile } = require('node:child_process');
const { existsSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { baselineSources, instructionSet, instructionSetNames, sourcesIn } = require('../../scripts/native-sources.cjs');

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

/** The kernels, each with the flags of its instruction set. */
function kernelJobs() {
  const sets = process.arch === 'x64' ? instructionSetNames.map(instructionSet) : [];
  return [{ flags: [], sources: baselineSources() }, ...sets].flatMap(({ flags, sources }) =>
    sources.map((source) => ({ source, flags })),
  );
}

/** MD5 in vectors takes clang half a minute under the undefined-behaviour sanitizer: the rest goes beside it. */
const isSlow = ({ source }) => source.includes('/md5-avx');

/** Compiles `{ source, flags }` each, as many at once as there are cores, and gives the objects' paths. */
async function compileAll(jobs, { compiler, folder, flags }) {
  const common = ['-std=c++17', '-g1', '-Wall', '-Wextra', '-Werror', `-I${nodeHeaders()}`, ...flags];
  const objectOf = (source) => path.join(folder, `${source.replaceAll('/', '-')}.o`);
  const left = [...jobs.filter(isSlow), ...jobs.filter((job) => !isSlow(job))];
  const compileRest = async () => {
    for (let job = left.shift(); job; job = left.shift()) {
      await run(compiler, [...common, ...job.flags, '-c', path.join(root, job.source), '-o', objectOf(job.source)]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, os.cpus().length) }, compileRest));
  return jobs.map((job) => objectOf(job.source));
}

/**
 * @param {string} source of the program, relative to the project
 * @param {{ folder: string, flags: string[], libraries: string[], sources?: string[] }} options
 *   where to build, compiler flags, -l flags, further sources
 * @returns {Promise<string>} the program's path
 */
async function compileWithKernels(source, options) {
  const compiler = 'g++';
  const own = [source, ...(options.sources ?? [])].map((one) => ({ source: one, flags: [] }));
  const objects = await compileAll([...own, ...kernelJobs()], { ...options, compiler });
  const program = path.join(options.folder, path.basename(source, '.cc'));
  await run(compiler, [...options.flags, '-pthread', ...objects, '-o', program, ...options.libraries]);
  return program;
}

const sanitizers = 'address,undefined';

/** The library that must be preloaded into a program that was not built with the sanitizers. */
async function sanitizerRuntime(compiler) {
  const name = `libclang_rt.asan-${os.machine()}.so`;
  const { stdout } = await run(compiler, [`-print-file-name=${name}`]).catch((error) => {
    throw new Error(`${compiler} does not run (Debian: clang)`, { cause: error });
  });
  const runtime = stdout.trim();
  // What it does not have it names without a folder.
  if (!existsSync(runtime)) throw new Error(`clang has no ${name} (Debian: libclang-rt-14-dev)`);
  return runtime;
}

/**
 * Compiles the whole addon with clang's sanitizers and the counters of libFuzzer, once, and links it three times: as an
 * addon for node, with a program of libFuzzer in which other sources stand in for node, and the kernels alone with theirs.
 * @param {string} folder where to build
 * @returns {Promise<{ addon: string, runtime: string, bindings: string, kernels: string }>} `runtime` must be preloaded
 *   into node
 */
async function compileSanitized(folder) {
  const compiler = 'clang++';
  const runtime = await sanitizerRuntime(compiler);
  // As in binding.gyp. Classes of V8 have no type information, without which `vptr` cannot be linked.
  const defines = ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'OPENSSL_SUPPRESS_DEPRECATED', 'GRANARY_HAVE_IO'];
  const flags = [
    ...['-O1', '-fPIC', '-pthread', '-fvisibility=hidden', `-fsanitize=${sanitizers},fuzzer-no-link`],
    ...['-fno-sanitize=vptr', '-fno-sanitize-recover=all', `-I${require('node-addon-api').include_dir}`],
    ...[...defines, 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS', 'NODE_GYP_MODULE_NAME=granary'].map((one) => `-D${one}`),
  ];
  const jobsOf = (sources) => sources.map((source) => ({ source, flags: [] }));
  const parts = {
    kernels: kernelJobs(),
    addon: jobsOf(['native/binding', 'native/index', 'native/io'].flatMap(sourcesIn)),
    bindings: jobsOf(['test/native/fake-napi.cc', 'test/native/fuzz-bindings.cc']),
    kernelTargets: jobsOf(['test/native/fuzz-kernels.cc']),
  };
  const objects = await compileAll(Object.values(parts).flat(), { compiler, folder, flags });
  const [kernels, own, bindingsObjects, kernelTargets] = Object.values(parts).map(({ length }) =>
    objects.splice(0, length),
  );
  const [addon, bindings, kernelsProgram] = ['granary.node', 'fuzz-bindings', 'fuzz-kernels'].map((name) =>
    path.join(folder, name),
  );
  const link = (args) => run(compiler, ['-pthread', '-fno-sanitize=vptr', ...args]);
  const linkFuzzer = (all, program) =>
    link([`-fsanitize=${sanitizers},fuzzer`, ...all, '-o', program, '-l:libcrypto.so.3', '-ldl']);
  await Promise.all([
    link(['-shared', '-shared-libsan', `-fsanitize=${sanitizers},fuzzer-no-link`, ...kernels, ...own, '-o', addon]),
    linkFuzzer([...kernels, ...own, ...bindingsObjects], bindings),
    linkFuzzer([...kernels, ...kernelTargets], kernelsProgram),
  ]);
  return { addon, runtime, bindings, kernels: kernelsProgram };
}

module.exports = { compileWithKernels, compileSanitized };
