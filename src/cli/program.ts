/** The command line of `granary` as data: commands, flags, help. Parsing has no effect of its own. */
import { Command, CommanderError, Option } from 'commander';
import { StartupError } from '../base/index.js';
import type { Flags } from '../config/index.js';
import { normalizeArguments, type LongFlag } from './arguments.js';
import { addCheckCommands, type CheckInvocation } from './check-program.js';

/** What the reader asked for. */
export type Invocation =
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'server'; readonly server: ServerInvocation }
  | { readonly kind: 'check'; readonly check: CheckInvocation };

export interface ServerInvocation {
  readonly drives: readonly string[];
  readonly flags: Flags;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly isDebug: boolean;
  /** Flags that are understood and do nothing here. */
  readonly notes: readonly string[];
}

interface ServerOptions extends Flags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly anonymous?: boolean;
  readonly consoleAddress?: string;
}

/** Flags of MinIO's server that this release has no counterpart of. Ignoring one would be a surprise. */
const refusedFlags: readonly (readonly [name: string, why: string])[] = [
  ['ftp', 'an FTP listener'],
  ['sftp', 'an SFTP listener'],
  ['config', 'a YAML configuration file'],
  ['interface', 'binding to a network interface by name'],
  ['log-dir', 'a log folder'],
];

const examples = `
Examples:
  granary server /mnt/data                      one folder, no redundancy
  granary server /mnt/drive{1...4}              four drives: any two may fail and everything is still readable
  granary server --address 127.0.0.1:9000 /data
  granary server /mnt/old{1...4} /mnt/new{1...4}   a second group of drives, added to a deployment of the first
  MINIO_ROOT_USER=admin MINIO_ROOT_PASSWORD=long-and-secret granary server /mnt/drive{1...8}

Environment: MINIO_ROOT_USER, MINIO_ROOT_PASSWORD (or …_FILE), MINIO_VOLUMES, MINIO_OPTS, MINIO_CONFIG_ENV_FILE,
MINIO_REGION, MINIO_DOMAIN, MINIO_STORAGE_CLASS_STANDARD, MINIO_ERASURE_SET_DRIVE_COUNT, MINIO_SERVER_URL.
See docs/operating.md.
Exit code: 0 after an orderly stop, 1 for every error.`;

interface Built {
  readonly program: Command;
  readonly printed: string[];
  readonly flags: LongFlag[];
  /** Set by the action of the command that was asked for. */
  result: { drives: readonly string[]; options: ServerOptions } | null;
  check: CheckInvocation | null;
}

function build(version: string): Built {
  const printed: string[] = [];
  const collect = { writeOut: (text: string) => void printed.push(text), writeErr: () => undefined };
  const program = new Command('granary')
    .description('S3-compatible object store on local drives, with erasure coding and bitrot protection.')
    .version(`granary ${version}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .exitOverride()
    .configureOutput(collect)
    .showSuggestionAfterError(false)
    .addHelpText('after', examples);
  const server = program
    .command('server')
    .description('serve S3 from local drives')
    .argument(
      '[DIR...]',
      'one folder per drive; {1...4} stands for 1 2 3 4, and each argument with it is a group of drives',
    )
    .addOption(new Option('--address <HOST:PORT>', 'listen address (default ":9000", all interfaces)'))
    .addOption(new Option('-S, --certs-dir <DIR>', 'folder with public.crt and private.key: serves HTTPS'))
    .addOption(new Option('--index-dir <DIR>', 'folder of the index (default: on the first drive)'))
    .addOption(new Option('--memory <SIZE>', 'memory for bodies under way, such as 512MiB (default: by RAM)'))
    .addOption(
      new Option('--read-cache <SIZE>', 'memory for large objects that are read time and again (default: by RAM)'),
    )
    .addOption(new Option('--threads <N>', 'worker threads (default: one per core)'))
    .addOption(new Option('--shutdown-timeout <TIME>', 'how long requests may take to finish at a stop (default 10s)'))
    .addOption(new Option('--log-level <LEVEL>', 'silent, error, warn, info or debug (with request lines)'))
    .addOption(new Option('--json', 'write one JSON object per line'))
    .addOption(new Option('--quiet', 'write no banner'))
    .addOption(new Option('--debug', 'show stacks of errors'))
    .addOption(new Option('--console-address <HOST:PORT>').hideHelp())
    .addOption(new Option('--anonymous').hideHelp())
    .exitOverride()
    .configureOutput(collect)
    .showSuggestionAfterError(false)
    .addHelpText('after', examples);
  for (const [name] of refusedFlags) server.addOption(new Option(`--${name} [value...]`).hideHelp());
  const built: Built = { program, printed, flags: [], result: null, check: null };
  const prepare = (command: Command): Command =>
    command.exitOverride().configureOutput(collect).showSuggestionAfterError(false);
  addCheckCommands(program, prepare, (asked) => {
    built.check = asked;
  });
  built.flags.push(
    ...program.commands.flatMap((command) => flagsOf(command)),
    { name: 'help', takesValue: false },
    { name: 'version', takesValue: false },
  );
  server.action((drives: string[], options: ServerOptions) => {
    built.result = { drives, options };
  });
  return built;
}

function flagsOf(command: Command): LongFlag[] {
  return command.options
    .filter((option) => option.long !== undefined)
    .map((option) => ({ name: (option.long as string).slice(2), takesValue: option.required || option.optional }));
}

/** `given`: without the program's name. Throws StartupError for a command line that makes no sense. */
export function parseCommandLine(given: readonly string[], version: string): Invocation {
  const built = build(version);
  const normalized = normalizeArguments(given, built.flags);
  const args = hoistCommand(normalized);
  if (args.length === 0) return { kind: 'print', text: built.program.helpInformation() + examples + '\n' };
  try {
    built.program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'print', text: built.printed.join('') };
    throw usageError(error, args, built.flags);
  }
  if (built.check !== null) return { kind: 'check', check: built.check };
  if (built.result === null) return { kind: 'print', text: built.printed.join('') };
  const { drives, options } = built.result;
  return { kind: 'server', server: toInvocation(drives, options) };
}

/** MinIO takes its global flags before the command as well: `granary --json server /data`. */
function hoistCommand(args: readonly string[]): string[] {
  const index = args.indexOf('server');
  const isHelp =
    args[0] === 'help' ||
    args.slice(0, Math.max(index, 0)).some((arg) => ['-h', '--help', '-v', '--version'].includes(arg));
  if (index <= 0 || isHelp || !args.slice(0, index).some((arg) => arg.startsWith('-'))) return [...args];
  return ['server', ...args.slice(0, index), ...args.slice(index + 1)];
}

function toInvocation(drives: readonly string[], options: ServerOptions): ServerInvocation {
  const given = options as Readonly<Record<string, unknown>>;
  for (const [name, why] of refusedFlags) {
    const key = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (given[key] !== undefined)
      throw new StartupError(`--${name}: this release does not have ${why}`, 'Leave the flag out.');
  }
  const notes: string[] = [];
  if (options.consoleAddress !== undefined)
    notes.push('--console-address has no effect: this release has no web console yet.');
  const { json, quiet, debug, anonymous: _anonymous, consoleAddress: _consoleAddress, ...flags } = options;
  return { drives, flags, isJson: json === true, isQuiet: quiet === true, isDebug: debug === true, notes };
}

function usageError(error: CommanderError, args: readonly string[], flags: readonly LongFlag[]): StartupError {
  const cause = error.message.replace(/^error: /, '').replace(/\n.*$/s, '');
  const remedy = remedyFor(error, args, flags);
  return new StartupError(cause, remedy);
}

function remedyFor(error: CommanderError, args: readonly string[], flags: readonly LongFlag[]): string {
  if (error.code === 'commander.unknownCommand') {
    const first = args[0] ?? '';
    return /[/.{]/.test(first)
      ? `To serve this folder: granary server ${first}`
      : 'The commands are: granary server, granary fsck, granary inspect, granary help.';
  }
  const [command = ''] = args;
  const help = `See: granary ${command === 'fsck' || command === 'inspect' ? command : 'server'} --help`;
  if (error.code === 'commander.unknownOption') {
    const typed = /'--?([^'=]+)/.exec(error.message)?.[1] ?? '';
    const near = flags.find(({ name }) => typed.length > 2 && (name.startsWith(typed) || typed.startsWith(name)));
    if (near?.name === typed && command.startsWith('-'))
      return `The command is missing, such as: granary server. ${help}`;
    if (near?.name === typed) return `It is an option of another command. ${help}`;
    if (near !== undefined) return `Did you mean --${near.name}? ${help}`;
    if (command === 'inspect')
      return `A key that begins with a dash goes behind --: granary inspect -- BUCKET KEY. ${help}`;
  }
  return help;
}
