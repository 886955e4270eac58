/** The command line of the bench. */
import { parseArgs } from 'node:util';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** Of the server's process on this machine: its CPU time is then part of the figures. */
  readonly pid: number | null;
}

export interface BenchArguments {
  readonly quick: boolean;
  readonly only: RegExp | null;
  /** Where the JSON goes; `-` is standard output. */
  readonly json: string | null;
  /** Null: the default. */
  readonly diskFolder: string | null;
  readonly tmpfsFolder: string | null;
  readonly endpoint: Endpoint | null;
  readonly pins: boolean;
  /** Of the `million` rows. */
  readonly objects: number;
}

/** A few pages of a listing, and what fits on the disks of those who run this. */
const objectsMin = 2000;
const objectsMax = 10_000_000;

/** The text is for the reader of the terminal. */
export class UsageError extends Error {}

export const usage = `npm run bench -- [OPTIONS]

  --quick              fewer rows, shorter runs: under 90 s
  --json FILE          writes the rows as JSON too; - is standard output
  --only PATTERN       rows whose name contains PATTERN; * stands for anything (then the whole name must match)
  --disk DIR           a folder on the disk to measure (default: build/bench)
  --tmpfs DIR          a folder in memory (default: /dev/shm where that is a tmpfs)
  --no-pin             server and client share the cores instead of having their own
  --objects N          so many objects in the million.* rows instead (for a look at whether they work)
  --no-build           measures what was built last

  --endpoint URL       puts the load of the path rows on another S3 server (http only), with
  --access-key KEY     --secret-key SECRET   [--region NAME]
  --pid PID            the server's process, if it runs on this machine, for its CPU time
`;

export function parseArguments(args: readonly string[]): BenchArguments | null {
  const { values } = parse(args);
  if (values.help === true) return null;
  return {
    quick: values.quick === true,
    only: values.only === undefined ? null : patternOf(values.only),
    json: values.json ?? null,
    diskFolder: values.disk ?? null,
    tmpfsFolder: values.tmpfs ?? null,
    endpoint: endpointOf(values),
    pins: values['no-pin'] !== true,
    objects: objectsOf(values.objects),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        json: { type: 'string' },
        only: { type: 'string' },
        disk: { type: 'string' },
        tmpfs: { type: 'string' },
        endpoint: { type: 'string' },
        'access-key': { type: 'string' },
        'secret-key': { type: 'string' },
        region: { type: 'string' },
        pid: { type: 'string' },
        'no-pin': { type: 'boolean' },
        objects: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function objectsOf(text = '1000000'): number {
  const objects = Number(text);
  if (!Number.isSafeInteger(objects) || objects < objectsMin || objects > objectsMax)
    throw new UsageError(`--objects is no number from ${objectsMin} to ${objectsMax}: ${text}`);
  return objects;
}

/** Names hold dots and plus signs: only the star is special. */
export function patternOf(text: string): RegExp {
  const escaped = text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  return text.includes('*') ? new RegExp(`^${escaped.replaceAll('*', '.*')}$`) : new RegExp(escaped);
}

interface EndpointValues {
  readonly endpoint?: string | undefined;
  readonly 'access-key'?: string | undefined;
  readonly 'secret-key'?: string | undefined;
  readonly region?: string | undefined;
  readonly pid?: string | undefined;
}

function endpointOf(values: EndpointValues): Endpoint | null {
  const accessKey = values['access-key'];
  const secretKey = values['secret-key'];
  if (values.endpoint === undefined) {
    if (accessKey !== undefined || secretKey !== undefined || values.pid !== undefined || values.region !== undefined)
      throw new UsageError('--access-key, --secret-key, --region and --pid belong to --endpoint');
    return null;
  }
  if (accessKey === undefined || secretKey === undefined)
    throw new UsageError('--endpoint needs --access-key and --secret-key');
  if (!URL.canParse(values.endpoint)) throw new UsageError(`--endpoint is not a URL: ${values.endpoint}`);
  const url = new URL(values.endpoint);
  if (url.protocol !== 'http:')
    throw new UsageError('--endpoint must be an http:// URL: the load generator has no TLS');
  if (url.pathname !== '/' || url.search !== '') throw new UsageError('--endpoint must have no path');
  const pid = values.pid === undefined ? null : Number(values.pid);
  if (pid !== null && !(Number.isSafeInteger(pid) && pid > 0))
    throw new UsageError(`--pid is not a number: ${values.pid}`);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    accessKey,
    secretKey,
    region: values.region ?? 'us-east-1',
    pid,
  };
}
