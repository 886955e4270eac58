/**
 * From flags and environment to one frozen object. Order: flag, environment (file before process), default.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { limits, StartupError } from '../base/index.js';
import { checkCertificates, readAuthorities, type CheckedTls, type TlsFiles } from './certificates.js';
import { readCredentials, readOldCredentials, type RootCredentials } from './credentials.js';
import { expandDrives } from './drives.js';
import type { Setting, Settings } from './environment.js';
import { chooseSetSize } from './set-size.js';
import { settingsSchema, type SettingName } from './schema.js';
import { parseDurationMs, splitWords } from './words.js';

const usualSeconds = limits.sessionSeconds.usual;

export interface Config {
  /** Absolute paths; the first group when there are several. */
  readonly drives: readonly string[];
  /** Further groups, each a pool of its own. */
  readonly expansions: readonly (readonly string[])[];
  /** Drives of a set; null: by the number of drives. */
  readonly setDriveCount: number | null;
  /** An empty host means all interfaces. */
  readonly address: { readonly host: string; readonly port: number };
  readonly credentials: RootCredentials;
  /** For the start at which the root credentials change. */
  readonly oldCredentials: Pick<RootCredentials, 'accessKey' | 'secretKey'> | null;
  readonly tls: TlsFiles | null;
  /** PEM certificates of the folder `CAs` in the certs folder. */
  readonly authorities: readonly string[];
  /** Null: what is stored, or the default. */
  readonly region: string | null;
  readonly domains: readonly string[];
  /** Null: by the number of drives. */
  readonly parity: number | null;
  /** What clients reach the server by, when that is not its address. */
  readonly serverUrl: string | null;
  /** Where browsers find the pages of this server, without a slash at the end; null: it was not said. */
  readonly pagesUrl: string | null;
  /** Whether browsers are served at all: so far, with a login. */
  readonly arePagesOn: boolean;
  /** How long a login with a browser lasts; null: as the provider says. */
  readonly loginSeconds: number | null;
  readonly memoryBytes: number | null;
  readonly readCacheBytes: number | null;
  readonly threads: number | null;
  readonly indexDir: string | null;
  readonly httpLibrary: 'uws' | 'node';
  readonly durability: 'strict' | 'relaxed';
  readonly reclaimDelayMs: number;
  readonly metricsAuth: 'jwt' | 'public';
  readonly shutdownGraceMs: number;
  /** How long the credentials of AssumeRole last; null: as long as is asked for. */
  readonly sessionSeconds: number | null;
  readonly logLevel: 'silent' | 'error' | 'warn' | 'info' | 'debug';
}

/** What the command line says; a value is text, as typed. */
export interface Flags {
  readonly address?: string;
  readonly certsDir?: string;
  readonly indexDir?: string;
  readonly memory?: string;
  readonly readCache?: string;
  readonly threads?: string;
  readonly shutdownTimeout?: string;
  readonly logLevel?: string;
}

export interface ConfigInput {
  readonly drives: readonly string[];
  readonly flags: Flags;
  readonly settings: Settings;
  /** For what is named by a relative path, and for the default certs folders. */
  readonly workingFolder: string;
  readonly homeFolder: string;
  readonly nowMs: number;
}

export interface LoadedConfig {
  readonly config: Config;
  /** One line each, for people. */
  readonly warnings: readonly string[];
}

interface Source {
  readonly flag?: keyof Flags;
  readonly environment: readonly string[];
  readonly remedy: string;
}

/** Where each setting comes from, and what to do about a wrong value. */
const sources: Readonly<Record<SettingName, Source>> = {
  address: {
    flag: 'address',
    environment: ['ADDRESS'],
    remedy: 'Write for example --address 127.0.0.1:9000 or --address :9000.',
  },
  region: {
    environment: ['SITE_REGION', 'REGION', 'REGION_NAME'],
    remedy: 'Write for example MINIO_REGION=us-east-1.',
  },
  domains: { environment: ['DOMAIN'], remedy: 'Write for example MINIO_DOMAIN=s3.example.org.' },
  parity: { environment: ['STORAGE_CLASS_STANDARD'], remedy: 'Write for example MINIO_STORAGE_CLASS_STANDARD=EC:2.' },
  setDriveCount: {
    environment: ['ERASURE_SET_DRIVE_COUNT'],
    remedy: 'Write for example MINIO_ERASURE_SET_DRIVE_COUNT=8, or leave it out.',
  },
  serverUrl: { environment: ['SERVER_URL'], remedy: 'Write for example MINIO_SERVER_URL=https://s3.example.org.' },
  pagesUrl: {
    environment: ['BROWSER_REDIRECT_URL'],
    remedy: 'Write for example MINIO_BROWSER_REDIRECT_URL=https://console.example.org.',
  },
  arePagesOn: { environment: ['BROWSER'], remedy: 'Leave it out for on.' },
  memoryBytes: { flag: 'memory', environment: ['MEMORY'], remedy: 'Write for example --memory 512MiB.' },
  readCacheBytes: {
    flag: 'readCache',
    environment: ['READ_CACHE'],
    remedy: 'Write for example --read-cache 4GiB, or 0 for none.',
  },
  threads: { flag: 'threads', environment: ['THREADS'], remedy: 'Leave it out for one thread per core.' },
  indexDir: { flag: 'indexDir', environment: ['INDEX_DIR'], remedy: 'Name a folder.' },
  httpLibrary: { environment: ['HTTP_LIBRARY'], remedy: 'Leave it out for uws.' },
  durability: { environment: ['DURABILITY'], remedy: 'Leave it out for strict.' },
  reclaimDelayMs: { environment: ['RECLAIM_DELAY'], remedy: 'Write for example GRANARY_RECLAIM_DELAY=10m.' },
  metricsAuth: { environment: ['PROMETHEUS_AUTH_TYPE'], remedy: 'Leave it out for jwt.' },
  certsDir: { flag: 'certsDir', environment: ['CERTS_DIR'], remedy: 'Name a folder with public.crt and private.key.' },
  shutdownGraceMs: {
    flag: 'shutdownTimeout',
    environment: ['SHUTDOWN_TIMEOUT'],
    remedy: 'Write for example --shutdown-timeout 30s.',
  },
  logLevel: { flag: 'logLevel', environment: ['LOG_LEVEL'], remedy: 'Leave it out for info.' },
};

/** Throws StartupError for what the operator can mend. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const { settings } = input;
  const warnings = [...settings.warnings];
  const values = readValues(input);
  const [drives = [], ...expansions] = expandDrives(chooseDrives(input, warnings), input.workingFolder);
  const setDriveCount = values.setDriveCount === 0 ? null : values.setDriveCount;
  const setSizes = [drives, ...expansions].map((group) => chooseSetSize(group.length, setDriveCount));
  // Several groups may be one set from before groups counted: what is formatted says it.
  if (expansions.length === 0) checkParity(values.parity, setSizes[0] ?? 0);
  const { credentials, warnings: credentialWarnings } = readCredentials(settings);
  const old = readOldCredentials(settings, credentials);
  const tls = findCertificates(values.certsDir, input);
  const config: Config = {
    drives,
    expansions,
    setDriveCount,
    address: values.address,
    credentials,
    oldCredentials: old.credentials,
    tls: tls?.files ?? null,
    authorities: findAuthorities(values.certsDir, input),
    region: values.region,
    domains: values.domains,
    parity: values.parity,
    serverUrl: values.serverUrl,
    pagesUrl: values.pagesUrl,
    arePagesOn: values.arePagesOn,
    loginSeconds: readSeconds(
      settings,
      'BROWSER_SESSION_DURATION',
      'logins last as long as the provider says',
      warnings,
    ),
    memoryBytes: values.memoryBytes,
    readCacheBytes: values.readCacheBytes,
    threads: values.threads,
    indexDir: values.indexDir === null ? null : resolve(input.workingFolder, values.indexDir),
    httpLibrary: values.httpLibrary,
    durability: values.durability,
    reclaimDelayMs: values.reclaimDelayMs,
    metricsAuth: values.metricsAuth,
    shutdownGraceMs: values.shutdownGraceMs,
    sessionSeconds: readSeconds(settings, 'STS_DURATION', 'temporary credentials last 1h', warnings, usualSeconds),
    logLevel: values.logLevel,
  };
  return {
    config: deepFreeze(config),
    warnings: [...warnings, ...credentialWarnings, ...old.warnings, ...(tls?.warnings ?? [])],
  };
}

function readValues(input: ConfigInput) {
  const raw: Partial<Record<SettingName, string>> = {};
  const writtenAs: Partial<Record<SettingName, string>> = {};
  for (const [name, source] of Object.entries(sources) as [SettingName, Source][]) {
    const found = lookUp(source, input);
    if (found === null) continue;
    raw[name] = found.value;
    writtenAs[name] = found.name;
  }
  const result = settingsSchema.safeParse(raw);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const name = issue?.path[0] as SettingName;
  throw new StartupError(`${writtenAs[name] ?? name} ${issue?.message ?? 'is not valid'}`, sources[name].remedy);
}

function lookUp(source: Source, { flags, settings }: ConfigInput): Setting | null {
  const flag = source.flag === undefined ? undefined : flags[source.flag];
  if (source.flag !== undefined && flag !== undefined) {
    return { name: `--${source.flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value: flag };
  }
  return settings.get(...source.environment);
}

/** As in MinIO, a value that makes no sense does not keep the server from starting: `otherwise` it is then. */
function readSeconds(
  settings: Settings,
  name: string,
  then: string,
  warnings: string[],
  otherwise: number | null = null,
): number | null {
  const found = settings.get(name);
  if (found === null) return null;
  const { min, max } = limits.sessionSeconds;
  const seconds = Math.floor((parseDurationMs(found.value) ?? 0) / 1000);
  if (seconds >= min && seconds <= max) return seconds;
  warnings.push(`${found.name} is "${found.value}", which is no duration from 15m to 8760h: ${then}.`);
  return otherwise;
}

/** Folders of the command line; without any, those of the environment. */
function chooseDrives(input: ConfigInput, warnings: string[]): readonly string[] {
  const found = input.settings.get('ARGS', 'VOLUMES', 'ENDPOINTS');
  const words = found === null ? [] : splitWords(found.value);
  if (words === null) throw new StartupError(`${found?.name ?? ''} has a quote that is not closed`, 'Close it.');
  if (input.drives.length === 0) {
    if (words.length > 0) return words;
    throw new StartupError(
      'no drive is named',
      'Name one folder or more, such as: granary server /mnt/data, or: granary server /mnt/drive{1...4}',
    );
  }
  if (words.length > 0 && words.join(' ') !== input.drives.join(' ')) {
    warnings.push(`${found?.name ?? ''} is ignored: the command line names drives (${input.drives.join(' ')}).`);
  }
  return input.drives;
}

function checkParity(parity: number | null, driveCount: number): void {
  if (parity === null) return;
  // With more parity than data two halves of the drives could each take writes.
  const parityMax = Math.min(limits.parityShardsMax, Math.floor(driveCount / 2));
  if (parity > parityMax) {
    throw new StartupError(
      `EC:${parity} needs at least ${parity * 2} drives in a set, which has ${driveCount}`,
      parityMax === 0
        ? 'Use EC:0, or leave the storage class out.'
        : `Use EC:0 to EC:${parityMax}, or name more drives.`,
    );
  }
}

function findCertificates(named: string | null, input: ConfigInput): CheckedTls | null {
  if (named !== null) return checkCertificates(resolve(input.workingFolder, named), true, input.nowMs);
  for (const product of ['.granary', '.minio']) {
    const folder = join(input.homeFolder, product, 'certs');
    const found = existsSync(folder) ? checkCertificates(folder, false, input.nowMs) : null;
    if (found !== null) return found;
  }
  return null;
}

function findAuthorities(named: string | null, input: ConfigInput): readonly string[] {
  if (named !== null) return readAuthorities(resolve(input.workingFolder, named));
  const folders = ['.granary', '.minio'].map((product) => join(input.homeFolder, product, 'certs'));
  return folders.map(readAuthorities).find((found) => found.length > 0) ?? [];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}
