/**
 * What a server is asked to be, and what a running one offers: the types of `createServer`.
 * They are the package's public API.
 */
import type { LogOptions, RequestObserver } from '../telemetry/index.js';

export interface ServerOptions {
  /**
   * Folders, one per drive, in any order once formatted. Missing ones are created when none is formatted. Up to 16
   * drives are one erasure set, more are several equal ones.
   */
  readonly drives: readonly string[];
  /** Groups of folders that were added later, each a pool of sets of its own; a new one expands the deployment. */
  readonly expansions?: readonly (readonly string[])[];
  /** Drives of a set that is formatted now: 2 to 16, and it divides them; the most that do when omitted or null. */
  readonly setDriveCount?: number | null;
  /** Textual address; all interfaces (`0.0.0.0` and `::`) when empty or omitted. */
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Of the root account. A random pair when omitted: see `RunningServer.credentials`. */
  readonly credentials?: { readonly accessKey: string; readonly secretKey: string };
  /** Those of before, for the one start at which `credentials` change: what is stored encrypted is sealed anew. */
  readonly oldCredentials?: { readonly accessKey: string; readonly secretKey: string } | null;
  /** How long the credentials of AssumeRole last, whatever is asked for; what is asked for when omitted or null. */
  readonly sessionSeconds?: number | null;
  /** What browsers are served; with OpenID set up, a login (docs/identity/openid.md). */
  readonly pages?: {
    /** False: nothing. */
    readonly areOn?: boolean;
    /** Where browsers find this server, without a slash at the end; null or omitted: see the docs. */
    readonly url?: string | null;
    /** How long a login lasts; as the provider says when omitted or null. `sessionSeconds` goes before. */
    readonly loginSeconds?: number | null;
  };
  /** PEM files; plain HTTP when omitted or null. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string } | null;
  /** PEM certificates that are trusted, beside those of the system, where this server asks others. */
  readonly authorities?: readonly string[];
  /** When omitted or null, the one that is stored; without that, `us-east-1`. */
  readonly region?: string | null;
  /**
   * Settings under their names in the environment, such as `MINIO_API_REQUESTS_MAX` (docs/configuration.md); they
   * win over stored ones. The environment of the process itself is not looked at.
   */
  readonly settings?: Readonly<Record<string, string | undefined>>;
  /** Base names for virtual-host style requests: `s3.example.org` serves `bucket.s3.example.org`. */
  readonly domains?: readonly string[];
  /** Parity shards of a set that is formatted now; by the number of drives when omitted or null. */
  readonly parity?: number | null;
  /** Shared memory for bodies under way; a share of RAM when omitted or null. */
  readonly arenaBytes?: number | null;
  /** Memory for what is kept of large objects that are read time and again, 0 for none; by RAM when omitted or null. */
  readonly readCacheBytes?: number | null;
  /** Descriptors that this process may have (`ulimit -n`), shared out among clients and drives; enough when omitted or null. */
  readonly openFilesMax?: number | null;
  /** Worker threads; one per core, at least 2, when omitted or null. */
  readonly threads?: number | null;
  /**
   * `uws`, the default, or `node`: slower, but it takes a request line that arrives in pieces (docs/http.md).
   */
  readonly httpLibrary?: 'uws' | 'node';
  /**
   * `strict`, the default: an answer means that the data is on the drives. `relaxed`: nothing is synced; a crash
   * of the server loses nothing, a power loss may lose or damage anything. For tests and caches.
   */
  readonly durability?: 'strict' | 'relaxed';
  /**
   * How long the bytes of deleted and overwritten objects stay on the drives, so that snapshots of the drives which are
   * taken one after the other within this time restore to one moment. 0, the default: not at all.
   */
  readonly reclaimDelayMs?: number;
  /** Folder of the index; beside the first drive's format file when omitted or null. */
  readonly indexDir?: string | null;
  /** Who may scrape the metrics: `jwt`, the default, with a token of an account that may; `public`, everybody. */
  readonly metricsAuth?: 'jwt' | 'public';
  /** Warnings and errors on standard error when omitted. */
  readonly log?: LogOptions;
  /**
   * Told that an administrator asked for the process to end or to be started anew, a moment after the answer.
   * Without it such a request is answered NotImplemented.
   */
  readonly onProcessEnd?: (how: ProcessEnd) => void;
  /** Told about every request after its answer. */
  readonly observer?: RequestObserver;
}

export type ProcessEnd = 'restart' | 'stop';

export interface DriveReport {
  readonly path: string;
  readonly state: 'online' | 'formatted' | 'catching-up' | 'offline';
  /** One line on why it is not simply online. */
  readonly note: string | null;
}

export interface SetReport {
  /** From 0. */
  readonly poolIndex: number;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly drives: readonly DriveReport[];
  readonly canWrite: boolean;
  /** Further drives that may fail from now on with everything that has the set's parity still readable; and still writable. */
  readonly mayFailForReads: number;
  readonly mayFailForWrites: number;
  /** Storage classes whose large objects get less parity than the set has, and how many drives these may lose. */
  readonly weakerClasses: readonly { readonly storageClass: string; readonly mayFailForReads: number }[];
}

export interface StartReport {
  readonly version: string;
  readonly deploymentId: string;
  readonly sets: readonly SetReport[];
  /** A set at least has too few drives for writes: see `canWrite`. */
  readonly readOnly: boolean;
  /** One line each, for people. */
  readonly warnings: readonly string[];
}

export interface RunningServer {
  /** `http://127.0.0.1:9000`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly credentials: { readonly accessKey: string; readonly secretKey: string };
  readonly region: string;
  /** Empty: none is set. */
  readonly siteName: string;
  /** Of providers of identity that are set up by role. */
  readonly roleArns: readonly string[];
  readonly report: StartReport;
  /**
   * Stops accepting, lets requests under way finish for at most `graceMs` (10 s when omitted), flushes.
   * A second call while the first waits ends the wait.
   */
  close(graceMs?: number): Promise<void>;
}

/** Rejects with StartupError for what the operator can mend. */
export type CreateServer = (options: ServerOptions) => Promise<RunningServer>;
