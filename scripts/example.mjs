// `npm run example:NAME -- FLAGS`: compiles examples/NAME when it is newer than what was made of it, then becomes it.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { forwardSignals, installPackages, main, root, run, StepError } from './steps.mjs';

const [name = '', ...flags] = process.argv.slice(2);
const source = join(root, 'examples', name);
const output = join(root, 'build', 'examples', name);
// What imports from examples/common has both folders in its output.
const places = [join(output, name, `${name}.js`), join(output, `${name}.js`)];

/** Of the files in a folder, the time of the newest. */
function newest(folder) {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(0, ...files.map((entry) => statSync(join(folder, entry.name)).mtimeMs));
}

await main(async () => {
  if (!/^[a-z-]+$/.test(name) || !existsSync(join(source, `${name}.ts`))) {
    throw new StepError(`there is no example called "${name}"`);
  }
  const stopForwarding = forwardSignals();
  await installPackages();
  const made = places.find(existsSync);
  const changed = Math.max(newest(source), newest(join(root, 'examples', 'common')));
  if (made === undefined || statSync(made).mtimeMs < changed) {
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { code, output: printed } = await run('node', [compiler, '-p', source, '--outDir', output], { quiet: true });
    if (code !== 0) throw new StepError(printed.trimEnd());
  }
  stopForwarding();
});

const program = places.find(existsSync);
process.argv = [process.argv[0], program, ...flags];
await import(pathToFileURL(program).href);
