/**
 * Looks after the drives while the server runs. One that does not answer for its folder any more leaves the set,
 * also when nobody writes; one that was missing and is there again comes back, in whichever of the named folders
 * its id is found; one whose folder was renamed or exchanged for another goes on in it; an empty folder in the place of
 * a lost drive is formatted and filled from the others. What is merely broken, and still ours, is asked again by the
 * journal.
 */
import { invariant, limits } from '../base/index.js';
import {
  folderIdAt,
  formatDrive,
  isHarmless,
  probeDrive,
  rewriteFormat,
  type Drive,
  type DriveFault,
  type DriveOptions,
  type DriveResult,
} from '../drive/index.js';
import type { RunningJournal } from '../journal/index.js';
import type { Logger } from '../telemetry/index.js';
import type { Deployment } from './deployment.js';
import type { LiveSet } from './live-set.js';

const lookEveryMsDefault = 3_000;
const progressEveryMs = 30_000;
/** A folder that has gone may be on its way to another name. After this its disk may be checked, or mounted anew. */
const awayMsMaxDefault = 30_000;
/** What a drive that is exchanged may still have under way. */
const closeGraceMs = 2_000;

export interface KeptSet {
  readonly set: LiveSet;
  readonly journal: Pick<RunningJournal, 'health' | 'joinDrive'>;
}

export interface DriveKeeperOptions {
  readonly deployment: Deployment;
  /** By index. */
  readonly sets: readonly KeptSet[];
  readonly driveOptions: DriveOptions;
  readonly log: Logger;
  readonly lookEveryMs?: number;
  readonly awayMsMax?: number;
}

/** Where a drive belongs. */
interface Spot {
  readonly setIndex: number;
  readonly position: number;
}

/** A drive whose folder is not at its path. */
interface LostDrive {
  readonly spot: Spot;
  readonly drive: Drive;
  readonly fault: DriveFault;
}

interface EmptyFolder {
  readonly path: string;
  readonly isMountPoint: boolean;
}

function isSlow(answer: DriveResult<void>): boolean {
  return !answer.ok && answer.fault.kind === 'slow';
}

/** The place of each folder: that of the drive last seen in it, or guessed by the start. No two have the same. */
class FolderSpots {
  readonly #spots = new Map<string, Spot>();

  constructor({ sets }: Deployment) {
    for (const { setIndex, places } of sets) {
      for (const { path, position } of places) if (path !== null) this.#spots.set(path, { setIndex, position });
    }
  }

  entries(): readonly (readonly [string, Spot])[] {
    return [...this.#spots];
  }

  of(path: string): Spot {
    const spot = this.#spots.get(path);
    invariant(spot !== undefined, 'a folder that is looked at has its place');
    return spot;
  }

  /** The drive of a place was found in this folder: the folder that had the place has its place in exchange. */
  found(path: string, { setIndex, position }: Spot): void {
    const before = this.of(path);
    const other = this.entries().find(([, spot]) => spot.setIndex === setIndex && spot.position === position);
    if (other !== undefined) this.#spots.set(other[0], before);
    this.#spots.set(path, { setIndex, position });
  }
}

/** Spots whose drive takes part, or is about to. */
class BusySpots {
  readonly #spots = new Set<string>();

  add({ setIndex, position }: Spot): void {
    this.#spots.add(`${setIndex}/${position}`);
  }

  has({ setIndex, position }: Spot): boolean {
    return this.#spots.has(`${setIndex}/${position}`);
  }

  get size(): number {
    return this.#spots.size;
  }
}

export class DriveKeeper {
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Reasons that were given already, by folder. */
  readonly #said = new Map<string, string>();
  #progressAtMs = 0;
  readonly #spots: FolderSpots;
  readonly #awaySinceMs = new WeakMap<Drive, number>();
  /** Those that did not answer when they were looked at last. */
  readonly #hanging = new WeakSet<Drive>();
  /** Folders of which no drive is known, in which a look hangs: another would leave another thread in the kernel. */
  readonly #silent = new Set<string>();
  /** Of drives that were let go. */
  #wereMountsToo = false;

  constructor(private readonly options: DriveKeeperOptions) {
    this.#spots = new FolderSpots(options.deployment);
  }

  start(): void {
    this.#again();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look()
        .catch((error: unknown) => {
          this.options.log.error('the drives could not be looked after', { err: error });
        })
        .finally(() => {
          this.#again();
        });
    }, this.options.lookEveryMs ?? lookEveryMsDefault);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { sets } = this.options;
    const busy = new BusySpots();
    const taken = new Set<string | undefined>();
    await this.#checkAll();
    for (const { set, journal } of sets) {
      const { inSync, catchingUp } = journal.health();
      for (const position of [...inSync, ...catchingUp.map((one) => one.position)]) {
        busy.add({ setIndex: set.setIndex, position });
        // Folders of drives that take part are locked by us, and need no look.
        taken.add(set.drive(position)?.path);
      }
    }
    this.#tellProgress();
    if (busy.size === sets.reduce((sum, { set }) => sum + set.driveCount, 0)) return;
    const empty: EmptyFolder[] = [];
    for (const [path, spot] of this.#spots.entries()) {
      if (taken.has(path) || this.#isClosed) continue;
      const found = await this.#probe(path, spot, busy);
      if (found !== null) empty.push(found);
    }
    // Behind all others: the drive of its place may have turned up in another folder.
    for (const folder of empty) if (!this.#isClosed) await this.#fill(folder, busy);
  }

  /**
   * One that takes part and does not answer, or whose folder has gone, leaves. Of those that are out, too, nothing stays
   * open when their folder has gone: a disk that hung is often unmounted next.
   */
  async #checkAll(): Promise<void> {
    const lost: LostDrive[] = [];
    /** Folders that need no look, and those that had better have none. */
    const known = new Set<string>();
    const check = async (set: LiveSet, position: number, isInSync: boolean): Promise<void> => {
      const drive = set.drive(position);
      if (drive === null) return;
      const spot = { setIndex: set.setIndex, position };
      // A write to all tells whether this machine stands still, and takes out who hangs.
      const timer = setTimeout(() => isInSync && void set.suspect(), limits.driveStuckMs).unref();
      let answer = await drive.check();
      clearTimeout(timer);
      if (isInSync && isSlow(answer)) {
        await set.suspect();
        if (set.inSync().includes(position)) answer = await drive.check();
      }
      if (this.#isClosed) return;
      if (isSlow(answer)) this.#hanging.add(drive);
      else this.#hanging.delete(drive);
      if (!answer.ok && answer.fault.kind === 'missing') {
        lost.push({ spot, drive, fault: answer.fault });
        return;
      }
      if (!isInSync && !drive.isAway) return;
      known.add(drive.path);
      if (!answer.ok && !isHarmless(answer.fault)) this.#leave(spot, answer.fault);
      else if (!answer.ok) return;
      else if (drive.isAway) this.#follow(spot, drive, drive.path);
    };
    await Promise.all(
      this.options.sets.flatMap(({ set, journal }) => {
        const { inSync } = journal.health();
        const positions = Array.from({ length: set.driveCount }, (_, position) => position);
        return positions.map((position) => check(set, position, inSync.includes(position)));
      }),
    );
    if (lost.length > 0) await this.#findAll(lost, known);
  }

  /**
   * Folders were renamed, or exchanged for each other. A drive holds on to its folder, so what it has got is whole and
   * nothing has gone astray: it need not leave the set, and keeps its lock. It goes on under the new path, whatever
   * others were moved to where. While its folder is nowhere among those that were named it is away, as if its disk had
   * been taken out: where it will turn up, if at all, and what is done to it until then, nobody knows. After a while
   * we have nothing of it open any more, as that would keep its disk from being unmounted.
   */
  async #findAll(lost: readonly LostDrive[], known: ReadonlySet<string>): Promise<void> {
    const pathOf = new Map<string, string>();
    const look = async ([path, spot]: readonly [string, Spot]): Promise<void> => {
      if (known.has(path) || this.#hangs(path, spot)) return;
      const id = await folderIdAt(path, this.options.driveOptions);
      if (id !== null) pathOf.set(id, path);
    };
    await Promise.all(this.#spots.entries().map(look));
    for (const { spot, drive, fault } of lost) {
      if (this.#isClosed) return;
      const path = pathOf.get(drive.folderId);
      // Where it was all the time it is only its format file that has gone.
      if (path !== undefined && path !== drive.path) {
        this.#follow(spot, drive, path);
      } else if (!drive.isAway) {
        if (path === undefined) drive.seenAt(null);
        this.#leave(spot, fault);
      } else {
        this.#letGoInTime(spot, drive);
      }
    }
  }

  /** One that is out has left, and been reported, already. */
  #leave({ setIndex, position }: Spot, fault: DriveFault): void {
    const { set, journal } = this.#keptAt({ setIndex, position });
    if (journal.health().inSync.includes(position)) set.reportWrite(position, fault);
  }

  #letGoInTime(spot: Spot, drive: Drive): void {
    const { set } = this.#keptAt(spot);
    const nowMs = set.monotonicMs();
    const sinceMs = this.#awaySinceMs.get(drive) ?? nowMs;
    this.#awaySinceMs.set(drive, sinceMs);
    if (nowMs - sinceMs < (this.options.awayMsMax ?? awayMsMaxDefault)) return;
    this.#wereMountsToo ||= drive.format.wasMountPoint;
    set.replace(spot.position, null);
    this.options.log.info('a drive is away: nothing of it is open any more', {
      drive: drive.path,
      ...this.#setOf(spot),
    });
    void drive.close(closeGraceMs);
  }

  #follow(spot: Spot, drive: Drive, path: string): void {
    const { path: before, isAway } = drive;
    drive.seenAt(path);
    this.#awaySinceMs.delete(drive);
    this.#spots.found(path, spot);
    this.#said.delete(path);
    const text = isAway
      ? 'a drive is there again: it is brought up to date'
      : 'the folder of a drive was given another name: the drive goes on in it';
    const { position } = spot;
    const moved = path === before ? {} : { before };
    this.options.log.warn(text, { drive: path, ...moved, ...this.#setOf(spot), position });
    if (!isAway) return;
    const { set, journal } = this.#keptAt(spot);
    set.wasAway(position);
    journal.joinDrive(position, drive.log);
  }

  /** Takes the drive that is there again; answers the folder when it is empty. */
  async #probe(path: string, spot: Spot, busy: BusySpots): Promise<EmptyFolder | null> {
    const { driveOptions, deployment } = this.options;
    if (this.#hangs(path, spot)) return null;
    const probe = await probeDrive(path, { ...driveOptions, createFolder: false });
    if (probe.kind === 'empty') return probe;
    if (probe.kind === 'unusable') {
      if (probe.settled !== undefined) {
        this.#silent.add(path);
        void probe.settled.then(() => this.#silent.delete(path));
      }
      return null;
    }
    const { format } = probe.drive;
    const isOurs =
      format.deploymentId === deployment.deploymentId &&
      deployment.sets[format.setIndex]?.driveIds[format.position] === format.driveId;
    if (isOurs && !busy.has(format) && !this.#isClosed) {
      busy.add(format);
      this.#spots.found(path, format);
      if (format.sets.length < deployment.sets.length) await this.#tell(probe.drive);
      this.#adopt(format, probe.drive, 'a drive is there again: it is brought up to date');
      return null;
    }
    this.#say(path, isOurs ? 'its drive takes part already' : 'it belongs to another deployment');
    await probe.drive.close(closeGraceMs);
    return null;
  }

  /** Another look would leave another thread in the kernel. */
  #hangs(path: string, spot: Spot): boolean {
    if (this.#silent.has(path)) return true;
    const drive = this.#keptAt(spot).set.drive(spot.position);
    return drive !== null && this.#hanging.has(drive);
  }

  async #fill({ path, isMountPoint }: EmptyFolder, busy: BusySpots): Promise<void> {
    const { driveOptions, deployment } = this.options;
    if (this.#wereMounts() && !isMountPoint) {
      this.#say(path, 'it is empty and not a mount point: is the disk mounted?');
      return;
    }
    const spot = this.#spots.of(path);
    invariant(!busy.has(spot), 'a drive that takes part lies in the folder that has its place');
    const drive = await formatDrive(path, deployment.formatOf(spot.setIndex, spot.position), driveOptions).catch(
      (error: unknown) => {
        this.#say(path, `it is empty, but cannot be formatted: ${error instanceof Error ? error.message : 'unknown'}`);
        return null;
      },
    );
    if (drive === null) return;
    busy.add(spot);
    this.#adopt(spot, drive, 'an empty folder is formatted in the place of a drive, and filled from the others');
    invariant(this.#keptAt(spot).set.drive(spot.position) === drive, 'a drive that was adopted is in the set');
  }

  #keptAt({ setIndex }: Spot): KeptSet {
    const kept = this.options.sets[setIndex];
    invariant(kept !== undefined, 'a place is in a set that is there');
    return kept;
  }

  #wereMounts(): boolean {
    const areThere = this.options.sets.some(({ set }) =>
      Array.from({ length: set.driveCount }, (_, position) => set.drive(position)?.format.wasMountPoint).includes(true),
    );
    return areThere || this.#wereMountsToo;
  }

  /** It was away when sets were added. A drive that cannot be told now is told by the next start. */
  async #tell(drive: Drive): Promise<void> {
    const { deployment, driveOptions, log } = this.options;
    const { wasMountPoint, setIndex, position } = drive.format;
    try {
      await rewriteFormat(drive, { ...deployment.formatOf(setIndex, position), wasMountPoint }, driveOptions);
    } catch (error) {
      log.warn('a drive could not be told of the sets that were added', { drive: drive.path, err: error });
    }
  }

  #adopt(spot: Spot, drive: Drive, text: string): void {
    const { set, journal } = this.#keptAt(spot);
    const { position } = spot;
    const before = set.replace(position, drive);
    this.#said.delete(drive.path);
    this.options.log.warn(text, { drive: drive.path, ...this.#setOf(spot), position });
    journal.joinDrive(position, drive.log);
    // Its descriptors are of files that have gone, or of a disk that is not there any more.
    void before?.close(closeGraceMs);
  }

  #setOf({ setIndex }: Spot): { readonly set?: number } {
    return this.options.sets.length === 1 ? {} : { set: setIndex + 1 };
  }

  #tellProgress(): void {
    const { log, sets } = this.options;
    const now = sets[0]?.set.monotonicMs() ?? 0;
    if (now - this.#progressAtMs < progressEveryMs) return;
    this.#progressAtMs = now;
    for (const { set, journal } of sets) {
      for (const { position, progress, bodies } of journal.health().catchingUp) {
        const drive = set.drive(position)?.path ?? `drive ${position + 1}`;
        // What is a large object has its bytes beside the log.
        const left = bodies === null ? {} : { bodiesLeft: bodies.count, bytesLeft: bodies.bytes };
        log.info('a drive is being brought up to date', { drive, percent: Math.floor(100 * progress), ...left });
      }
    }
  }

  #say(path: string, reason: string): void {
    if (this.#said.get(path) === reason) return;
    this.#said.set(path, reason);
    this.options.log.warn('a folder is not used', { folder: path, reason });
  }
}
