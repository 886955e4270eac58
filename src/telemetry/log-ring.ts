/** The latest log lines, for whoever asks what happened, and a feed of those to come. */
import { limits } from '../base/index.js';
import { Feed, type FeedListener } from './feed.js';
import { parseLogLine, type LogEntry } from './logger.js';

export class LogRing {
  readonly #entries: (LogEntry & { readonly chars: number })[] = [];
  #chars = 0;
  readonly #feed = new Feed<LogEntry>();
  readonly #format: (entry: LogEntry) => string;

  /** `format`: one line for a listener. */
  constructor(format: (entry: LogEntry) => string) {
    this.#format = format;
  }

  /** Takes a line of the log as it is written in JSON. */
  readonly add = (json: string): void => {
    const entry = { ...parseLogLine(json), chars: json.length };
    this.#entries.push(entry);
    this.#chars += entry.chars;
    const { lines, chars } = limits.logRing;
    while (this.#entries.length > lines || (this.#chars > chars && this.#entries.length > 1)) {
      this.#chars -= this.#entries.shift()?.chars ?? 0;
    }
    this.#feed.publish(entry, () => this.#format(entry));
  };

  /** The latest `countMax`, oldest first, as lines. */
  latest(countMax: number, wants: (entry: LogEntry) => boolean): string[] {
    if (countMax <= 0) return [];
    return this.#entries
      .filter(wants)
      .slice(-countMax)
      .map((entry) => this.#format(entry));
  }

  /** Null when there are as many listeners as may be. */
  listen(wants: (entry: LogEntry) => boolean): FeedListener | null {
    return this.#feed.listen(wants);
  }

  close(): void {
    this.#feed.close();
  }
}
