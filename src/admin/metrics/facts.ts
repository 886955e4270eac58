/** Everything that one scrape reads, taken at one moment. */
import { availableParallelism, cpus, freemem, loadavg, totalmem, type CpuInfo } from 'node:os';
import type { Clock } from '../../base/index.js';
import type { CallStatistics } from '../../identity/index.js';
import type { UpkeepStatus } from '../../object/index.js';
import type { CountsByOperation, RejectedCounts, RequestCounters } from '../../telemetry/index.js';
import {
  capacityOf,
  leastParity,
  totalUsage,
  type Capacity,
  type DriveFacts,
  type IndexFacts,
  type ReadCacheCounts,
  type ServerState,
  type SetFacts,
  type SetHealth,
  type TotalUsage,
} from '../server-state.js';

export interface MetricsDeps {
  readonly state: ServerState;
  readonly requests: Pick<RequestCounters, 'arrivedCount' | 'rejected' | 'byOperation' | 'byBucket'>;
  /** Null: none is set up. */
  readonly identityPlugin: () => CallStatistics | null;
  readonly clock: Clock;
  readonly version: string;
  /** `host:port`. */
  readonly endpoint: () => string;
}

/** A set at this moment. */
export interface SetState extends SetFacts, SetHealth {
  /** Drives that take part, those among them that are being brought up to date included. */
  readonly onlineCount: number;
  readonly healingCount: number;
  readonly parity: ClassParity;
}

/** Parity shards of new objects, by storage class. */
export interface ClassParity {
  readonly standard: number;
  readonly reduced: number;
}

export interface Facts {
  readonly nowMs: number;
  readonly server: string;
  readonly version: string;
  readonly startedMs: number;
  readonly uptimeMs: number;
  readonly sets: readonly SetState[];
  /** Of the sets together: the least. */
  readonly parity: ClassParity;
  readonly health: ReturnType<ServerState['health']>;
  readonly drives: readonly DriveFacts[];
  readonly onlineCount: number;
  readonly capacity: Capacity;
  readonly usage: TotalUsage;
  readonly bucketNames: readonly string[];
  readonly bucketUsage: ServerState['bucketUsage'];
  readonly arrivedCount: number;
  readonly rejected: RejectedCounts;
  readonly byOperation: CountsByOperation;
  readonly byBucket: ReadonlyMap<string, CountsByOperation>;
  readonly upkeep: UpkeepStatus;
  readonly readCache: ReadCacheCounts | null;
  readonly index: IndexFacts;
  readonly identityPlugin: CallStatistics | null;
  readonly process: ProcessFacts;
}

export interface ProcessFacts {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly memoryTotalBytes: number;
  readonly memoryFreeBytes: number;
  readonly coreCount: number;
  /** Of 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number];
  /** Percent of the machine's time since it was started. */
  readonly cpuPercent: { readonly user: number; readonly system: number; readonly nice: number; readonly idle: number };
}

export async function collectFacts(deps: MetricsDeps): Promise<Facts> {
  const { state, requests, identityPlugin, clock, version, endpoint } = deps;
  const drives = await state.drives();
  return {
    nowMs: clock.nowMs(),
    server: endpoint(),
    version,
    startedMs: state.startedMs,
    uptimeMs: state.uptimeMs(),
    sets: state.sets.map((set) => setState(set, state, drives)),
    parity: classParity((storageClass) => leastParity(state, storageClass)),
    health: state.health(),
    drives,
    onlineCount: drives.filter((drive) => drive.state === 'ok').length,
    capacity: capacityOf(drives, state.sets),
    usage: totalUsage(state),
    bucketNames: state.bucketNames(),
    bucketUsage: (bucket) => state.bucketUsage(bucket),
    arrivedCount: requests.arrivedCount,
    rejected: requests.rejected,
    byOperation: requests.byOperation(),
    byBucket: requests.byBucket(),
    upkeep: state.upkeep(),
    readCache: state.readCache(),
    index: state.index(),
    identityPlugin: identityPlugin(),
    process: processFacts(),
  };
}

function classParity(of: (storageClass: string) => number): ClassParity {
  return { standard: of('STANDARD'), reduced: of('REDUCED_REDUNDANCY') };
}

function setState(set: SetFacts, state: ServerState, all: readonly DriveFacts[]): SetState {
  const drives = all.filter(({ setIndex }) => setIndex === set.setIndex);
  return {
    ...set,
    ...state.setHealth(set.setIndex),
    parity: classParity((storageClass) => state.parityOf(storageClass, set.setIndex)),
    onlineCount: drives.filter(({ state }) => state === 'ok').length,
    healingCount: drives.filter(({ catchUp }) => catchUp !== null).length,
  };
}

function processFacts(): ProcessFacts {
  const { user, system } = process.cpuUsage();
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    memoryTotalBytes: totalmem(),
    memoryFreeBytes: freemem(),
    coreCount: availableParallelism(),
    load: [one, five, fifteen],
    cpuPercent: cpuPercent(cpus()),
  };
}

function cpuPercent(all: readonly CpuInfo[]): ProcessFacts['cpuPercent'] {
  const sum = (of: keyof CpuInfo['times']) => all.reduce((total, { times }) => total + times[of], 0);
  const [user, nice, system, idle] = [sum('user'), sum('nice'), sum('sys'), sum('idle')];
  const whole = user + nice + system + idle + sum('irq') || 1;
  const percent = (part: number) => (100 * part) / whole;
  return { user: percent(user), system: percent(system), nice: percent(nice), idle: percent(idle) };
}
