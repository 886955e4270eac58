'use strict';
// The addon's sources and the compiler flags of each instruction set, for binding.gyp and for the
// tests that compile kernels alone. On the command line it prints: `kernel`, `io` (nothing while
// native/io does not exist), `has-io`, `flags SET`, `set SET`.
const { existsSync, readdirSync } = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const avx512 = ['-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'];

/** Kernels beyond the baseline: one set of flags each, so that wide code stays where dispatch.cc can leave it out. */
const instructionSets = {
  ssse3: { flags: ['-mssse3', '-msse4.1', '-mpclmul'], stems: ['rs-ssse3', 'hash-sse41', 'crc-pclmul'] },
  sha: { flags: ['-msha', '-msse4.1'], stems: ['sha256-ni'] },
  avx2: { flags: ['-mavx2'], stems: ['rs-avx2', 'hash-avx2', 'md5-avx2'] },
  'avx2-gfni': { flags: ['-mavx2', '-mgfni'], stems: ['rs-avx2-gfni'] },
  avx512: { flags: avx512, stems: ['rs-avx512', 'hash-avx512', 'md5-avx512'] },
  'avx512-gfni': { flags: [...avx512, '-mgfni'], stems: ['rs-avx512-gfni'] },
  vpclmul: { flags: [...avx512, '-mpclmul', '-mvpclmulqdq'], stems: ['crc-vpclmul'] },
};
// The AVX-512 headers of GCC 12 set off its own warnings about unset values (GCC bug 105593).
const quiet = ['-Wno-uninitialized', '-Wno-maybe-uninitialized', '-Wno-unknown-warning-option'];

function instructionSet(name) {
  const set = instructionSets[name];
  if (!set) throw new Error(`no instruction set ${name}`);
  const flags = set.flags.includes(avx512[0]) ? [...set.flags, ...quiet] : set.flags;
  return { flags, sources: set.stems.map((stem) => `native/kernel/${stem}.cc`) };
}

function sourcesIn(folder) {
  const absolute = path.join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute)
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** Kernels that every CPU can run. */
function baselineSources() {
  const beyond = new Set(Object.keys(instructionSets).flatMap((name) => instructionSet(name).sources));
  return sourcesIn('native/kernel').filter((file) => !beyond.has(file));
}

const hasIo = () => existsSync(path.join(root, 'native/binding/io.cc'));
const ioSources = () => (hasIo() ? ['native/binding/io.cc', ...sourcesIn('native/io')] : []);

module.exports = { baselineSources, instructionSet, instructionSetNames: Object.keys(instructionSets), sourcesIn };

if (require.main === module) {
  const [question, argument] = process.argv.slice(2);
  const answers = {
    kernel: () => baselineSources().join(' '),
    io: () => ioSources().join(' '),
    'has-io': () => String(hasIo()),
    flags: () => instructionSet(argument).flags.join(' '),
    set: () => instructionSet(argument).sources.join(' '),
  };
  if (!answers[question]) {
    console.error(`usage: native-sources.cjs ${Object.keys(answers).join('|')} [SET]`);
    process.exit(1);
  }
  console.log(answers[question]());
}
