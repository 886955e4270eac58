/**
 * The command as a function: arguments and a world in, an exit code out. `main.ts` supplies the real world,
 * tests another. Exit codes: 0 after an orderly stop, 1 for every error, or the wish to be started anew; of fsck and
 * inspect in their help.
 */
import { StartupError, type Clock } from '../base/index.js';
import { loadConfig, readSettings, splitWords, type Config, type Environment, type Settings } from '../config/index.js';
import type { Checks, CreateServer, ProcessEnd, RunningServer } from '../wiring/index.js';
import { banner, bannerRecord, stateWarnings } from './banner.js';
import { runCheck } from './check.js';
import { Printer } from './printer.js';
import { parseCommandLine, type ServerInvocation } from './program.js';
import { StopRequests, type SignalSource, type StopSignal } from './signals.js';
import type { Output } from './terminal.js';

export interface World {
  /** Without the names of node and the script. */
  readonly arguments: readonly string[];
  readonly environment: Environment;
  readonly workingFolder: string;
  readonly homeFolder: string;
  readonly out: Output;
  readonly err: Output;
  readonly clock: Clock;
  readonly signals: SignalSource;
  readonly version: string;
  /** Descriptors that this process may have; null: no limit is known. */
  readonly openFilesMax: number | null;
  readonly createServer: CreateServer;
  readonly checks: Checks;
}

/** 2: of fsck and inspect. */
export type Outcome = 0 | 1 | 2 | 'restart';

export async function run(world: World): Promise<Outcome> {
  const isJson = world.arguments.some((argument) => /^--?json(=true|=1|=on)?$/.test(argument));
  const isDebug = world.arguments.some((argument) => /^--?debug$/.test(argument));
  const printer = new Printer(world, world.environment, isJson);
  try {
    const invocation = parseCommandLine(world.arguments, world.version);
    if (invocation.kind === 'print') {
      world.out.write(invocation.text);
      return 0;
    }
    if (invocation.kind === 'check') return await runCheck(invocation.check, world);
    return await serve(invocation.server, world);
  } catch (error) {
    printer.fail(error, isDebug);
    // Of these two, 1 is an answer about the drives.
    return ['fsck', 'inspect'].includes(world.arguments[0] ?? '') ? 2 : 1;
  }
}

async function serve(typed: ServerInvocation, world: World): Promise<Outcome> {
  const startMs = world.clock.monotonicMs();
  const settings = readSettings(world.environment);
  const invocation = withEnvironmentOptions(typed, settings, world.version);
  const printer = new Printer(world, world.environment, invocation.isJson);
  const stops = new StopRequests(world.signals, world.clock);
  try {
    const { config, warnings } = loadConfig({
      drives: invocation.drives,
      flags: invocation.flags,
      settings,
      workingFolder: world.workingFolder,
      homeFolder: world.homeFolder,
      nowMs: world.clock.nowMs(),
    });
    for (const warning of [...invocation.notes, ...warnings]) printer.warn(warning);
    const { promise: asked, onProcessEnd } = processEnd();
    const starting = start(config, invocation, settings, onProcessEnd, world);
    const isAskedToStop = await Promise.race([starting.then(() => false), stops.first.then(() => true)]);
    // A start that is cut short could leave work for the next one; wait for it unless the operator insists.
    const server = await Promise.race([starting, stops.second]);
    if (typeof server === 'string') return insisted(server, printer);
    for (const warning of [...server.report.warnings, ...stateWarnings(server.report)]) printer.warn(warning);
    if (!isAskedToStop && !invocation.isQuiet) {
      const tookMs = world.clock.monotonicMs() - startMs;
      printer.show(banner(config, server, printer.paint, tookMs), bannerRecord(config, server, tookMs));
    }
    const reason = await Promise.race([stops.first, asked]);
    printer.note(`${reason}: no new requests; those under way have ${config.shutdownGraceMs / 1000} s to finish.`, {
      event: 'stopping',
      ...(reason === 'restart' || reason === 'stop' ? { action: reason } : { signal: reason }),
    });
    const code = await stop(server, config.shutdownGraceMs, stops, printer);
    // Who sends a signal wants an end, whatever was asked for before.
    return code === 0 && reason === 'restart' && !stops.isHeard ? 'restart' : code;
  } catch (error) {
    printer.fail(error, invocation.isDebug);
    return 1;
  } finally {
    stops.dispose();
  }
}

/** What an administrator asks for through the server itself. */
function processEnd(): { readonly promise: Promise<ProcessEnd>; readonly onProcessEnd: (how: ProcessEnd) => void } {
  let onProcessEnd: (how: ProcessEnd) => void = () => undefined;
  const promise = new Promise<ProcessEnd>((resolve) => (onProcessEnd = resolve));
  return { promise, onProcessEnd };
}

/** MINIO_OPTS holds flags, and in some unit files folders: what is typed on the command line wins over both. */
function withEnvironmentOptions(typed: ServerInvocation, settings: Settings, version: string): ServerInvocation {
  const options = settings.get('OPTS');
  if (options === null) return typed;
  const words = splitWords(options.value);
  if (words === null) throw new StartupError(`${options.name} has a quote that is not closed`, 'Close it.');
  let parsed;
  try {
    parsed = parseCommandLine(['server', ...words], version);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    throw new StartupError(`${options.name}: ${error.message}`, error.remedy, error);
  }
  if (parsed.kind !== 'server')
    throw new StartupError(`${options.name} asks for help`, 'Leave --help and --version out of it.');
  const base = parsed.server;
  return {
    drives: typed.drives.length > 0 ? typed.drives : base.drives,
    flags: { ...base.flags, ...typed.flags },
    isJson: base.isJson || typed.isJson,
    isQuiet: base.isQuiet || typed.isQuiet,
    isDebug: base.isDebug || typed.isDebug,
    notes: [...new Set([...base.notes, ...typed.notes])],
  };
}

function start(
  config: Config,
  invocation: ServerInvocation,
  settings: Settings,
  onProcessEnd: (how: ProcessEnd) => void,
  world: World,
): Promise<RunningServer> {
  return world.createServer({
    drives: config.drives,
    expansions: config.expansions,
    setDriveCount: config.setDriveCount,
    host: config.address.host,
    port: config.address.port,
    credentials: { accessKey: config.credentials.accessKey, secretKey: config.credentials.secretKey.reveal() },
    oldCredentials: config.oldCredentials && {
      accessKey: config.oldCredentials.accessKey,
      secretKey: config.oldCredentials.secretKey.reveal(),
    },
    tls: config.tls,
    authorities: config.authorities,
    region: config.region,
    settings: settings.subsystemValues(),
    onProcessEnd,
    domains: config.domains,
    parity: config.parity,
    arenaBytes: config.memoryBytes,
    readCacheBytes: config.readCacheBytes,
    threads: config.threads,
    openFilesMax: world.openFilesMax,
    indexDir: config.indexDir,
    httpLibrary: config.httpLibrary,
    durability: config.durability,
    reclaimDelayMs: config.reclaimDelayMs,
    metricsAuth: config.metricsAuth,
    sessionSeconds: config.sessionSeconds,
    pages: { areOn: config.arePagesOn, url: config.pagesUrl ?? config.serverUrl, loginSeconds: config.loginSeconds },
    log: {
      level: config.logLevel,
      format: invocation.isJson ? 'json' : 'text',
      stacks: invocation.isDebug,
      write: (line) => world.err.write(line),
    },
  });
}

async function stop(server: RunningServer, graceMs: number, stops: StopRequests, printer: Printer): Promise<0 | 1> {
  const closing = server.close(graceMs).then(() => 'closed' as const);
  const outcome = await Promise.race([closing, stops.second]);
  if (outcome !== 'closed') return insisted(outcome, printer);
  printer.note('Stopped.', { event: 'stopped' });
  return 0;
}

/** What is committed stays committed: the log is replayed at the next start. */
function insisted(signal: StopSignal, printer: Printer): 1 {
  printer.warn(`${signal} again: stopping at once; requests under way are cut off.`);
  return 1;
}
