/** The sets of a deployment as the running server has them: their drives, what the engine is given, their journals. */
import { systemClock } from '../base/index.js';
import { openJournals, type Journal, type JournalLog, type OpenedJournal } from '../journal/index.js';
import { kernels } from '../native/index.js';
import type { Engine, EngineOptions } from '../object/index.js';
import type { SlabArena } from '../pool/index.js';
import type { Logger } from '../telemetry/index.js';
import type { Deployment } from './deployment.js';
import { LiveSet } from './live-set.js';

export function liveSets({ deploymentId, sets }: Deployment, log: Logger): LiveSet[] {
  return sets.map(({ setIndex, places }) => {
    const drives = places.map(({ drive }) => drive);
    return new LiveSet(deploymentId, drives, log, () => systemClock.monotonicMs(), setIndex);
  });
}

export function engineSets(
  { sets, pools, hashKey }: Deployment,
  live: readonly LiveSet[],
): Pick<EngineOptions, 'sets' | 'pools' | 'placeHash'> {
  return {
    sets: live.map((drives, setIndex) => {
      const { dataShards = 0, parityShards = 0 } = sets[setIndex] ?? {};
      return { drives, dataShards, parityShards };
    }),
    pools,
    placeHash: (text) => {
      const mac = Buffer.from(kernels.hmacSha256(hashKey, Buffer.from(text, 'utf8')));
      return [mac.readUInt32LE(0), mac.readUInt32LE(4)];
    },
  };
}

export function openSetJournals(
  deployment: Deployment,
  live: readonly LiveSet[],
  arena: SlabArena,
  engine: Engine,
  log: Logger,
): Promise<OpenedJournal[]> {
  return openJournals(
    deployment.sets.map(({ setIndex, places, dataShards }) => ({
      deploymentId: deployment.deploymentId,
      setIndex,
      drives: places.map(({ drive }) => drive?.log ?? null),
      dataShards,
      slabs: arena,
      kernels,
      clock: systemClock,
      ...engine.partOf(setIndex),
      log: setJournalLog(log, deployment.sets.length > 1 ? setIndex + 1 : null, (position) => {
        // Drives may be exchanged, and come back in another folder.
        return live[setIndex]?.drive(position)?.path ?? places[position]?.path ?? null;
      }),
    })),
  );
}

/** Lines of a journal, which knows positions: `setNumber`, from 1, and the drive's folder are told to whoever reads them. */
export function setJournalLog(
  log: Pick<Logger, 'info' | 'warn' | 'error'>,
  setNumber: number | null,
  pathOf: (position: number) => string | null,
): JournalLog {
  const told = (details: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => {
    const { position, drive } = details;
    const path = typeof position === 'number' && drive === undefined ? pathOf(position) : null;
    return {
      ...(setNumber !== null && { set: setNumber }),
      ...(path !== null && { drive: path }),
      ...details,
    };
  };
  return {
    info: (message, details) => {
      log.info(message, told(details));
    },
    warn: (message, details) => {
      log.warn(message, told(details));
    },
    error: (message, details) => {
      log.error(message, told(details));
    },
  };
}

/** When no record may be missing from any history, what no record names can go. */
export function isWholeHistory(opened: readonly OpenedJournal[]): boolean {
  return opened.every(({ report }) => report.unreadableBatches + report.lostPlaces === 0);
}

const weighEveryMs = 5_000;
/** Of each drive, for what is not a new object, as long as some set has more: log files, repairs. */
const reserveBytes = 512 * 1024 * 1024;

/** Tells the engine where there is space, again and again: with one pool there is nothing to choose. */
export class SetWeights {
  #timer: NodeJS.Timeout | undefined;
  #weighing: Promise<void> = Promise.resolve();

  constructor(
    private readonly deployment: Deployment,
    private readonly sets: readonly LiveSet[],
    private readonly journals: readonly Pick<Journal, 'canWrite'>[],
    private readonly engine: Pick<Engine, 'setSetWeights'>,
    private readonly log: Logger,
  ) {}

  async start(): Promise<void> {
    if (this.deployment.pools.length === 1) return;
    await this.#weigh();
    this.#timer = setInterval(() => {
      this.#weighing = this.#weighing
        .then(() => this.#weigh())
        .catch((error: unknown) => {
          this.log.warn('the space of the sets cannot be told', { err: error });
        });
    }, weighEveryMs).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#weighing;
  }

  async #weigh(): Promise<void> {
    const free = await Promise.all(
      this.sets.map(async (_, setIndex) => {
        const canWrite = this.journals[setIndex]?.canWrite === true;
        return canWrite ? await this.#freeOf(setIndex) : { objectBytes: 0, allBytes: 0 };
      }),
    );
    const weights = free.map(({ objectBytes }) => objectBytes);
    // The last of it is for whoever comes first.
    this.engine.setSetWeights(weights.some((weight) => weight > 0) ? weights : free.map(({ allBytes }) => allBytes));
  }

  /** The fullest drive of the set says how much more of objects there can be, without the reserve and with it. */
  async #freeOf(setIndex: number): Promise<{ readonly objectBytes: number; readonly allBytes: number }> {
    const set = this.sets[setIndex];
    const { dataShards = 0 } = this.deployment.sets[setIndex] ?? {};
    const drives = set?.inSync().flatMap((position) => set.drive(position) ?? []) ?? [];
    const spaces = await Promise.all(drives.map((drive) => drive.space()));
    const free = spaces.flatMap((space) => (space.ok ? [space.value.freeBytes] : []));
    const bytes = free.length === 0 ? 0 : Math.min(...free);
    return { objectBytes: dataShards * Math.max(0, bytes - reserveBytes), allBytes: dataShards * bytes };
  }
}
