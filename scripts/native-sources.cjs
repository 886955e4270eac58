'use strict';
// Lists the addon's sources for binding.gyp: `kernel`, `io` (nothing while native/io does not exist) or `has-io`.
const { existsSync, readdirSync } = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

/** Kernels that need an instruction set beyond the baseline: file name part → target in binding.gyp. */
const simdSuffix = /-(ssse3|sse41|pclmul|avx2|avx2-gfni|avx512|avx512-gfni|vpclmul)\.cc$/;

function sourcesIn(folder) {
  const absolute = path.join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute)
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => `${folder}/${name}`);
}

const kernelSources = () => sourcesIn('native/kernel').filter((file) => !simdSuffix.test(file));
const hasIo = () => existsSync(path.join(root, 'native/binding/io.cc'));
const ioSources = () => (hasIo() ? ['native/binding/io.cc', ...sourcesIn('native/io')] : []);

const answers = { kernel: () => kernelSources().join(' '), io: () => ioSources().join(' '), 'has-io': hasIo };

const answer = answers[process.argv[2]];
if (!answer) {
  console.error(`usage: native-sources.cjs ${Object.keys(answers).join('|')}`);
  process.exit(1);
}
console.log(String(answer()));
