/**
 * Every MINIO_* name that operators bring along, and what becomes of it here. A name that is not in this
 * table is most likely a slip of the pen: it gets a warning with the nearest one that is.
 */
import { targetOf } from './settings-environment.js';
import { environmentName } from './subsystem.js';
import { subsystems } from './subsystems/index.js';
import { editDistance } from './words.js';

/**
 * used: has its effect. accepted: nothing to do here, and nothing lost by that.
 * inactive: belongs to `feature`, which this release does not have.
 */
export type NameUse =
  { readonly kind: 'used' } | { readonly kind: 'accepted' } | { readonly kind: 'inactive'; readonly feature: string };

const used = [
  'ACCESS_KEY ACCESS_KEY_FILE SECRET_KEY SECRET_KEY_FILE',
  'ROOT_USER ROOT_USER_FILE ROOT_PASSWORD ROOT_PASSWORD_FILE',
  'ROOT_USER_OLD ROOT_USER_OLD_FILE ROOT_PASSWORD_OLD ROOT_PASSWORD_OLD_FILE',
  'ACCESS_KEY_OLD ACCESS_KEY_OLD_FILE SECRET_KEY_OLD SECRET_KEY_OLD_FILE',
  'VOLUMES ARGS ENDPOINTS OPTS CONFIG_ENV_FILE ADDRESS CERTS_DIR',
  'REGION DOMAIN SERVER_URL STS_DURATION',
  'BROWSER BROWSER_REDIRECT_URL BROWSER_SESSION_DURATION',
  'SHUTDOWN_TIMEOUT INDEX_DIR MEMORY READ_CACHE THREADS LOG_LEVEL HTTP_LIBRARY DURABILITY RECLAIM_DELAY ERASURE_SET_DRIVE_COUNT PROMETHEUS_AUTH_TYPE',
];

const accepted = [
  // No update is looked for, nothing is sent home, writes are always synced.
  'UPDATE UPDATE_MINISIGN_PUBKEY FS_OSYNC CI_CD UPGRADE',
  'CALLHOME_ENABLE CALLHOME_FREQUENCY SUBNET_LICENSE SUBNET_API_KEY SUBNET_PROXY',
  'PUBLIC_IPS',
  // Removed from MinIO long ago: the discovery document names the keys.
  'IDENTITY_OPENID_JWKS_URL',
  // Of releases that bound without a lookup account: nothing reads them any more, there or here.
  'IDENTITY_LDAP_STS_EXPIRY IDENTITY_LDAP_USERNAME_FORMAT IDENTITY_LDAP_USERNAME_SEARCH_FILTER',
  'IDENTITY_LDAP_USERNAME_SEARCH_BASE_DN IDENTITY_LDAP_GROUP_NAME_ATTRIBUTE',
  // Settings of container images that start other programs around the server.
  'SKIP_CLIENT FORCE_NEW_KEYS USERNAME GROUPNAME',
];

/** Names by the feature that they belong to. A trailing star takes any end: targets have names of their own. */
const inactive: readonly (readonly [feature: string, names: string])[] = [
  ['the web console', 'CONSOLE_ADDRESS BROWSER_REDIRECT BROWSER_LOGIN_ANIMATION'],
  ['the web console', 'BROWSER_CONTENT_SECURITY_POLICY BROWSER_CSP_POLICY'],
  [
    'the web console',
    'BROWSER_HSTS_SECONDS BROWSER_HSTS_INCLUDE_SUB_DOMAINS BROWSER_HSTS_PRELOAD BROWSER_REFERRER_POLICY',
  ],
  ['buckets created at the start', 'DEFAULT_BUCKETS'],
  ['storage class tuning', 'STORAGE_CLASS_OPTIMIZE STORAGE_CLASS_INLINE_BLOCK'],
  ['records in etcd', 'ETCD_*'],
  ['the gateway', 'GATEWAY_*'],
  ['the gateway cache', 'CACHE_*'],
  ['server-side encryption', 'KMS_*'],
  ['event notifications', 'NOTIFY_*'],
  ['lambda targets', 'LAMBDA_WEBHOOK_*'],
  ['queues on disk and proxies of webhooks', 'LOGGER_WEBHOOK_* AUDIT_WEBHOOK_*'],
  [
    'log and audit targets',
    'AUDIT_KAFKA_* LOG_QUERY_URL LOG_QUERY_AUTH_TOKEN LOG_DIR LOG_SIZE LOG_COMPRESS LOG_PREFIX',
  ],
  ['metrics', 'PROMETHEUS_URL PROMETHEUS_JOB_ID PROMETHEUS_AUTH_TOKEN PROMETHEUS_EXTRA_LABELS PROMETHEUS_OPEN_METRICS'],
  [
    'compression',
    'COMPRESSION_ENABLE COMPRESSION_ALLOW_ENCRYPTION COMPRESSION_EXTENSIONS COMPRESSION_MIME_TYPES COMPRESSION_COMMENT COMPRESS COMPRESS_EXTENSIONS COMPRESS_MIME_TYPES COMPRESS_ENABLE COMPRESS_ALLOW_ENCRYPTION',
  ],
  ['lifecycle rules', 'ILM_TRANSITION_WORKERS ILM_EXPIRATION_WORKERS ILM_COMMENT ILM_EXPIRY_WORKERS'],
  [
    'the background scanner',
    'SCANNER_DELAY SCANNER_MAX_WAIT SCANNER_IDLE_SPEED SCANNER_EXCESS_VERSIONS SCANNER_EXCESS_FOLDERS SCANNER_ALERT_EXCESS_VERSIONS SCANNER_ALERT_EXCESS_FOLDERS',
  ],
  ['healing settings', 'HEAL_BITROTSCAN HEAL_MAX_SLEEP HEAL_MAX_IO HEAL_DRIVE_WORKERS'],
  [
    'batch jobs',
    'BATCH_REPLICATION_WORKERS_WAIT BATCH_KEYROTATION_WORKERS_WAIT BATCH_EXPIRATION_WORKERS_WAIT BATCH_COMMENT',
  ],
  ['drive settings', 'DRIVE_MAX_TIMEOUT DRIVE_ACTIVE_MONITORING DRIVE_COMMENT'],
  ['settings of the api subsystem', 'API_CLUSTER_DEADLINE API_REMOTE_TRANSPORT_DEADLINE API_LIST_QUORUM'],
  [
    'settings of the api subsystem',
    'API_REPLICATION_PRIORITY API_REPLICATION_MAX_WORKERS API_REPLICATION_MAX_LRG_WORKERS API_TRANSITION_WORKERS',
  ],
  ['settings of the api subsystem', 'API_DELETE_CLEANUP_INTERVAL API_DISABLE_ODIRECT API_ODIRECT API_GZIP_OBJECTS'],
  [
    'settings of the api subsystem',
    'API_SYNC_EVENTS API_OBJECT_MAX_VERSIONS API_XFF_HEADER API_SELECT_PARQUET API_EXTEND_LIST_CACHE_LIFE',
  ],
  ['S3 Select', 'SELECT_PARQUET'],
  ['listeners beside HTTP', 'FTP SFTP INTERFACE DNS_WEBHOOK_ENDPOINT LB_HOSTS'],
  [
    'timeouts of connections',
    'READ_HEADER_TIMEOUT IDLE_TIMEOUT CONN_USER_TIMEOUT CONN_READ_DEADLINE CONN_WRITE_DEADLINE DNS_CACHE_TTL',
  ],
  [
    'ports of container images',
    'API_PORT_NUMBER CONSOLE_PORT_NUMBER SCHEME DATA_DIR DISTRIBUTED_MODE_ENABLED DISTRIBUTED_NODES',
  ],
];

/** The start of names with a target at the end, as they stand in the table for distances. */
const targetKeys: Readonly<Record<string, string>> = {
  ETCD_: 'ENDPOINTS PATH_PREFIX COREDNS_PATH CLIENT_CERT CLIENT_CERT_KEY COMMENT',
  GATEWAY_: 'SSE DEPLOYMENT_ID S3_STS_ENDPOINT',
  CACHE_: 'DRIVES EXCLUDE QUOTA AFTER WATERMARK_LOW WATERMARK_HIGH EXPIRY MAXUSE RANGE COMMIT ENABLE',
  KMS_: 'SECRET_KEY SECRET_KEY_FILE AUTO_ENCRYPTION MASTER_KEY KES_ENDPOINT KES_KEY_NAME KES_KEY_FILE KES_KEY_PASSWORD KES_CERT_FILE KES_CAPATH KES_API_KEY KES_ENCLAVE SERVER ENCLAVE SSE_KEY API_KEY REPLICATE_KEYID',
  NOTIFY_:
    'WEBHOOK_ENABLE WEBHOOK_ENDPOINT WEBHOOK_AUTH_TOKEN WEBHOOK_QUEUE_DIR WEBHOOK_QUEUE_LIMIT AMQP_ENABLE AMQP_URL KAFKA_ENABLE KAFKA_BROKERS KAFKA_TOPIC MQTT_ENABLE MQTT_BROKER MQTT_TOPIC NATS_ENABLE NATS_ADDRESS NATS_SUBJECT NSQ_ENABLE NSQ_NSQD_ADDRESS REDIS_ENABLE REDIS_ADDRESS MYSQL_ENABLE MYSQL_DSN_STRING POSTGRES_ENABLE POSTGRES_CONNECTION_STRING ELASTICSEARCH_ENABLE ELASTICSEARCH_URL',
  LAMBDA_WEBHOOK_: 'ENABLE ENDPOINT AUTH_TOKEN CLIENT_CERT CLIENT_KEY',
  LOGGER_WEBHOOK_: 'QUEUE_DIR PROXY',
  AUDIT_WEBHOOK_: 'QUEUE_DIR PROXY',
  AUDIT_KAFKA_:
    'ENABLE BROKERS TOPIC SASL SASL_USERNAME SASL_PASSWORD SASL_MECHANISM TLS TLS_SKIP_VERIFY QUEUE_SIZE QUEUE_DIR VERSION',
};

/**
 * Kubernetes puts the address of every service into the environment of every container: MINIO_PORT and
 * MINIO_SERVICE_HOST for a service called minio, MINIO_CONSOLE_PORT_9001_TCP for minio-console.
 */
const kubernetesPattern =
  /^(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

interface NameTable {
  readonly exact: ReadonlyMap<string, NameUse>;
  /** Only names that end in a key of the table or in one with a target behind it. */
  readonly targets: readonly { readonly start: string; readonly keys: readonly string[]; readonly use: NameUse }[];
}

function buildTable(): NameTable {
  const exact = new Map<string, NameUse>();
  const targets: { start: string; keys: readonly string[]; use: NameUse }[] = [];
  for (const name of used.flatMap(split)) exact.set(name, { kind: 'used' });
  for (const { name, keys } of subsystems) {
    for (const key of Object.keys(keys)) exact.set(environmentName(name, key), { kind: 'used' });
  }
  for (const name of accepted.flatMap(split)) exact.set(name, { kind: 'accepted' });
  for (const [feature, names] of inactive) {
    const use = { kind: 'inactive', feature } as const;
    for (const name of split(names)) {
      if (!name.endsWith('*')) {
        exact.set(name, use);
        continue;
      }
      const start = name.slice(0, -1);
      const keys = split(targetKeys[start] ?? '');
      targets.push({ start, keys, use });
      for (const key of keys) exact.set(start + key, use);
    }
  }
  return { exact, targets };
}

function split(names: string): string[] {
  return names.split(' ').filter((name) => name !== '');
}

/** Built once per start; holds no state. */
export class KnownNames {
  readonly #table = buildTable();

  /** What a name without its prefix is for; null when it is unknown. */
  useOf(name: string): NameUse | null {
    const exact = this.#table.exact.get(name);
    if (exact !== undefined) return exact;
    if (kubernetesPattern.test(name)) return { kind: 'accepted' };
    if (subsystems.some((subsystem) => targetOf(name, subsystem) !== null)) return { kind: 'used' };
    for (const { start, keys, use } of this.#table.targets) {
      if (!name.startsWith(start)) continue;
      const end = name.slice(start.length);
      // Event targets have more keys than are worth a list; the others are `<KEY>_<TARGET>`.
      if (start === 'NOTIFY_' || keys.some((key) => end.startsWith(`${key}_`))) return use;
    }
    return null;
  }

  /** The known name that was probably meant. */
  nearest(name: string): string | null {
    // A third of the letters wrong is another word.
    let best: { readonly name: string; readonly distance: number } | null = null;
    const max = Math.max(2, Math.floor(name.length / 3));
    for (const candidate of this.#table.exact.keys()) {
      const distance = editDistance(name, candidate, best === null ? max : best.distance);
      if (distance <= max && (best === null || distance < best.distance)) best = { name: candidate, distance };
    }
    return best?.name ?? null;
  }
}
