#!/usr/bin/env node
/** The command's entry: the real world for `run`, and the only place that ends the process. */
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import type { WriteStream } from 'node:tty';
import { setFlagsFromString } from 'node:v8';
import { StartupError, systemClock } from './base/index.js';
import type { Output, World } from './cli/index.js';
import { openFilesMax, openFilesMin } from './process-limits.js';
import type { Checks, CreateServer } from './wiring/index.js';

// V8 guesses which objects will live long and makes them in the old generation. Those of a request live for a few
// milliseconds, which under load looks long: guessed wrong, they keep all that a request allocates until the next full
// collection. Without the guess a small PUT takes a fifth less CPU time (bench: `path.put.4KiB.c64`).
setFlagsFromString('--no-allocation-site-pretenuring');
// So little survives a collection of young objects that several threads spend more on sharing it out than one on
// copying it.
setFlagsFromString('--no-parallel-scavenge');

/** Whoever reads our output may go away; that is no reason to stop serving. */
function output(stream: WriteStream): Output {
  stream.on('error', () => undefined);
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY === true,
    columns: stream.isTTY === true ? stream.columns : null,
  };
}

/** Loaded when a server is wanted, or its drives: help and version need neither the addon nor the HTTP library. */
async function loadParts(): Promise<{ readonly createServer: CreateServer; readonly checks: Checks }> {
  return await import('./wiring/index.js').catch((error: unknown) => {
    const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    if (reason.startsWith('GRANARY_KERNEL ')) {
      throw new StartupError(
        reason,
        'Set it to one of these, or not at all: then the best path of this CPU is chosen.',
      );
    }
    throw new StartupError(
      `the server's parts cannot be loaded: ${reason}`,
      'Build them again with: npm run build (installed as a package: npm rebuild granary)',
      error,
    );
  });
}

const createServer: CreateServer = async (options) => (await loadParts()).createServer(options);

const checks: Checks = {
  fsck: async (options) => (await loadParts()).checks.fsck(options),
  inspect: async (options) => (await loadParts()).checks.inspect(options),
};

const filesMax = openFilesMax();
if (filesMax !== null && filesMax < openFilesMin) {
  process.stderr.write(
    `ERROR: the limit on open files is too low: at least ${openFilesMin} are needed, and more for many drives.\n` +
      '       Raise it (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of containers): some ten thousands cost nothing.\n',
  );
  // Of these two, 1 is an answer about the drives.
  process.exit(['fsck', 'inspect'].includes(process.argv[2] ?? '') ? 2 : 1);
}
const { run } = await import('./cli/index.js');

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

// An error that nobody caught leaves the process in an unknown state: the log is the truth, so end here.
process.on('uncaughtException', (error) => {
  process.stderr.write(`FATAL: ${error.stack ?? String(error)}\n`);
  process.exit(1);
});

const world: World = {
  arguments: process.argv.slice(2),
  environment: process.env,
  workingFolder: process.cwd(),
  homeFolder: homedir(),
  out: output(process.stdout),
  err: output(process.stderr),
  clock: systemClock,
  signals: process,
  version,
  openFilesMax: filesMax,
  createServer,
  checks,
};
let outcome = await run(world);
while (outcome === 'restart') {
  const { isHeldByDrive, startAnew } = await import('./wiring/index.js');
  // Of the same program, within this process: it could not be replaced before the disk answers.
  if (await isHeldByDrive()) outcome = await run(world);
  else startAnew(process);
}
process.exit(outcome);
