/** `api`: how the S3 interface takes requests. */
import { durationKey, numberKey, parsedKey, switchKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';

export interface ApiSettings {
  /** Requests under way at the most; 0: as many as come. */
  readonly requestsMax: number;
  /** How long a request waits for its turn. */
  readonly requestsDeadlineMs: number;
  /** Patterns with `*`; empty: no page of another origin may read answers. */
  readonly corsOrigins: readonly string[];
  readonly isRootAllowed: boolean;
  readonly staleUploadsExpiryMs: number;
  readonly staleUploadsCleanupMs: number;
}

const yearMs = 365 * 24 * 3_600_000;

function parseOrigins(text: string): readonly string[] | undefined {
  const origins = text
    .split(',')
    .map((origin) => origin.trim().toLowerCase())
    .filter((origin) => origin !== '');
  return origins.length <= 64 && origins.every((origin) => /^[a-z0-9*.:/[\]+-]{1,256}$/.test(origin))
    ? origins
    : undefined;
}

export const apiSubsystem = defineSubsystem({
  name: 'api',
  description: 'manage global HTTP API call specific features, such as throttling, CORS, etc.',
  takesEffect: 'at once',
  keys: {
    requests_max: numberKey('set the maximum number of concurrent requests, 0 for no limit', {
      initial: 0,
      min: 0,
      max: 1_000_000,
    }),
    requests_deadline: durationKey('set the deadline for API requests waiting to be processed', {
      initial: '10s',
      minMs: 0,
      maxMs: 600_000,
    }),
    cors_allow_origin: parsedKey(
      'csv',
      'set comma separated list of origins allowed for CORS requests e.g. "https://example1.com,https://example2.com"',
      { initial: '*', parse: parseOrigins, expects: 'a comma separated list of at most 64 origins, with * for any' },
    ),
    root_access: switchKey(
      "turn 'off' root credential access for all API calls including s3 and admin operations",
      'on',
    ),
    stale_uploads_expiry: durationKey('set to expire stale multipart uploads older than this', {
      initial: '24h',
      minMs: 60_000,
      maxMs: yearMs,
    }),
    stale_uploads_cleanup_interval: durationKey('set to change intervals when stale multipart uploads are expired', {
      initial: '6h',
      minMs: 60_000,
      maxMs: yearMs,
    }),
  },
  absentKeys: [
    'cluster_deadline',
    'remote_transport_deadline',
    'list_quorum',
    'replication_priority',
    'replication_max_workers',
    'replication_max_lrg_workers',
    'transition_workers',
    'delete_cleanup_interval',
    'odirect',
    'disable_odirect',
    'gzip_objects',
    'sync_events',
    'object_max_versions',
  ],
  read: (values): ApiSettings => ({
    requestsMax: values.requests_max,
    requestsDeadlineMs: values.requests_deadline,
    corsOrigins: values.cors_allow_origin,
    isRootAllowed: values.root_access,
    staleUploadsExpiryMs: values.stale_uploads_expiry,
    staleUploadsCleanupMs: values.stale_uploads_cleanup_interval,
  }),
});
