/** What the administration API reads of the running server: drives, quorums, what the buckets hold. */
import type { CatchUpFacts, DriveFacts, ServerState } from '../admin/index.js';
import type { Clock } from '../base/index.js';
import type { Drive } from '../drive/index.js';
import { writeQuorum, type ReadCache } from '../erasure/index.js';
import { catchUpProgressMax, type Journal } from '../journal/index.js';
import type { Engine } from '../object/index.js';
import type { DeployedSet, Deployment, Place } from './deployment.js';
import type { IndexWhereabouts } from './server-catalog.js';

/** A disk that hangs answers after half a minute: nobody who asks how things are waits so long. */
const spaceMsMax = 2_000;

interface Options {
  readonly clock: Clock;
  readonly deployment: Deployment;
  /** By index. Drives may be exchanged while the server runs. */
  readonly sets: readonly {
    readonly set: { drive(position: number): Drive | null };
    readonly journal: Pick<Journal, 'health' | 'unhealed'>;
  }[];
  readonly readCache: ReadCache | null;
  readonly index: () => IndexWhereabouts;
  readonly engine: Pick<Engine, 'health' | 'listBuckets' | 'bucketUsage' | 'upkeepStatus' | 'parityOf'>;
}

export function serverState({ clock, deployment, sets, readCache, engine, index }: Options): ServerState {
  const begunMs = clock.monotonicMs();
  return {
    startedMs: clock.nowMs(),
    uptimeMs: () => clock.monotonicMs() - begunMs,
    sets: deployment.sets.map(({ setIndex, poolIndex, dataShards, parityShards }) => ({
      setIndex,
      poolIndex,
      indexInPool: setIndex - (deployment.pools[poolIndex]?.firstSet ?? 0),
      dataShards,
      parityShards,
      readQuorum: dataShards,
      writeQuorum: writeQuorum(dataShards, parityShards),
    })),
    parityOf: (storageClass, setIndex) => engine.parityOf(storageClass, setIndex),
    health: () => engine.health(),
    setHealth: (setIndex) => {
      const health = sets[setIndex]?.journal.health();
      return { canRead: health?.canRead === true, canWrite: health?.canWrite === true };
    },
    drives: () => {
      const facts = deployment.sets.flatMap((deployed) => {
        const live = sets[deployed.setIndex];
        const { inSync = [], catchingUp = [] } = live?.journal.health() ?? {};
        const unhealed = live?.journal.unhealed();
        return deployed.places.map((place) => {
          const copied = catchingUp.find(({ position }) => position === place.position);
          const catchUp =
            copied === undefined
              ? onlyBodies(unhealed?.get(place.position) ?? 0)
              : {
                  progress: copied.progress,
                  bodies: copied.bodies?.count ?? null,
                  bodyBytes: copied.bodies?.bytes ?? null,
                };
          const drive = live?.set.drive(place.position) ?? null;
          return factsOf({ ...place, drive }, deployed, inSync.includes(place.position), catchUp);
        });
      });
      return Promise.all(facts);
    },
    bucketNames: () => engine.listBuckets().map(({ name }) => name),
    bucketUsage: (bucket) => engine.bucketUsage(bucket),
    upkeep: () => engine.upkeepStatus(),
    readCache: () => readCache?.figures ?? null,
    index,
  };
}

/** Of a drive whose log is whole while bodies of large objects are not yet there: no copying is further than that. */
function onlyBodies(bodies: number): CatchUpFacts | null {
  return bodies === 0 ? null : { progress: catchUpProgressMax, bodies, bodyBytes: null };
}

async function factsOf(
  { position, path, drive }: Place,
  { driveIds, setIndex }: DeployedSet,
  isInSync: boolean,
  catchUp: CatchUpFacts | null,
): Promise<DriveFacts> {
  // It may have come back in another folder than the one it was started in.
  const common = {
    path: drive?.path ?? path ?? `drive ${position + 1}`,
    driveId: driveIds[position] ?? '',
    setIndex,
    position,
  };
  if (drive === null) return { ...common, state: 'offline', catchUp: null, space: null, statistics: null };
  const space = await spaceOf(drive);
  const takesPart = isInSync || catchUp !== null;
  return { ...common, state: takesPart ? 'ok' : 'faulty', catchUp, space, statistics: drive.statistics() };
}

async function spaceOf(drive: Drive): Promise<DriveFacts['space']> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, spaceMsMax, null);
  });
  const answer = await Promise.race([drive.space(), late]);
  clearTimeout(timer);
  return answer?.ok === true ? answer.value : null;
}
