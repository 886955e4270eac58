/** The index of a server, or of a repair: on which drive it is opened, where it may move to, and how it ends. */
import { StartupError } from '../base/index.js';
import {
  folderTrouble,
  freeBytesOf,
  inOrderOfUse,
  indexFolderOf,
  openRunCatalog,
  removeOtherIndexes,
  type Catalog,
  type IndexPlace,
} from '../catalog/index.js';
import { isShortage } from '../native/index.js';
import type { Logger } from '../telemetry/index.js';
import type { Deployment } from './deployment.js';
import type { IndexDamage } from './index-damage.js';
import type { LiveSet } from './live-set.js';
import type { ServerOptions } from './types.js';

/** What an index that is in use for long may need. */
interface IndexInUse {
  /** Its drives come and go. */
  readonly sets: readonly LiveSet[];
  readonly damage: IndexDamage;
}

/** Where it lies, and why it is not in the folder that was named for it. */
export interface IndexWhereabouts {
  readonly directory: string;
  /** Null: no folder was named. */
  readonly named: string | null;
  /** Null: it lies where it should. */
  readonly trouble: string | null;
}

export interface OpenedCatalog {
  readonly catalog: Catalog;
  readonly whereabouts: () => IndexWhereabouts;
  /** For the banner. */
  readonly warnings: readonly string[];
}

export async function openCatalog(
  options: Pick<ServerOptions, 'indexDir'>,
  deployment: Deployment,
  log: Logger,
  inUse: IndexInUse | null = null,
): Promise<OpenedCatalog> {
  const named = options.indexDir ?? null;
  const places = deployment.sets.flatMap((set) =>
    set.places.flatMap(({ path, drive }) => (drive === null || path === null ? [] : [indexFolderOf(path)])),
  );
  const namedTrouble = named === null ? null : await troubleOfNamed(named);
  const home = named === null ? null : namedPlace(named);
  const inSync = (): IndexPlace[] => [...(inUse?.sets ?? []).flatMap(indexPlacesOf), ...(home === null ? [] : [home])];
  const usable = named === null || namedTrouble !== null ? places : [named, ...places];
  let failure: unknown = null;
  // The next one serves when the first is failing.
  for (const directory of await inOrderOfUse(usable)) {
    const warn = (text: string): void => {
      log.warn(text, { index: directory });
    };
    const whereabouts = new Whereabouts(named, directory, namedTrouble ?? 'the index moves there soon', log);
    try {
      const catalog = await openRunCatalog({
        directory,
        log: warn,
        ...(inUse !== null && { onDamage: (isNoted) => inUse.damage.met(isNoted), places: inSync }),
        ...(inUse !== null && namedTrouble === null && { home }),
        onMove: (to, why) => {
          whereabouts.moved(to, why);
        },
      });
      await removeOtherIndexes(usable, directory, warn, named);
      if (namedTrouble !== null) whereabouts.tell();
      const isLeft = `the folder of --index-dir, ${named ?? ''}, is not in use: ${namedTrouble ?? ''}`;
      const warnings = namedTrouble === null ? [] : [`${isLeft}; the index lies in ${directory}`];
      return { catalog, whereabouts: () => whereabouts.now(), warnings };
    } catch (error) {
      // Another place would have the same built anew, and this index removed.
      if (isShortage(error)) {
        throw new StartupError(
          `the index cannot be opened: ${error instanceof Error ? error.message : ''}`,
          'raise the limits of this process on threads (ulimit -u, TasksMax of systemd) and open files (ulimit -n)',
          error,
        );
      }
      failure = error;
      log.warn('the index cannot be kept here', { index: directory, err: error });
    }
  }
  const folder = named ?? places[0] ?? '';
  throw new StartupError(
    `the index cannot be opened in ${folder}: ${failure instanceof Error ? failure.message : 'unknown cause'}`,
    'name a writable folder with --index-dir',
    failure,
  );
}

/** Throws when the name is a mistake; answers what is wrong with the disk. */
export async function troubleOfNamed(named: string): Promise<string | null> {
  const trouble = await folderTrouble(named);
  if (trouble?.isMistake !== true) return trouble?.reason ?? null;
  throw new StartupError(
    `the folder of --index-dir, ${named}, ${trouble.reason}`,
    'name a folder for the index that the server may write, or leave --index-dir out',
  );
}

/** An index beside the drives is there for speed: that it is not used must not go unseen. */
class Whereabouts {
  #trouble: string | null;

  constructor(
    private readonly named: string | null,
    private directory: string,
    trouble: string,
    private readonly log: Logger,
  ) {
    this.#trouble = named === null || named === directory ? null : trouble;
  }

  now(): IndexWhereabouts {
    return { directory: this.directory, named: this.named, trouble: this.#trouble };
  }

  moved(directory: string, why: string): void {
    this.directory = directory;
    this.#trouble = this.named === null || directory === this.named ? null : why;
    this.tell();
  }

  tell(): void {
    if (this.#trouble === null) return;
    this.log.error('the folder of --index-dir is not in use: the index lies on a drive until a start finds it well', {
      folder: this.named,
      cause: this.#trouble,
      index: this.directory,
    });
  }
}

function namedPlace(directory: string): IndexPlace {
  return {
    directory,
    freeBytes: () => freeBytesOf(directory),
    isFailing: async () => (await folderTrouble(directory)) !== null,
  };
}

/** Its disk may be full, or away. */
export async function closeCatalog(catalog: Catalog, log: Pick<Logger, 'warn'>): Promise<void> {
  await catalog.close().catch((error: unknown) => {
    log.warn('the end of the index could not be written: the next start takes it from the logs', { err: error });
  });
}

/** Where the index could lie in a set as it is now. */
function indexPlacesOf(set: LiveSet): IndexPlace[] {
  return set.status().flatMap(({ position, path, state }) => {
    const drive = set.drive(position);
    if (path === null || drive === null || state !== 'in-sync') return [];
    const freeBytes = async (): Promise<number> => {
      const space = await drive.space();
      return space.ok ? space.value.freeBytes : 0;
    };
    return [{ directory: indexFolderOf(path), freeBytes }];
  });
}
