// `npm run bench [-- OPTIONS]`: builds what is out of date, turns the TypeScript of bench/ into build/bench
// (types are checked by `npm run lint`, not here) and starts bench/main.ts. --no-build measures what is there.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildNative, buildTypeScript, installPackages, main, root } from '../scripts/steps.mjs';

const output = join(root, 'build', 'bench');

function sources() {
  return readdirSync(join(root, 'bench'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Compiled files lie as deep as their sources, and `src` beside them is the compiled server. */
function transpile() {
  const files = sources().map((file) => ({ name: relative(root, file), text: readFileSync(file, 'utf8') }));
  const hash = createHash('sha256');
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  const now = hash.digest('hex');
  const stamp = join(output, 'bench.stamp');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return;
  const typescript = createRequire(import.meta.url)('typescript');
  rmSync(join(output, 'bench'), { recursive: true, force: true });
  rmSync(join(output, 'src'), { force: true });
  for (const { name, text } of files) {
    const target = join(output, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const compilerOptions = {
      target: typescript.ScriptTarget.ES2022,
      module: typescript.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    };
    writeFileSync(target, typescript.transpileModule(text, { compilerOptions, fileName: name }).outputText);
  }
  symlinkSync(join('..', '..', 'dist'), join(output, 'src'), 'dir');
  writeFileSync(stamp, now);
}

const args = process.argv.slice(2);
await main(async () => {
  if (!args.includes('--no-build') && !args.includes('--help')) {
    await installPackages();
    await buildNative();
    await buildTypeScript();
  }
  transpile();
});
const { runBench } = await import(pathToFileURL(join(output, 'bench', 'main.js')).href);
process.exitCode = await runBench(args.filter((arg) => arg !== '--no-build'));
