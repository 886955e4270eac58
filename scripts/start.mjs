// `npm start`: installs and builds what is missing or out of date, then becomes the server.
// Without arguments it serves on port 9000 from four folders below ./data.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildNative, buildTypeScript, forwardSignals, installPackages, main, root } from './steps.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`Node.js 20.19 or later is needed; this is ${process.version}\n`);
  process.exit(1);
}

await main(async () => {
  const stopForwarding = forwardSignals();
  await installPackages();
  await buildNative();
  await buildTypeScript();
  stopForwarding();
});

const given = process.argv.slice(2);
const args = given.length > 0 ? given : ['server', '--address', ':9000', join(root, 'data', 'drive{1...4}')];
// In this process, so that signals and the exit code are the server's own.
const command = join(root, 'dist', 'main.js');
process.argv = [process.argv[0], command, ...args];
await import(pathToFileURL(command).href);
