/**
 * Which place a folder without a drive most likely had: that of a drive that was exchanged for an empty one, or is away.
 * Drives are known by their ids alone, in whichever folder they lie, so for the others there is only the order in
 * which the folders are named. A wrong guess costs no data, but when a drive that was away returns, another has its place.
 */
import { invariant } from '../base/index.js';
import type { DriveProbe } from '../drive/index.js';

type Ready = Extract<DriveProbe, { readonly kind: 'ready' }>;

interface Waiting {
  readonly folder: number;
  /** Where the drive found before it puts it: as many places behind that as the folder is behind it in the order. */
  readonly least: number;
  /** Likewise before the drive found behind it. Below `least` when the drives found are in another order. */
  readonly most: number;
}

/**
 * By id of a drive that was not found: the folder that most likely was its own. `ids` are those of all drives that the
 * folders may hold, in the order of their places; the drives that were found are among them.
 */
export function standInsOf<StandIn extends Exclude<DriveProbe, Ready>>(
  folders: readonly (Ready | StandIn)[],
  ids: readonly string[],
): ReadonlyMap<string, StandIn> {
  const found = folders.map((probe) => (probe.kind === 'ready' ? ids.indexOf(probe.drive.format.driveId) : null));
  const standIns = new Map<string, StandIn>();
  for (const [folder, place] of likelyPlaces(found, ids.length)) {
    const probe = folders[folder];
    const id = ids[place];
    invariant(probe !== undefined && probe.kind !== 'ready', 'a folder that has a drive needs no other');
    invariant(id !== undefined, 'every place has its id');
    standIns.set(id, probe);
  }
  return standIns;
}

/**
 * `found[i]` is the place of the drive in folder i, or null. Answers, by folder, a place that was not found for each
 * that has none, as long as there are any; the likeliest guesses come first, and what they take is taken.
 */
export function likelyPlaces(found: readonly (number | null)[], placeCount: number): ReadonlyMap<number, number> {
  const missing = new Set(Array.from({ length: placeCount }, (_, place) => place));
  for (const place of found) {
    if (place !== null) invariant(missing.delete(place), 'a place is found once');
  }
  const guesses: readonly ((waiting: Waiting, place: number) => boolean)[] = [
    // The drives on both sides say the same.
    ({ least, most }, place) => place === least && place === most,
    // All folders are named: in the order of the first start, but for some that were moved.
    ({ folder }, place) => found.length === placeCount && place === folder,
    // Some were not named: the drives on both sides leave a choice.
    ({ least, most }, place) => least <= place && place <= most,
    // They are in another order: one of the two.
    ({ least, most }, place) => place === least || place === most,
    () => true,
  ];
  const places = new Map<number, number>();
  const waiting = waitingOf(found, placeCount);
  for (const isLikely of guesses) {
    for (const one of waiting) {
      if (places.has(one.folder)) continue;
      const place = [...missing].find((candidate) => isLikely(one, candidate));
      if (place === undefined) continue;
      places.set(one.folder, place);
      missing.delete(place);
    }
  }
  return places;
}

function waitingOf(found: readonly (number | null)[], placeCount: number): readonly Waiting[] {
  const least: number[] = [];
  let next = 0;
  for (const place of found) {
    least.push(place ?? next);
    next = (place ?? next) + 1;
  }
  const most: number[] = [];
  let last = placeCount - 1;
  for (const place of [...found].reverse()) {
    most.unshift(place ?? last);
    last = (place ?? last) - 1;
  }
  return found.flatMap((place, folder) =>
    place === null ? [{ folder, least: least[folder] ?? 0, most: most[folder] ?? 0 }] : [],
  );
}
