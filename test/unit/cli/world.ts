import type { StopSignal } from '../../../src/cli/index.js';
import type { World } from '../../../src/cli/run.js';
import { run, type Outcome } from '../../../src/cli/run.js';
import type { Checks, CreateServer, RunningServer, ServerOptions, StartReport } from '../../../src/wiring/index.js';

export const healthyReport: StartReport = {
  version: '1.2.3',
  deploymentId: '00000000-0000-4000-8000-000000000001',
  sets: [
    {
      poolIndex: 0,
      dataShards: 2,
      parityShards: 2,
      drives: ['/mnt/1', '/mnt/2', '/mnt/3', '/mnt/4'].map((path) => ({ path, state: 'online', note: null })),
      canWrite: true,
      mayFailForReads: 2,
      mayFailForWrites: 1,
      weakerClasses: [{ storageClass: 'REDUCED_REDUNDANCY', mayFailForReads: 1 }],
    },
  ],
  readOnly: false,
  warnings: [],
};

/** A command under test: what it was told, what it wrote, what it asked of the server. */
export class TestCommand {
  out = '';
  err = '';
  nowMs = 1000;
  readonly started: ServerOptions[] = [];
  readonly closedWithMs: (number | undefined)[] = [];
  readonly #listeners = new Map<StopSignal, Set<() => void>>();
  readonly #world: World;
  /** Settles the server's close. */
  finishClose: () => void = () => undefined;

  constructor(
    given: readonly string[],
    options: {
      readonly environment?: Record<string, string>;
      readonly report?: Partial<StartReport>;
      readonly createServer?: CreateServer;
      readonly checks?: Partial<Checks>;
      readonly closeWaits?: boolean;
      readonly isTerminal?: boolean;
    } = {},
  ) {
    const report = { ...healthyReport, ...options.report };
    const stream = (write: (text: string) => void) => ({
      write,
      isTerminal: options.isTerminal ?? false,
      columns: null,
    });
    this.#world = {
      arguments: given,
      environment: options.environment ?? { MINIO_ROOT_USER: 'admin', MINIO_ROOT_PASSWORD: 'correct horse' },
      workingFolder: '/',
      homeFolder: '/nonexistent-home',
      out: stream((text) => (this.out += text)),
      err: stream((text) => (this.err += text)),
      clock: { nowMs: () => 0, monotonicMs: () => this.nowMs },
      signals: {
        on: (signal, listener) => this.#of(signal).add(listener),
        off: (signal, listener) => this.#of(signal).delete(listener),
      },
      version: '1.2.3',
      openFilesMax: null,
      checks: {
        fsck: () => Promise.reject(new Error('no drives are looked at here')),
        inspect: () => Promise.reject(new Error('no drives are looked at here')),
        ...options.checks,
      },
      createServer:
        options.createServer ??
        ((serverOptions) => {
          this.started.push(serverOptions);
          return Promise.resolve(this.#server(report, serverOptions, options.closeWaits ?? false));
        }),
    };
  }

  run(): Promise<Outcome> {
    return run(this.#world);
  }

  signal(signal: StopSignal, atMs: number): void {
    this.nowMs = atMs;
    for (const listener of [...this.#of(signal)]) listener();
  }

  /** Listeners that are still there: none after the command ended. */
  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  #of(signal: StopSignal): Set<() => void> {
    const found = this.#listeners.get(signal) ?? new Set();
    this.#listeners.set(signal, found);
    return found;
  }

  #server(report: StartReport, options: ServerOptions, closeWaits: boolean): RunningServer {
    return {
      url: 'http://127.0.0.1:9000',
      port: options.port === 0 ? 12_345 : (options.port ?? 0),
      credentials: options.credentials ?? { accessKey: '', secretKey: '' },
      region: options.region ?? 'us-east-1',
      siteName: '',
      roleArns: [],
      report,
      close: (graceMs) => {
        this.closedWithMs.push(graceMs);
        return closeWaits ? new Promise((resolve) => (this.finishClose = resolve)) : Promise.resolve();
      },
    };
  }
}

/** Lets everything that is ready run. */
export const settle = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
