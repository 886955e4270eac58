/**
 * Looks at the folders of a start, side by side. When the others can serve, a disk that does not answer is not waited for
 * to the end: the running server looks again, and takes it in when it answers.
 */
import { resolve } from 'node:path';
import { StartupError } from '../base/index.js';
import {
  parityOfSet,
  poolsOfFormat,
  probeDrive,
  type DriveFormat,
  type DriveProbe,
  type ProbeOptions,
} from '../drive/index.js';

/** What a drive that answers late may have under way. */
const closeGraceMs = 1_000;

/** Why a folder is not used that was not waited for. */
const lateReason = 'the disk does not answer';

export interface ProbedFolders {
  readonly probes: readonly DriveProbe[];
  /** Some were not waited for to the end. */
  readonly hasLate: boolean;
}

/** `patienceMs` null: as long as the calls may take. */
export async function probeFolders(
  folders: readonly string[],
  options: ProbeOptions,
  patienceMs: number | null,
): Promise<ProbedFolders> {
  const found = folders.map((): DriveProbe | null => null);
  let isOver = false;
  let isPatient = true;
  let look = (): void => undefined;
  const one = async (folder: string, index: number): Promise<void> => {
    const probe = await probeDrive(folder, options);
    if (!isOver) {
      found[index] = probe;
      look();
    } else if (probe.kind === 'ready') {
      // Nobody knows of it. Once its lock is free it is found again.
      await probe.drive.close(closeGraceMs);
    }
  };
  const all = Promise.all(folders.map(one));
  const enough = new Promise<void>((done) => {
    look = () => {
      if (!isPatient && canServe(found)) done();
    };
  });
  let timer: NodeJS.Timeout | undefined;
  if (patienceMs !== null) {
    timer = setTimeout(() => {
      isPatient = false;
      look();
    }, patienceMs);
  }
  try {
    await Promise.race([all, enough]);
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
  // A late one that fails otherwise than drives do is no concern of a server that runs without it.
  all.catch(() => undefined);
  const probes = found.map(
    (probe, index): DriveProbe =>
      probe ?? {
        kind: 'unusable',
        path: resolve(folders[index] ?? ''),
        folderId: null,
        reason: lateReason,
        isLocked: false,
      },
  );
  return { probes, hasLate: found.includes(null) };
}

/** Two names may lead to one folder: links, or a disk that is mounted twice. */
export function refuseSameFolder(probes: readonly DriveProbe[]): void {
  const paths = new Map<string, string>();
  for (const { path, folderId } of probes) {
    if (folderId === null) continue;
    const other = paths.get(folderId);
    if (other !== undefined) {
      throw new StartupError(
        `${other} and ${path} are the same folder`,
        'name each drive once: a link, or a second mount of the disk, leads to it as well',
      );
    }
    paths.set(folderId, path);
  }
}

/** Every set that is known of can be read. */
function canServe(found: readonly (DriveProbe | null)[]): boolean {
  const formats = found.flatMap((probe) => (probe?.kind === 'ready' ? [probe.drive.format] : []));
  const most = formats.reduce<DriveFormat | null>(
    (best, format) => (best === null || format.sets.length > best.sets.length ? format : best),
    null,
  );
  if (most === null) return false;
  const ids = new Set(formats.map(({ driveId }) => driveId));
  const pools = poolsOfFormat(most);
  return most.sets.every(
    (set, setIndex) => set.filter((id) => ids.has(id)).length >= set.length - parityOfSet(pools, setIndex),
  );
}
