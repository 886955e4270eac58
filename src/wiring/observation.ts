/** What watches the server: its log with the latest lines, counters of requests, live traces. */
import { systemClock } from '../base/index.js';
import { logLine, traceLine } from '../admin/index.js';
import {
  LogRing,
  auditEntry,
  parseLogLine,
  RequestCounters,
  Traces,
  createLogger,
  observers,
  requestLines,
  type Logger,
  type RequestObserver,
} from '../telemetry/index.js';
import type { ServerOptions } from './types.js';
import { Webhooks } from './webhooks.js';

export class Observation {
  /** Known once the server is: lines before it are written out later. */
  readonly names = { deploymentId: '', endpoint: '', siteName: '' };
  readonly logs = new LogRing((entry) => logLine(entry, this.names));
  readonly traces = new Traces((trace) => traceLine(trace, this.names.endpoint), systemClock);
  readonly log: Logger;
  readonly webhooks: Webhooks;
  /** Requests of S3; the others are not counted. */
  readonly requests: RequestCounters;
  isBucket: (name: string) => boolean = () => false;

  constructor(private readonly options: Pick<ServerOptions, 'log' | 'observer'>) {
    this.log = createLogger({
      level: 'warn',
      ...options.log,
      tap: (line) => {
        this.logs.add(line);
        this.#sendLine(line);
      },
    });
    this.webhooks = new Webhooks(this.log);
    this.requests = new RequestCounters((name) => this.isBucket(name));
  }

  observer(protocol: 's3' | 'admin' | 'console' | 'metrics' | 'sts'): RequestObserver {
    const { observer } = this.options;
    return observers(
      requestLines(this.log),
      this.traces.requests(protocol),
      this.#audit(),
      ...(protocol === 's3' ? [this.requests] : []),
      ...(observer === undefined ? [] : [observer]),
    );
  }

  /** Requests of every protocol, for those webhooks that are told about them. */
  #audit(): RequestObserver {
    const { webhooks, names } = this;
    return {
      wantsAddress: () => webhooks.wants('audit'),
      observe: (record, request, answer) => {
        if (!webhooks.wants('audit')) return;
        webhooks.send('audit', auditEntry(record, request, answer, names, systemClock.nowMs()));
      },
    };
  }

  #sendLine(line: string): void {
    if (!this.webhooks.wants('logs')) return;
    const entry = parseLogLine(line);
    // What a webhook does not take is not told to webhooks: it would never end.
    if ('webhook' in entry.fields) return;
    this.webhooks.send('logs', logLine(entry, this.names).trimEnd());
  }

  /** Ends those who listen. */
  close(): void {
    this.logs.close();
    this.traces.close();
  }
}
