/** What the server is and holds: `GET info`, `GET storageinfo`, `GET datausageinfo`. */
import { availableParallelism, cpus } from 'node:os';
import { jsonAnswer } from './answer.js';
import type { AdminDeps } from './deps.js';
import { adminOperation, type AdminRoute } from './operation.js';
import {
  capacityOf,
  leastParity,
  poolsOf,
  totalUsage,
  type CatchUpFacts,
  type DriveFacts,
  type IndexFacts,
  type SetFacts,
  type TotalUsage,
} from './server-state.js';
import { sizeRanges } from './size-ranges.js';
import { timeText } from './time.js';

const erasureBackend = 2;

const serverInfo = adminOperation({
  name: 'ServerInfo',
  access: ['ServerInfo'],
  handle: async (deps, call) => {
    const { state } = deps;
    const drives = await state.drives();
    const usage = totalUsage(state);
    const pools = poolsOf(state.sets);
    const online = drives.filter((drive) => drive.state === 'ok').length;
    return jsonAnswer({
      mode: 'online',
      ...(deps.region !== '' && { region: deps.region }),
      deploymentID: deps.deploymentId,
      buckets: { count: usage.buckets },
      objects: { count: usage.objects },
      versions: { count: usage.versions },
      deletemarkers: { count: usage.deleteMarkers },
      usage: { size: usage.bytes },
      services: {},
      backend: {
        backendType: 'Erasure',
        onlineDisks: online,
        offlineDisks: drives.length - online,
        standardSCParity: leastParity(state, 'STANDARD'),
        rrSCParity: leastParity(state, 'REDUCED_REDUNDANCY'),
        totalSets: pools.sets,
        totalDrivesPerSet: pools.drives,
      },
      servers: [serverOf(deps, drives, call.input.flag('metrics'))],
      pools: poolViews(state, drives, usage),
    });
  },
});

/** What the buckets hold is counted over all sets together: it stands with the first. */
function poolViews({ sets }: AdminDeps['state'], drives: readonly DriveFacts[], usage: TotalUsage) {
  const pools: Record<string, Record<string, unknown>> = {};
  for (const set of sets) {
    const own = drives.filter(({ setIndex }) => setIndex === set.setIndex);
    const { rawTotalBytes, rawFreeBytes } = capacityOf(own, [set]);
    const isFirst = set.setIndex === 0;
    (pools[set.poolIndex] ??= {})[set.indexInPool] = {
      id: set.indexInPool,
      rawUsage: rawTotalBytes - rawFreeBytes,
      rawCapacity: rawTotalBytes,
      usage: isFirst ? usage.bytes : 0,
      objectsCount: isFirst ? usage.objects : 0,
      versionsCount: isFirst ? usage.versions : 0,
      deleteMarkersCount: isFirst ? usage.deleteMarkers : 0,
      healDisks: own.filter(({ catchUp }) => catchUp !== null).length,
    };
  }
  return pools;
}

function serverOf(deps: AdminDeps, drives: readonly DriveFacts[], withMetrics: boolean) {
  const endpoint = deps.endpoint();
  const { heapUsed } = process.memoryUsage();
  const poolNumbers = poolsOf(deps.state.sets).sets.map((_, poolIndex) => poolIndex + 1);
  return {
    state: 'online',
    endpoint,
    scheme: deps.scheme,
    uptime: Math.floor(deps.state.uptimeMs() / 1000),
    version: deps.version,
    network: { [endpoint]: 'online' },
    drives: drives.map((drive) => driveView(drive, deps.state.sets, withMetrics)),
    ...(poolNumbers.length === 1 && { poolNumber: 1 }),
    poolNumbers,
    mem_stats: { Alloc: heapUsed, TotalAlloc: 0, Mallocs: 0, Frees: 0, HeapAlloc: heapUsed },
    go_max_procs: availableParallelism(),
    num_cpu: cpus().length,
    runtime_version: `node ${process.version}`,
    minio_env_vars: {},
    edition: 'granary',
    index: indexView(deps.state.index()),
  };
}

function catchUpView({ progress, bodies, bodyBytes }: CatchUpFacts) {
  return { progress, bodies_left: bodies, bytes_left: bodyBytes };
}

function indexView({ directory, named, trouble }: IndexFacts) {
  return { path: directory, ...(trouble !== null && { indexDir: named, trouble }) };
}

/** A drive as every answer of this API shows one. */
export function driveView(drive: DriveFacts, sets: readonly SetFacts[], withMetrics = false) {
  const { path, space, statistics } = drive;
  const set = sets[drive.setIndex];
  return {
    endpoint: path,
    path,
    ...(drive.catchUp !== null && { healing: true, catch_up: catchUpView(drive.catchUp) }),
    state: drive.state,
    uuid: drive.driveId,
    major: 0,
    minor: 0,
    ...(space !== null && {
      totalspace: space.totalBytes,
      usedspace: space.totalBytes - space.freeBytes,
      availspace: space.freeBytes,
      utilization: space.totalBytes === 0 ? 0 : (100 * (space.totalBytes - space.freeBytes)) / space.totalBytes,
    }),
    ...(withMetrics && statistics !== null && { metrics: driveMetrics(statistics) }),
    used_inodes: 0,
    local: true,
    pool_index: set?.poolIndex ?? 0,
    set_index: set?.indexInPool ?? 0,
    disk_index: drive.position,
  };
}

function driveMetrics({ waiting, calls, faults }: NonNullable<DriveFacts['statistics']>) {
  const count = (kind: string) => calls.get(kind)?.calls ?? 0;
  return {
    apiCalls: Object.fromEntries([...calls].map(([kind, counts]) => [kind, counts.calls])),
    totalWaiting: waiting,
    totalErrorsAvailability: faults.io + faults.slow,
    totalErrorsTimeout: faults.slow,
    totalWrites: count('write'),
    totalDeletes: count('unlink'),
  };
}

/** As `accountinfo` and `storageinfo` show it. */
export function backendView(facts: AdminDeps['state'], drives: readonly DriveFacts[]) {
  const pools = poolsOf(facts.sets);
  const byState = (isOnline: boolean) => {
    const count = drives.filter(({ state }) => (state === 'ok') === isOnline).length;
    return drives.length === 0 ? null : { '': count };
  };
  const [standard, reduced] = [paritiesOf(facts, 'STANDARD'), paritiesOf(facts, 'REDUCED_REDUNDANCY')];
  const dataOf = (parities: readonly number[]) =>
    pools.drives.map((driveCount, poolIndex) => driveCount - (parities[poolIndex] ?? 0));
  return {
    Type: erasureBackend,
    GatewayOnline: false,
    OnlineDisks: byState(true),
    OfflineDisks: byState(false),
    StandardSCData: dataOf(standard),
    StandardSCParities: standard,
    RRSCData: dataOf(reduced),
    RRSCParities: reduced,
    TotalSets: pools.sets,
    DrivesPerSet: pools.drives,
    StandardSCParity: leastParity(facts, 'STANDARD'),
    RRSCParity: leastParity(facts, 'REDUCED_REDUNDANCY'),
  };
}

/** By pool: all sets of one have the same. */
function paritiesOf(state: AdminDeps['state'], storageClass: string): number[] {
  const firsts = state.sets.filter(({ indexInPool }) => indexInPool === 0);
  return firsts.map(({ setIndex }) => state.parityOf(storageClass, setIndex));
}

const storageInfo = adminOperation({
  name: 'StorageInfo',
  access: ['StorageInfo'],
  handle: async ({ state }) => {
    const drives = await state.drives();
    return jsonAnswer({
      Disks: drives.map((drive) => driveView(drive, state.sets, true)),
      Backend: backendView(state, drives),
    });
  },
});

const dataUsageInfo = adminOperation({
  name: 'DataUsageInfo',
  access: ['DataUsageInfo'],
  handle: async (deps, call) => {
    const { state } = deps;
    const total = totalUsage(state);
    const buckets = state.bucketNames().map((name) => [name, state.bucketUsage(name)] as const);
    const capacity = call.input.flag('capacity') ? capacityOf(await state.drives(), state.sets) : null;
    return jsonAnswer({
      // Counters, not the outcome of a scan: they are of this moment.
      lastUpdate: timeText(deps.clock.nowMs()),
      objectsCount: total.objects,
      versionsCount: total.versions,
      deleteMarkersCount: total.deleteMarkers,
      objectsTotalSize: total.bytes,
      bucketsCount: total.buckets,
      bucketsUsageInfo: Object.fromEntries(
        buckets.map(([name, usage]) => [
          name,
          {
            size: usage.bytes,
            versionsCount: usage.versions,
            objectsCount: usage.objects,
            deleteMarkersCount: usage.deleteMarkers,
            objectsSizesHistogram: sizeRanges(usage.sizes),
            objectsVersionsHistogram: null,
          },
        ]),
      ),
      tierStats: null,
      bucketsSizes: Object.fromEntries(buckets.map(([name, { bytes }]) => [name, bytes])),
      ...(capacity !== null && {
        capacity: capacity.usableTotalBytes,
        freeCapacity: capacity.usableFreeBytes,
        usedCapacity: capacity.usableTotalBytes - capacity.usableFreeBytes,
      }),
    });
  },
});

export const infoRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'info', operation: serverInfo },
  { method: 'GET', path: 'storageinfo', operation: storageInfo },
  { method: 'GET', path: 'datausageinfo', operation: dataUsageInfo },
];
