/** Metrics under the names of version 2: `/minio/v2/metrics/{cluster,node,bucket,resource}`. */
import { sizeRanges } from '../size-ranges.js';
import { counter, gauge, labelled, type Metric, type Sample } from './exposition.js';
import type { Facts, SetState } from './facts.js';
import { identityPluginMetrics } from './plugin.js';
import { firstByteMetric, requestMetrics, trafficOf, type RequestNames } from './requests.js';

export const v2Groups = {
  cluster: (facts: Facts) => withServer([...cluster(facts), ...s3(facts)], facts),
  node: (facts: Facts) => withServer([...node(facts), ...s3(facts)], facts),
  bucket: (facts: Facts) => withServer(bucket(facts), facts),
  resource: (facts: Facts) => withServer(resource(facts), facts),
  /** What scrapers of long ago ask for at another path. */
  legacy: (facts: Facts) => withServer([...cluster(facts), ...node(facts), ...s3(facts)], facts),
} as const;

function withServer(metrics: readonly Metric[], { server }: Facts): Metric[] {
  return labelled(metrics, { server });
}

const lower = (operation: string): string => operation.toLowerCase();

function s3(facts: Facts): Metric[] {
  const names: RequestNames = { head: 'minio_s3_requests_', label: 'api', spell: lower, common: {} };
  const { receivedBytes, sentBytes } = trafficOf(facts.byOperation);
  const { auth, header, timestamp, invalid } = facts.rejected;
  const rejected = (why: string, what: string, value: number) =>
    counter(`minio_s3_requests_rejected_${why}_total`, `Requests refused for ${what}`, value);
  return [
    ...requestMetrics(facts.byOperation, names),
    counter('minio_s3_requests_incoming_total', 'Requests that arrived, since the start', facts.arrivedCount),
    rejected('auth', 'their signature, key or token', auth),
    rejected('header', 'a header that is malformed or missing', header),
    rejected('timestamp', 'a time too far from ours', timestamp),
    rejected('invalid', 'being no operation', invalid),
    firstByteMetric('minio_s3_requests_ttfb_seconds_distribution', facts.byOperation, names),
    counter('minio_s3_traffic_received_bytes', 'Bytes of request bodies', receivedBytes),
    counter('minio_s3_traffic_sent_bytes', 'Bytes of answers', sentBytes),
  ];
}

function ranges(name: string, sizes: readonly number[]): Metric {
  const samples = Object.entries(sizeRanges(sizes)).map(([range, value]) => ({ value, labels: { range } }));
  return gauge(name, 'Versions of objects by their length', samples);
}

const scanKinds = [
  'objects',
  'batches',
  'bytes',
  'shards',
  'badShards',
  'missingShards',
  'badBatches',
  'unreadableObjects',
  'repaired',
  'orphansRemoved',
  'usageCorrected',
] as const;

function upkeep({ upkeep: { heal, scan }, nowMs }: Facts): Metric[] {
  const sinceRepair = heal.lastRepairMs === null ? [] : [{ value: Math.max(0, nowMs - heal.lastRepairMs) * 1e6 }];
  return [
    counter('minio_heal_objects_heal_total', 'What was written anew since the start, by kind', [
      { value: heal.repairedShards, labels: { type: 'shard' } },
    ]),
    counter('minio_heal_objects_errors_total', 'Repairs that came to nothing since the start, by kind', [
      { value: heal.failedAttempts, labels: { type: 'shard' } },
    ]),
    gauge('minio_heal_time_last_activity_nano_seconds', 'Time since the last repair', sinceRepair),
    gauge('granary_heal_waiting', 'Files of which some drive lacks sound bytes', heal.waiting),
    gauge('granary_heal_running', 'Repairs under way', heal.running),
    counter('granary_heal_repaired_bytes', 'Bytes written anew since the start', heal.repairedBytes),
    counter('granary_scan_cycles_total', 'Complete scans of everything', scan.cycles),
    gauge('granary_scan_active', 'Whether a scan is under way', scan.current === null ? 0 : 1),
    gauge(
      'granary_scan_last',
      'What the last complete scan found, by kind',
      scan.last === null
        ? []
        : scanKinds.flatMap((kind) => (scan.last === null ? [] : [{ value: scan.last[kind], labels: { kind } }])),
    ),
  ];
}

function cluster(facts: Facts): Metric[] {
  const { drives, onlineCount, capacity, usage, sets, health } = facts;
  const ofSets = (name: string, help: string, value: (set: SetState) => number) =>
    gauge(
      `minio_cluster_health_erasure_set_${name}`,
      help,
      sets.map((set) => ({
        value: value(set),
        labels: { pool: String(set.poolIndex), set: String(set.indexInPool) },
      })),
    );
  return [
    gauge('minio_cluster_bucket_total', 'Buckets', usage.buckets),
    gauge('minio_cluster_capacity_raw_total_bytes', 'Bytes of all drives', capacity.rawTotalBytes),
    gauge('minio_cluster_capacity_raw_free_bytes', 'Bytes free on all drives', capacity.rawFreeBytes),
    gauge('minio_cluster_capacity_usable_total_bytes', 'Bytes of all drives, less parity', capacity.usableTotalBytes),
    gauge(
      'minio_cluster_capacity_usable_free_bytes',
      'Bytes free on all drives, less parity',
      capacity.usableFreeBytes,
    ),
    gauge('minio_cluster_drive_online_total', 'Drives that take part', onlineCount),
    gauge('minio_cluster_drive_offline_total', 'Drives that do not', drives.length - onlineCount),
    gauge('minio_cluster_drive_total', 'Drives', drives.length),
    gauge('minio_cluster_nodes_online_total', 'Servers that take part', 1),
    gauge('minio_cluster_nodes_offline_total', 'Servers that do not', 0),
    gauge('minio_cluster_usage_total_bytes', 'Bytes of all versions of all objects', usage.bytes),
    gauge('minio_cluster_usage_object_total', 'Objects', usage.objects),
    gauge('minio_cluster_usage_version_total', 'Versions of objects', usage.versions),
    gauge('minio_cluster_usage_deletemarker_total', 'Delete markers', usage.deleteMarkers),
    ranges('minio_cluster_objects_size_distribution', usage.sizes),
    gauge('minio_cluster_health_status', '1 while reads and writes have their quorum', Number(health.canWrite)),
    ofSets('status', '1 while the set takes writes', ({ canWrite }) => Number(canWrite)),
    ofSets('online_drives', 'Drives of the set that take part', (set) => set.onlineCount),
    ofSets('healing_drives', 'Drives that are being brought up to date', ({ healingCount }) => healingCount),
    ofSets('read_quorum', 'Drives that a read needs', ({ readQuorum }) => readQuorum),
    ofSets('write_quorum', 'Drives that a write needs', ({ writeQuorum }) => writeQuorum),
    ...upkeep(facts),
  ];
}

function node(facts: Facts): Metric[] {
  const { drives, onlineCount, parity, process: own, startedMs, uptimeMs, version } = facts;
  const ofDrives = (value: (drive: Facts['drives'][number]) => number | null): Sample[] =>
    drives.flatMap((drive) => {
      const found = value(drive);
      return found === null ? [] : [{ value: found, labels: { drive: drive.path } }];
    });
  const latency = drives.flatMap(({ path, statistics }) =>
    [...(statistics?.calls ?? [])].map(([api, { calls, msTotal }]) => ({
      value: calls === 0 ? 0 : Math.round((msTotal / calls) * 1000),
      labels: { drive: path, api },
    })),
  );
  return [
    gauge(
      'minio_node_drive_total_bytes',
      'Bytes of a drive',
      ofDrives(({ space }) => space?.totalBytes ?? null),
    ),
    gauge(
      'minio_node_drive_free_bytes',
      'Bytes free on a drive',
      ofDrives(({ space }) => space?.freeBytes ?? null),
    ),
    gauge(
      'minio_node_drive_used_bytes',
      'Bytes used on a drive, by whatever',
      ofDrives(({ space }) => (space === null ? null : space.totalBytes - space.freeBytes)),
    ),
    gauge('minio_node_drive_online_total', 'Drives that take part', onlineCount),
    gauge('minio_node_drive_offline_total', 'Drives that do not', drives.length - onlineCount),
    gauge('minio_node_drive_total', 'Drives', drives.length),
    gauge('minio_node_drive_latency_us', 'Average time of a call to a drive since the start', latency),
    counter(
      'minio_node_drive_errors_timeout',
      'Calls that a drive did not answer in time',
      ofDrives(({ statistics }) => statistics?.faults.slow ?? null),
    ),
    counter(
      'minio_node_drive_errors_ioerror',
      'Calls that a drive failed',
      ofDrives(({ statistics }) => statistics?.faults.io ?? null),
    ),
    counter(
      'minio_node_drive_errors_availability',
      'Calls that a drive failed or did not answer in time',
      ofDrives(({ statistics }) => (statistics === null ? null : statistics.faults.io + statistics.faults.slow)),
    ),
    gauge(
      'minio_node_drive_io_waiting',
      'Calls that wait for a drive',
      ofDrives(({ statistics }) => statistics?.waiting ?? null),
    ),
    gauge('minio_node_process_starttime_seconds', 'When the server was started', startedMs / 1000),
    gauge('minio_node_process_uptime_seconds', 'Seconds since the server was started', uptimeMs / 1000),
    gauge('minio_node_process_resident_memory_bytes', 'Memory of the process', own.residentBytes),
    counter('minio_node_process_cpu_total_seconds', 'Processor time of the process', own.cpuSeconds),
    gauge('minio_node_storage_class_standard_parity', 'Parity shards that a new object has at least', parity.standard),
    gauge('minio_node_storage_class_rrs_parity', 'The same with REDUCED_REDUNDANCY', parity.reduced),
    gauge('minio_software_version_info', 'The version in a label', [{ value: 1, labels: { version } }]),
    ...indexFolder(facts),
    ...readCache(facts),
    ...identityPluginMetrics(facts, 'minio_node_iam_'),
  ];
}

function indexFolder({ index: { named, trouble } }: Facts): Metric[] {
  if (named === null) return [];
  return [
    gauge('granary_index_dir_used', '0: the index is not in the folder of --index-dir', trouble === null ? 1 : 0),
  ];
}

function readCache({ readCache: counts }: Facts): Metric[] {
  if (counts === null) return [];
  return [
    counter('granary_read_cache_hits_total', 'Pieces of large objects that came from memory', counts.hits),
    counter(
      'granary_read_cache_misses_total',
      'Pieces, of 2 MiB at the most, that came from the drives',
      counts.misses,
    ),
    counter('granary_read_cache_hit_bytes_total', 'Bytes that came from memory', counts.hitBytes),
    gauge('granary_read_cache_used_bytes', 'Memory that is kept for reads now', counts.usedBytes),
    gauge('granary_read_cache_max_bytes', 'The most that it may be', counts.bytesMax),
  ];
}

function bucket(facts: Facts): Metric[] {
  const ofBuckets = facts.bucketNames.flatMap((name) => {
    const usage = facts.bucketUsage(name);
    return labelled(
      [
        gauge('minio_bucket_usage_total_bytes', 'Bytes of all versions in a bucket', usage.bytes),
        gauge('minio_bucket_usage_object_total', 'Objects in a bucket', usage.objects),
        gauge('minio_bucket_usage_version_total', 'Versions in a bucket', usage.versions),
        gauge('minio_bucket_usage_deletemarker_total', 'Delete markers in a bucket', usage.deleteMarkers),
        ranges('minio_bucket_objects_size_distribution', usage.sizes),
      ],
      { bucket: name },
    );
  });
  const requests = [...facts.byBucket].flatMap(([name, counts]) => {
    const names: RequestNames = {
      head: 'minio_bucket_requests_',
      label: 'api',
      spell: lower,
      common: { bucket: name },
    };
    const { receivedBytes, sentBytes } = trafficOf(counts);
    const labels = { bucket: name };
    return [
      counter('minio_bucket_traffic_received_bytes', 'Bytes of request bodies', [{ value: receivedBytes, labels }]),
      counter('minio_bucket_traffic_sent_bytes', 'Bytes of answers', [{ value: sentBytes, labels }]),
      ...requestMetrics(counts, names),
      firstByteMetric('minio_bucket_requests_ttfb_seconds_distribution', counts, names),
    ];
  });
  return [...ofBuckets, ...requests];
}

function resource(facts: Facts): Metric[] {
  const { memoryTotalBytes: total, memoryFreeBytes: free, cpuPercent, load } = facts.process;
  return [
    gauge('minio_node_mem_total', 'Bytes of memory of the machine', total),
    gauge('minio_node_mem_free', 'Bytes of it that are free', free),
    gauge('minio_node_mem_used', 'Bytes of it that are in use', total - free),
    gauge(
      'minio_node_mem_used_perc',
      'Percent of memory that is in use',
      total === 0 ? 0 : (100 * (total - free)) / total,
    ),
    gauge('minio_node_cpu_avg_user', 'Percent of processor time since the machine was started', cpuPercent.user),
    gauge('minio_node_cpu_avg_system', 'Percent of processor time since the machine was started', cpuPercent.system),
    gauge('minio_node_cpu_avg_nice', 'Percent of processor time since the machine was started', cpuPercent.nice),
    gauge('minio_node_cpu_avg_idle', 'Percent of processor time since the machine was started', cpuPercent.idle),
    gauge('minio_node_cpu_avg_load1', 'Average load of a minute', load[0]),
    gauge('minio_node_cpu_avg_load5', 'Average load of five minutes', load[1]),
    gauge('minio_node_cpu_avg_load15', 'Average load of fifteen minutes', load[2]),
  ];
}
