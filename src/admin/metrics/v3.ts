/**
 * Metrics of version 3: a tree of groups, any branch of which can be asked for. A name is `minio`, the path of
 * its group and its own, joined by underscores.
 */
import { sizeRanges } from '../size-ranges.js';
import { counter, gauge, labelled, type Labels, type Metric, type Sample } from './exposition.js';
import type { Facts, SetState } from './facts.js';
import { identityPluginMetrics } from './plugin.js';
import { firstByteMetric, requestMetrics, trafficOf, type RequestNames } from './requests.js';

export interface MetricsGroup {
  /** Begins with a slash. */
  readonly path: string;
  /** Only with the name of a bucket behind the path. */
  readonly isOfBucket?: true;
  collect(facts: Facts, bucket: string): readonly Metric[];
}

const same = (operation: string): string => operation;

function apiNames(common: Labels): RequestNames {
  return { head: '', label: 'name', spell: same, common: { ...common, type: 's3' } };
}

const groups: readonly MetricsGroup[] = [
  {
    path: '/api/requests',
    collect: (facts) => {
      const { byOperation, rejected, arrivedCount } = facts;
      const { receivedBytes, sentBytes } = trafficOf(byOperation);
      const one = (value: number): Sample[] => [{ value, labels: { type: 's3' } }];
      const metrics = [
        counter('rejected_auth_total', 'Requests refused for their signature, key or token', one(rejected.auth)),
        counter('rejected_header_total', 'Requests refused for a header', one(rejected.header)),
        counter('rejected_timestamp_total', 'Requests refused for a time too far from ours', one(rejected.timestamp)),
        counter('rejected_invalid_total', 'Requests that are no operation', one(rejected.invalid)),
        counter('incoming_total', 'Requests that arrived, since the start', one(arrivedCount)),
        ...requestMetrics(byOperation, apiNames({})),
        firstByteMetric('ttfb_seconds_distribution', byOperation, apiNames({})),
        counter('traffic_received_bytes', 'Bytes of request bodies', one(receivedBytes)),
        counter('traffic_sent_bytes', 'Bytes of answers', one(sentBytes)),
      ];
      return labelled(metrics, { server: facts.server });
    },
  },
  {
    path: '/bucket/api',
    isOfBucket: true,
    collect: ({ byBucket, server }, bucket) => {
      const counts = byBucket.get(bucket) ?? new Map<string, never>();
      const { receivedBytes, sentBytes } = trafficOf(counts);
      const labels = { bucket, type: 's3' };
      const metrics = [
        counter('traffic_received_bytes', 'Bytes of request bodies', [{ value: receivedBytes, labels }]),
        counter('traffic_sent_bytes', 'Bytes of answers', [{ value: sentBytes, labels }]),
        ...requestMetrics(counts, apiNames({ bucket })).filter(({ name }) => name !== 'errors_total'),
        firstByteMetric('ttfb_seconds_distribution', counts, apiNames({ bucket })),
      ];
      return labelled(metrics, { server });
    },
  },
  { path: '/cluster/iam', collect: (facts) => identityPluginMetrics(facts, '') },
  { path: '/system/drive', collect: driveMetrics },
  {
    path: '/system/memory',
    collect: ({ process: { memoryTotalBytes: total, memoryFreeBytes: free }, server }) =>
      labelled(
        [
          gauge('total', 'Bytes of memory of the machine', total),
          gauge('free', 'Bytes of it that are free', free),
          gauge('used', 'Bytes of it that are in use', total - free),
          gauge('used_perc', 'Percent of memory that is in use', total === 0 ? 0 : (100 * (total - free)) / total),
        ],
        { server },
      ),
  },
  {
    path: '/system/cpu',
    collect: ({ process: { cpuPercent, load, coreCount }, server }) =>
      labelled(
        [
          gauge('user', 'Percent of processor time since the machine was started', cpuPercent.user),
          gauge('system', 'Percent of processor time since the machine was started', cpuPercent.system),
          gauge('nice', 'Percent of processor time since the machine was started', cpuPercent.nice),
          gauge('avg_idle', 'Percent of processor time since the machine was started', cpuPercent.idle),
          gauge('load', 'Average load of a minute', load[0]),
          gauge('load_perc', 'The load of a minute in percent of the processors', (100 * load[0]) / coreCount),
        ],
        { server },
      ),
  },
  {
    path: '/system/process',
    collect: ({ process: own, startedMs, uptimeMs, server }) =>
      labelled(
        [
          counter('cpu_total_seconds', 'Processor time of the process', own.cpuSeconds),
          gauge('resident_memory_bytes', 'Memory of the process', own.residentBytes),
          gauge('start_time_seconds', 'When the server was started', startedMs / 1000),
          gauge('uptime_seconds', 'Seconds since the server was started', uptimeMs / 1000),
        ],
        { server },
      ),
  },
  {
    path: '/cluster/health',
    collect: ({ drives, onlineCount, capacity }) => [
      gauge('drives_count', 'Drives', drives.length),
      gauge('drives_online_count', 'Drives that take part', onlineCount),
      gauge('drives_offline_count', 'Drives that do not', drives.length - onlineCount),
      gauge('nodes_online_count', 'Servers that take part', 1),
      gauge('nodes_offline_count', 'Servers that do not', 0),
      gauge('capacity_raw_total_bytes', 'Bytes of all drives', capacity.rawTotalBytes),
      gauge('capacity_raw_free_bytes', 'Bytes free on all drives', capacity.rawFreeBytes),
      gauge('capacity_usable_total_bytes', 'Bytes of all drives, less parity', capacity.usableTotalBytes),
      gauge('capacity_usable_free_bytes', 'Bytes free on all drives, less parity', capacity.usableFreeBytes),
    ],
  },
  {
    path: '/cluster/usage/objects',
    collect: ({ usage }) => [
      gauge('since_last_update_seconds', 'Age of these counts: they are of this moment', 0),
      gauge('total_bytes', 'Bytes of all versions of all objects', usage.bytes),
      gauge('count', 'Objects', usage.objects),
      gauge('versions_count', 'Versions of objects', usage.versions),
      gauge('delete_markers_count', 'Delete markers', usage.deleteMarkers),
      gauge('buckets_count', 'Buckets', usage.buckets),
      gauge('size_distribution', 'Versions by their length', rangeSamples(usage.sizes, {})),
    ],
  },
  {
    path: '/cluster/usage/buckets',
    collect: ({ bucketNames, bucketUsage }) =>
      bucketNames.flatMap((bucket) => {
        const { bytes, objects, versions, deleteMarkers, sizes } = bucketUsage(bucket);
        return labelled(
          [
            gauge('total_bytes', 'Bytes of all versions in a bucket', bytes),
            gauge('objects_count', 'Objects in a bucket', objects),
            gauge('versions_count', 'Versions in a bucket', versions),
            gauge('delete_markers_count', 'Delete markers in a bucket', deleteMarkers),
            gauge('object_size_distribution', 'Versions by their length', rangeSamples(sizes, {})),
          ],
          { bucket },
        );
      }),
  },
  { path: '/cluster/erasure-set', collect: setMetrics },
  {
    path: '/cluster/config',
    collect: ({ parity }) => [
      gauge('standard_parity', 'Parity shards that a new object has at least', parity.standard),
      gauge('rrs_parity', 'The same with REDUCED_REDUNDANCY', parity.reduced),
    ],
  },
];

function rangeSamples(sizes: readonly number[], labels: Labels): Sample[] {
  return Object.entries(sizeRanges(sizes)).map(([range, value]) => ({ value, labels: { ...labels, range } }));
}

function driveMetrics({ drives, onlineCount, server, sets }: Facts): Metric[] {
  const ofDrives = (value: (drive: Facts['drives'][number]) => number | null): Sample[] =>
    drives.flatMap((drive) => {
      const found = value(drive);
      return found === null ? [] : [{ value: found, labels: labelsOf(drive) }];
    });
  const labelsOf = ({ path, position, setIndex }: Facts['drives'][number]): Labels => ({
    drive: path,
    pool_index: String(sets[setIndex]?.poolIndex ?? 0),
    set_index: String(sets[setIndex]?.indexInPool ?? 0),
    drive_index: String(position),
  });
  const latency = drives.flatMap((drive) =>
    [...(drive.statistics?.calls ?? [])].map(([api, { calls, msTotal }]) => ({
      value: calls === 0 ? 0 : Math.round((msTotal / calls) * 1000),
      labels: { ...labelsOf(drive), api },
    })),
  );
  return labelled(
    [
      gauge(
        'total_bytes',
        'Bytes of a drive',
        ofDrives(({ space }) => space?.totalBytes ?? null),
      ),
      gauge(
        'free_bytes',
        'Bytes free on a drive',
        ofDrives(({ space }) => space?.freeBytes ?? null),
      ),
      gauge(
        'used_bytes',
        'Bytes used on a drive, by whatever',
        ofDrives(({ space }) => (space === null ? null : space.totalBytes - space.freeBytes)),
      ),
      counter(
        'timeout_errors_total',
        'Calls that were not answered in time',
        ofDrives((drive) => faultsOf(drive, 'slow')),
      ),
      counter(
        'io_errors_total',
        'Calls that failed',
        ofDrives((drive) => faultsOf(drive, 'io')),
      ),
      counter(
        'availability_errors_total',
        'Calls that failed or were not answered in time',
        ofDrives((drive) => faultsOf(drive, 'io', 'slow')),
      ),
      gauge(
        'catch_up_progress',
        'How far a drive is that is being brought up to date, with its log and with large objects; 1: it holds everything',
        ofDrives(({ catchUp, state }) => catchUp?.progress ?? (state === 'ok' ? 1 : null)),
      ),
      gauge(
        'catch_up_bodies_left',
        'Large objects and parts that are still to be written to it',
        ofDrives(({ catchUp }) => catchUp?.bodies ?? null),
      ),
      gauge(
        'catch_up_bytes_left',
        'Bytes of its shards of them',
        ofDrives(({ catchUp }) => catchUp?.bodyBytes ?? null),
      ),
      gauge(
        'waiting_io',
        'Calls that wait for a drive',
        ofDrives(({ statistics }) => statistics?.waiting ?? null),
      ),
      gauge('api_latency_micros', 'Average time of a call since the start', latency),
      gauge(
        'health',
        '1: takes part; 0: does not',
        ofDrives(({ state }) => (state === 'ok' ? 1 : 0)),
      ),
      gauge('count', 'Drives', drives.length),
      gauge('online_count', 'Drives that take part', onlineCount),
      gauge('offline_count', 'Drives that do not', drives.length - onlineCount),
    ],
    { server },
  );
}

function faultsOf({ statistics }: Facts['drives'][number], ...kinds: readonly ('io' | 'slow')[]): number | null {
  return statistics === null ? null : kinds.reduce((sum, kind) => sum + statistics.faults[kind], 0);
}

function setMetrics({ sets, health }: Facts): Metric[] {
  const ofSets = (name: string, help: string, value: (set: SetState) => number): Metric =>
    gauge(
      name,
      help,
      sets.map((set) => ({
        value: value(set),
        labels: { pool_id: String(set.poolIndex), set_id: String(set.indexInPool) },
      })),
    );
  // A drive that is being brought up to date holds not everything yet.
  const rest = (set: SetState, quorum: number): number => Math.max(0, set.onlineCount - set.healingCount - quorum);
  const quorum = Math.max(...sets.map(({ writeQuorum }) => writeQuorum));
  return [
    gauge('overall_write_quorum', 'Drives that a write needs in the set that needs most', quorum),
    gauge('overall_health', '1 while every set takes writes', Number(health.canWrite)),
    ofSets('read_quorum', 'Drives that a read needs', ({ readQuorum }) => readQuorum),
    ofSets('write_quorum', 'Drives that a write needs', ({ writeQuorum }) => writeQuorum),
    ofSets('online_drives_count', 'Drives that take part', ({ onlineCount }) => onlineCount),
    ofSets('healing_drives_count', 'Drives that are being brought up to date', ({ healingCount }) => healingCount),
    ofSets('health', '1 while the set takes writes', ({ canWrite }) => Number(canWrite)),
    ofSets('read_tolerance', 'Drives that may go with reads going on', (set) => rest(set, set.readQuorum)),
    ofSets('write_tolerance', 'Drives that may go with writes going on', (set) => rest(set, set.writeQuorum)),
    gauge(
      'class_read_tolerance',
      'Drives that may go with large objects of the storage class, as it is set now, still readable',
      sets.flatMap((set) =>
        Object.entries({ STANDARD: set.parity.standard, REDUCED_REDUNDANCY: set.parity.reduced }).map(
          ([name, asked]) => ({
            value: rest(set, set.dataShards + set.parityShards - Math.min(asked, set.parityShards)),
            labels: { pool_id: String(set.poolIndex), set_id: String(set.indexInPool), storage_class: name },
          }),
        ),
      ),
    ),
    ofSets('read_health', '1 while the set can be read', ({ canRead }) => Number(canRead)),
    ofSets('write_health', '1 while the set takes writes', ({ canWrite }) => Number(canWrite)),
  ];
}

/** Null: there is nothing at this path. `path`: behind `/minio/metrics/v3`, empty for everything. */
export function findGroups(path: string): { readonly groups: readonly MetricsGroup[]; readonly bucket: string } | null {
  const ofBucket = groups.find((group) => group.isOfBucket === true && path.startsWith(`${group.path}/`));
  if (ofBucket !== undefined) {
    const bucket = path.slice(ofBucket.path.length + 1);
    return bucket === '' || bucket.includes('/') ? null : { groups: [ofBucket], bucket };
  }
  const below = groups.filter(
    (group) => group.isOfBucket !== true && (path === '' || group.path === path || group.path.startsWith(`${path}/`)),
  );
  return below.length === 0 ? null : { groups: below, bucket: '' };
}

export function collectGroups(found: NonNullable<ReturnType<typeof findGroups>>, facts: Facts): Metric[] {
  return found.groups.flatMap((group) => {
    const head = `minio${group.path.replaceAll(/[/-]/g, '_')}_`;
    return group.collect(facts, found.bucket).map((one) => ({ ...one, name: `${head}${one.name}` }));
  });
}
