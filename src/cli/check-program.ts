/** The command lines of `granary fsck` and `granary inspect`. */
import { Option, type Command } from 'commander';

export interface FsckInvocation {
  readonly kind: 'fsck';
  readonly drives: readonly string[];
  readonly indexDir: string | null;
  readonly repair: boolean;
  readonly rebuild: boolean;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly isDebug: boolean;
}

export interface InspectInvocation {
  readonly kind: 'inspect';
  readonly bucket: string;
  readonly key: string;
  readonly drives: readonly string[];
  readonly indexDir: string | null;
  readonly isJson: boolean;
  readonly isDebug: boolean;
}

export type CheckInvocation = FsckInvocation | InspectInvocation;

interface Options {
  readonly indexDir?: string;
  readonly repair?: boolean;
  readonly rebuild?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
}

const fsckHelp = `
The server has to be stopped: the drives are locked while they are looked at. Without --repair or --rebuild nothing on
them is changed. Without DIR the folders of MINIO_VOLUMES are taken.

Exit code: 0 nothing is wrong (any more), 1 something is, 2 the drives could not be looked at.`;

const inspectHelp = `
Shows the versions of a key, how each is cut into shards, where these lie, and which of them are good. The server has
to be stopped. Without DIR the folders of MINIO_VOLUMES are taken.

Exit code: 0 every version can be read, 1 one cannot or there is none, 2 the drives could not be looked at.`;

/** Adds both commands; `found` is called by the one that is asked for. */
export function addCheckCommands(
  program: Command,
  prepare: (command: Command) => Command,
  found: (asked: CheckInvocation) => void,
): void {
  prepare(program.command('fsck'))
    .description('verify the drives of a stopped server, and mend them')
    .argument('[DIR...]', 'the folders that the server serves')
    .addOption(new Option('--repair', 'write anew what is damaged, catch up drives that lag, remove leftovers'))
    .addOption(new Option('--rebuild', 'throw the index away and build it from the logs'))
    .addOption(new Option('--index-dir <DIR>', 'folder of the index (default: on the first drive)'))
    .addOption(new Option('--json', 'write the report as one JSON object'))
    .addOption(new Option('--quiet', 'write only what is wrong'))
    .addOption(new Option('--debug', 'show stacks of errors'))
    .addHelpText('after', fsckHelp)
    .action((drives: string[], options: Options) => {
      found({
        kind: 'fsck',
        drives,
        indexDir: options.indexDir ?? null,
        repair: options.repair === true,
        rebuild: options.rebuild === true,
        isJson: options.json === true,
        isQuiet: options.quiet === true,
        isDebug: options.debug === true,
      });
    });
  prepare(program.command('inspect'))
    .description('show where an object lies, and which of its shards are good')
    .argument('<BUCKET>', 'name of the bucket')
    .argument('<KEY>', 'key of the object')
    .argument('[DIR...]', 'the folders that the server serves')
    .addOption(new Option('--index-dir <DIR>', 'folder of the index (default: on the first drive)'))
    .addOption(new Option('--json', 'write one JSON object'))
    .addOption(new Option('--debug', 'show stacks of errors'))
    .addHelpText('after', inspectHelp)
    .action((bucket: string, key: string, drives: string[], options: Options) => {
      found({
        kind: 'inspect',
        bucket,
        key,
        drives,
        indexDir: options.indexDir ?? null,
        isJson: options.json === true,
        isDebug: options.debug === true,
      });
    });
}
