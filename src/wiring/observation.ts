/** What watches the server: its log with the latest lines, counters of requests, live traces. */
import { systemClock } from '../base/index.js';
import { logLine, traceLine } from '../admin/index.js';
import {
  LogRing,
  RequestCounters,
  Traces,
  createLogger,
  observers,
  requestLines,
  type Logger,
  type RequestObserver,
} from '../telemetry/index.js';
import type { ServerOptions } from './types.js';

export class Observation {
  /** Known once the server is: lines before it are written out later. */
  readonly names = { deploymentId: '', endpoint: '' };
  readonly logs = new LogRing((entry) => logLine(entry, this.names));
  readonly traces = new Traces((trace) => traceLine(trace, this.names.endpoint), systemClock);
  readonly log: Logger;
  /** Requests of S3; the others are not counted. */
  readonly requests: RequestCounters;
  isBucket: (name: string) => boolean = () => false;

  constructor(private readonly options: Pick<ServerOptions, 'log' | 'observer'>) {
    this.log = createLogger({ level: 'warn', ...options.log, tap: this.logs.add });
    this.requests = new RequestCounters((name) => this.isBucket(name));
  }

  observer(protocol: 's3' | 'admin' | 'metrics' | 'sts'): RequestObserver {
    const { observer } = this.options;
    return observers(
      requestLines(this.log),
      this.traces.requests(protocol),
      ...(protocol === 's3' ? [this.requests] : []),
      ...(observer === undefined ? [] : [observer]),
    );
  }

  /** Ends those who listen. */
  close(): void {
    this.logs.close();
    this.traces.close();
  }
}
