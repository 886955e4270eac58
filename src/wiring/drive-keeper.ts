/**
 * Looks after the drives while the server runs. One that does not answer for its folder any more leaves the set,
 * also when nobody writes; one that was missing and is there again comes back, in whichever of the named folders
 * its id is found; an empty folder in the place of a lost drive is formatted and filled from the others. What is
 * merely broken, and still ours, is asked again by the journal.
 */
import { invariant } from '../base/index.js';
import { formatDrive, probeDrive, type Drive, type DriveFormat, type DriveOptions } from '../drive/index.js';
import type { RunningJournal } from '../journal/index.js';
import type { Logger } from '../telemetry/index.js';
import type { Deployment } from './deployment.js';
import type { LiveSet } from './live-set.js';

const lookEveryMsDefault = 3_000;
const progressEveryMs = 30_000;
/** What a drive that is exchanged may still have under way. */
const closeGraceMs = 2_000;

export interface DriveKeeperOptions {
  readonly deployment: Deployment;
  readonly set: LiveSet;
  readonly journal: Pick<RunningJournal, 'health' | 'joinDrive'>;
  readonly driveOptions: DriveOptions;
  readonly log: Logger;
  readonly lookEveryMs?: number;
}

export class DriveKeeper {
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Reasons that were given already, by folder. */
  readonly #said = new Map<string, string>();
  #progressAtMs = 0;

  constructor(private readonly options: DriveKeeperOptions) {}

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
    const { deployment, set, journal } = this.options;
    const { inSync, catchingUp } = journal.health();
    await Promise.all(inSync.map((position) => this.#check(position)));
    this.#tellProgress();
    const busy = new Set([...inSync, ...catchingUp.map(({ position }) => position)]);
    if (busy.size === set.driveCount) return;
    // Folders of drives that take part are locked by us, and need no look.
    const taken = new Set([...busy].map((position) => set.drive(position)?.path));
    for (const { path, position } of deployment.places) {
      if (path === null || taken.has(path) || this.#isClosed) continue;
      await this.#probe(path, position, busy);
    }
  }

  /** A drive of the set whose folder has gone, or which does not answer. */
  async #check(position: number): Promise<void> {
    const answer = await this.options.set.drive(position)?.check();
    if (answer?.ok === false && !this.#isClosed) this.options.set.reportWrite(position, answer.fault);
  }

  async #probe(path: string, position: number, busy: Set<number>): Promise<void> {
    const { driveOptions, deployment, set } = this.options;
    const known = await set.drive(position)?.check();
    // Another look would leave another thread in the kernel.
    if (known?.ok === false && known.fault.kind === 'slow') return;
    const probe = await probeDrive(path, { ...driveOptions, createFolder: false });
    if (probe.kind === 'ready') {
      const { format } = probe.drive;
      const isOurs =
        format.deploymentId === deployment.deploymentId && deployment.driveIds[format.position] === format.driveId;
      if (isOurs && !busy.has(format.position) && !this.#isClosed) {
        busy.add(format.position);
        this.#adopt(format.position, probe.drive, 'a drive is there again: it is brought up to date');
        return;
      }
      this.#say(path, isOurs ? 'its drive takes part already' : 'it belongs to another deployment');
      await probe.drive.close(closeGraceMs);
      return;
    }
    if (probe.kind === 'unusable' || this.#isClosed) return;
    // The drive of this place may have turned up in another folder.
    const vacant = busy.has(position) ? this.#vacant(busy) : position;
    const format = this.#formatOf(vacant);
    if (vacant === null || format === null) return;
    if (format.wasMountPoint && !probe.isMountPoint) {
      this.#say(path, 'it is empty and not a mount point: is the disk mounted?');
      return;
    }
    const drive = await formatDrive(path, { ...format, wasMountPoint: false }, driveOptions);
    busy.add(vacant);
    this.#adopt(vacant, drive, 'an empty folder is formatted in the place of a drive, and filled from the others');
    invariant(set.drive(vacant) === drive, 'a drive that was adopted is in the set');
  }

  #vacant(busy: ReadonlySet<number>): number | null {
    for (let position = 0; position < this.options.set.driveCount; position++) if (!busy.has(position)) return position;
    return null;
  }

  /** As the others have it. */
  #formatOf(position: number | null): DriveFormat | null {
    if (position === null) return null;
    const { set, deployment } = this.options;
    const driveId = deployment.driveIds[position];
    for (let other = 0; other < set.driveCount; other++) {
      const format = set.drive(other)?.format;
      if (format !== undefined && driveId !== undefined) return { ...format, driveId, position };
    }
    return null;
  }

  #adopt(position: number, drive: Drive, text: string): void {
    const { set, journal, log } = this.options;
    const before = set.replace(position, drive);
    this.#said.delete(drive.path);
    log.warn(text, { drive: drive.path, position });
    journal.joinDrive(position, drive.log);
    // Its descriptors are of files that have gone, or of a disk that is not there any more.
    void before?.close(closeGraceMs);
  }

  #tellProgress(): void {
    const { journal, log, set } = this.options;
    const now = set.monotonicMs();
    if (now - this.#progressAtMs < progressEveryMs) return;
    this.#progressAtMs = now;
    for (const { position, progress } of journal.health().catchingUp) {
      const drive = set.drive(position)?.path ?? `drive ${position + 1}`;
      log.info('a drive is being brought up to date', { drive, percent: Math.floor(100 * progress) });
    }
  }

  #say(path: string, reason: string): void {
    if (this.#said.get(path) === reason) return;
    this.#said.set(path, reason);
    this.options.log.warn('a folder is not used', { folder: path, reason });
  }
}
