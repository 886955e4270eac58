/** The index of a server, or of a repair: on which drive it is opened, where it may move to, and how it ends. */
import { StartupError } from '../base/index.js';
import {
  inOrderOfUse,
  indexFolderOf,
  openRunCatalog,
  removeOtherIndexes,
  type Catalog,
  type IndexPlace,
} from '../catalog/index.js';
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

export async function openCatalog(
  options: Pick<ServerOptions, 'indexDir'>,
  deployment: Deployment,
  log: Logger,
  inUse: IndexInUse | null = null,
): Promise<Catalog> {
  const named = options.indexDir ?? null;
  const places = deployment.sets.flatMap((set) =>
    set.places.flatMap(({ path, drive }) => (drive === null || path === null ? [] : [indexFolderOf(path)])),
  );
  const inSync = (): IndexPlace[] => (inUse?.sets ?? []).flatMap(indexPlacesOf);
  let failure: unknown = null;
  // The next one serves when the first is failing.
  for (const directory of named === null ? await inOrderOfUse(places) : [named]) {
    const warn = (text: string): void => {
      log.warn(text, { index: directory });
    };
    try {
      const catalog = await openRunCatalog({
        directory,
        log: warn,
        ...(inUse !== null && { onDamage: (isNoted) => inUse.damage.met(isNoted) }),
        ...(inUse !== null && named === null && { places: inSync }),
      });
      if (named === null) await removeOtherIndexes(places, directory, warn);
      return catalog;
    } catch (error) {
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
