/**
 * `mc admin scanner status`, `mc support top drive`: samples of what the server does, one document for each
 * interval. Kinds that this server has no figures of are left out.
 */
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import type { ExchangeResponse, Piece } from '../exchange/index.js';
import { isStillThere } from './answer.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { adminOperation, mayAdmin, type AdminCall, type AdminRoute } from './operation.js';
import { durationMs } from './trace.js';
import type { DriveFacts } from './server-state.js';
import { timeText } from './time.js';

const bits = { scanner: 1, disk: 2, mem: 64, cpu: 128 } as const;
const intervalMsMin = 1_000;
const intervalMsMax = 60_000;
/** Who watches for longer asks again. */
const samplesMax = 86_400;

const metrics = adminOperation({
  name: 'Metrics',
  access: ['ServerInfo'],
  handle: (deps, call) => {
    const { input } = call;
    const types = integer(input.query('types'), 0xffff_ffff);
    const count = integer(input.query('n'), samplesMax) || samplesMax;
    const intervalMs = Math.min(intervalMsMax, Math.max(intervalMsMin, durationMs(input.query('interval'))));
    const wanted = {
      // None named: all of them.
      types: types === 0 ? 0xffff_ffff : types,
      byHost: input.flag('by-host'),
      byDisk: input.flag('by-disk'),
      disks: new Set(
        input
          .query('disks')
          .split(',')
          .filter((name) => name !== ''),
      ),
    };
    const hosts = input
      .query('hosts')
      .split(',')
      .filter((name) => name !== '');
    const endpoint = deps.endpoint();
    if (hosts.length > 0 && !hosts.includes(endpoint)) {
      throw adminError('XMinioAdminInvalidArgument', 'There is no such node.');
    }
    return sampleAnswer(deps, call, count, intervalMs, (isFinal) => sample(deps, wanted, isFinal));
  },
});

function integer(text: string, max: number): number {
  if (!/^\d{0,10}$/.test(text) || Number(text) > max) {
    throw adminError('XMinioAdminInvalidArgument', 'A number in the query is none.');
  }
  return Number(text);
}

interface Wanted {
  readonly types: number;
  readonly byHost: boolean;
  readonly byDisk: boolean;
  /** Empty: all. */
  readonly disks: ReadonlySet<string>;
}

async function sample(deps: AdminDeps, wanted: Wanted, isFinal: boolean) {
  const endpoint = deps.endpoint();
  const collected = timeText(deps.clock.nowMs());
  const all = await deps.state.drives();
  const drives = wanted.disks.size === 0 ? all : all.filter(({ path }) => wanted.disks.has(path));
  const has = (kind: keyof typeof bits) => (wanted.types & bits[kind]) !== 0;
  const aggregated = {
    ...(has('scanner') && { scanner: scannerView(deps, collected) }),
    ...(has('disk') && { disk: diskView(drives, collected) }),
    ...(has('mem') && {
      mem: {
        collected,
        memInfo: { total: totalmem(), used: totalmem() - freemem(), free: freemem(), limit: totalmem() },
      },
    }),
    ...(has('cpu') && { cpu: { collected, timesStat: null, loadStat: loadView(), cpuCount: availableParallelism() } }),
  };
  return {
    hosts: [endpoint],
    aggregated,
    ...(wanted.byHost && { by_host: { [endpoint]: aggregated } }),
    ...(wanted.byDisk &&
      has('disk') && {
        by_disk: Object.fromEntries(drives.map((drive) => [drive.path, diskView([drive], collected)])),
      }),
    final: isFinal,
  };
}

function scannerView(deps: AdminDeps, collected: string) {
  const { scan } = deps.state.upkeep();
  return {
    collected,
    current_cycle: scan.current === null ? 0 : scan.cycles + 1,
    current_started: timeText(scan.current?.startedMs ?? null),
    cycle_complete_times: scan.last === null ? [] : [timeText(scan.last.endedMs)],
    ongoing_buckets: scan.current === null ? 0 : deps.state.bucketNames().length,
    last_minute: {},
    active: scan.phase === 'idle' ? [] : [scan.phase],
  };
}

function diskView(drives: readonly DriveFacts[], collected: string) {
  const operations: Record<string, number> = {};
  for (const { statistics } of drives) {
    for (const [kind, { calls }] of statistics?.calls ?? []) operations[kind] = (operations[kind] ?? 0) + calls;
  }
  return {
    collected,
    n_disks: drives.length,
    offline: drives.filter(({ state }) => state !== 'ok').length,
    healing: drives.filter(({ catchUp }) => catchUp !== null).length,
    life_time_ops: operations,
    last_minute: {},
    iostats: ioView(drives),
  };
}

const sectorBytes = 512;

/** Calls of this server, in the units that clients know from disks: not what the disk does for others. */
function ioView(drives: readonly DriveFacts[]) {
  const sum = (kinds: readonly string[], of: 'calls' | 'msTotal' | 'bytes') =>
    drives.reduce(
      (total, { statistics }) => kinds.reduce((all, kind) => all + (statistics?.calls.get(kind)?.[of] ?? 0), total),
      0,
    );
  const writes = ['write', 'zeroFill'];
  return {
    read_ios: sum(['read'], 'calls'),
    read_sectors: Math.floor(sum(['read'], 'bytes') / sectorBytes),
    read_ticks: Math.round(sum(['read'], 'msTotal')),
    write_ios: sum(writes, 'calls'),
    wrte_sectors: Math.floor(sum(writes, 'bytes') / sectorBytes),
    write_ticks: Math.round(sum(writes, 'msTotal')),
    current_ios: drives.reduce((total, { statistics }) => total + (statistics?.waiting ?? 0), 0),
    flush_ios: sum(['sync'], 'calls'),
    flush_ticks: Math.round(sum(['sync'], 'msTotal')),
  };
}

function loadView() {
  const [load1 = 0, load5 = 0, load15 = 0] = loadavg();
  return { load1, load5, load15 };
}

/** The samples one after the other, at their times; a client that does not read gets none meanwhile. */
function sampleAnswer(
  deps: AdminDeps,
  call: AdminCall,
  count: number,
  intervalMs: number,
  take: (isFinal: boolean) => Promise<unknown>,
): ExchangeResponse {
  let given = 0;
  let timer: NodeJS.Timeout | null = null;
  let wake: (() => void) | null = null;
  let isClosed = false;
  const leave = deps.watchers.enter(() => wake?.());
  if (leave === null) throw adminError('SlowDown', 'Too many watch these figures already.');
  const pause = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, intervalMs);
    });
  const isOpen = () => !isClosed && !deps.watchers.isClosed && isStillThere(deps, call);
  const mayGoOn = async () => isOpen() && (await mayAdmin(call, 'ServerInfo')) && isOpen();
  const next = async (): Promise<Piece | null> => {
    if (given >= count) return null;
    if (given > 0) await pause();
    if (!(await mayGoOn())) return null;
    given++;
    const text = `${JSON.stringify(await take(given === count))}\n`;
    return { bytes: Buffer.from(text), release: () => undefined };
  };
  const close = () => {
    isClosed = true;
    leave();
    if (timer !== null) clearTimeout(timer);
    wake?.();
  };
  return {
    status: 200,
    headers: [['Content-Type', 'application/json']],
    body: { kind: 'stream', length: null, source: { next, close } },
    close: true,
  };
}

export const liveMetricsRoutes: readonly AdminRoute[] = [{ method: 'GET', path: 'metrics', operation: metrics }];
