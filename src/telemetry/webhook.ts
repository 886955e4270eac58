/**
 * Sends entries to an HTTP endpoint, in order, from a queue of bounded size: a collector that is slow or away
 * costs entries and never a request. One request is under way at a time. Main thread.
 */
import { request as httpRequest, Agent as HttpAgent, type RequestOptions } from 'node:http';
import { request as httpsRequest, Agent as HttpsAgent } from 'node:https';
import { Deadline, limits } from '../base/index.js';

export interface WebhookOptions {
  readonly name: string;
  readonly endpoint: string;
  /** Value of the Authorization header; empty: none. */
  readonly authToken: string;
  /** PEM; empty: none. */
  readonly clientCert: string;
  readonly clientKey: string;
  readonly batchSize: number;
  readonly queueSize: number;
  /** Attempts after the first before a batch is dropped; 0: as many as it takes. */
  readonly retriesMax: number;
  readonly retryIntervalMs: number;
  readonly timeoutMs: number;
  /** For what an operator should know. */
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

export interface WebhookStatistics {
  readonly queueLength: number;
  readonly totalMessages: number;
  /** Dropped: the queue was full, or the endpoint did not take them. */
  readonly failedMessages: number;
  /** The last attempt went well, or there was none. */
  readonly isOnline: boolean;
}

/** A failing endpoint fails with every entry. */
const reportEveryMs = 60_000;

export class WebhookTarget {
  readonly #options: WebhookOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  #queue: string[] = [];
  /** Entries in front of it were sent. */
  #head = 0;
  #bytes = 0;
  #total = 0;
  #failed = 0;
  #isOnline = true;
  #isClosed = false;
  #running: Promise<void> | null = null;
  #reportedMs = -Infinity;
  /** Ends what is waited for: a retry, or an answer. */
  readonly #abort = new AbortController();

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#url = new URL(options.endpoint);
    const { clientCert, clientKey } = options;
    const isSecure = this.#url.protocol === 'https:';
    this.#agent = isSecure
      ? new HttpsAgent({
          keepAlive: true,
          maxSockets: 1,
          ...(clientCert !== '' && { cert: clientCert, key: clientKey }),
        })
      : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  }

  /** One entry, without a line end. */
  send(entry: string): void {
    if (this.#isClosed) return;
    this.#total++;
    if (this.#length >= this.#options.queueSize || this.#bytes + entry.length > limits.webhook.queueBytes) {
      this.#drop(1, 'its queue is full');
      return;
    }
    this.#queue.push(entry);
    this.#bytes += entry.length;
    this.#running ??= this.#run().finally(() => (this.#running = null));
  }

  statistics(): WebhookStatistics {
    return {
      queueLength: this.#length,
      totalMessages: this.#total,
      failedMessages: this.#failed,
      isOnline: this.#isOnline,
    };
  }

  /** Sends what is queued for at most `graceMs`; the rest is lost. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    const timer = setTimeout(() => {
      this.#abort.abort();
    }, graceMs);
    await this.#running;
    clearTimeout(timer);
    this.#abort.abort();
    if (this.#length > 0) this.#drop(this.#length, 'the server stopped');
    this.#queue = [];
    this.#agent.destroy();
  }

  get #length(): number {
    return this.#queue.length - this.#head;
  }

  async #run(): Promise<void> {
    while (this.#length > 0 && !this.#abort.signal.aborted) {
      const batch = this.#batch();
      if (await this.#deliver(`${batch.join('\n')}\n`)) this.#isOnline = true;
      else if (!this.#abort.signal.aborted) this.#drop(batch.length, 'it was not taken');
      else return;
      this.#head += batch.length;
      for (const entry of batch) this.#bytes -= entry.length;
      // Moving the rest once per thousand keeps taking from the front cheap.
      if (this.#head >= 1024 || this.#length === 0) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
    }
  }

  #batch(): readonly string[] {
    const batch: string[] = [];
    let bytes = 0;
    for (let at = this.#head; at < this.#queue.length && batch.length < this.#options.batchSize; at++) {
      const entry = this.#queue[at] ?? '';
      if (batch.length > 0 && bytes + entry.length > limits.webhook.batchBytes) break;
      batch.push(entry);
      bytes += entry.length;
    }
    return batch;
  }

  /** False: given up. */
  async #deliver(body: string): Promise<boolean> {
    const { retriesMax, retryIntervalMs } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const failure = await this.#post(body);
      if (failure === null) return true;
      if (this.#abort.signal.aborted) return false;
      this.#isOnline = false;
      this.#report('a webhook does not take entries', failure);
      if (retriesMax > 0 && attempt >= retriesMax) return false;
      await this.#wait(retryIntervalMs);
      if (this.#abort.signal.aborted) return false;
    }
  }

  /** Null: taken. Otherwise what went wrong. */
  #post(body: string): Promise<string | null> {
    const { authToken, timeoutMs } = this.#options;
    const deadline = new Deadline(timeoutMs, this.#abort.signal);
    const options: RequestOptions = {
      method: 'POST',
      agent: this.#agent,
      signal: deadline.signal,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        'User-Agent': 'Granary',
        ...(authToken !== '' && { Authorization: authToken }),
      },
    };
    const outcome = new Promise<string | null>((resolve) => {
      const send = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
      const sent = send(this.#url, options, (response) => {
        const { statusCode = 0 } = response;
        // A redirect is not followed: the token is for this endpoint.
        const failure = statusCode >= 200 && statusCode < 300 ? null : `status ${statusCode}`;
        response.on('error', () => {
          resolve(failure);
        });
        response.on('end', () => {
          resolve(failure);
        });
        response.resume();
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        resolve(deadline.isOver ? 'no answer in time' : (error.code ?? error.name));
      });
      sent.end(body);
    });
    return outcome.finally(() => {
      deadline.clear();
    });
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#abort;
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }

  #drop(count: number, reason: string): void {
    this.#failed += count;
    this.#report('entries for a webhook were dropped', reason);
  }

  #report(text: string, reason: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#reportedMs < reportEveryMs) return;
    this.#reportedMs = nowMs;
    // Without its query, which may hold a key.
    const endpoint = `${this.#url.origin}${this.#url.pathname}`;
    this.#options.log(text, { webhook: this.#options.name, endpoint, reason, dropped: this.#failed });
  }
}
