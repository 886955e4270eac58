/**
 * What is told to those who listen right now: live logs, live traces. Nothing is kept for somebody who comes
 * later, a listener that does not keep up loses lines instead of memory, and without one nothing is made.
 * Main thread.
 */
import { limits } from '../base/index.js';

export interface FeedListener {
  /** What has come since the last time, oldest first; empty when nothing has. */
  take(): readonly string[];
  /** Lines that were left out since the last time, because too many were waiting. */
  takeDropped(): number;
  /** Set by whoever listens: called once when something came while nothing was waiting, and when the feed ends. */
  onNews: () => void;
  readonly isOver: boolean;
  close(): void;
}

interface Waiting<Event> extends FeedListener {
  offer(event: Event, line: () => string): void;
  end(): void;
}

export class Feed<Event> {
  readonly #listeners = new Set<Waiting<Event>>();
  #isClosed = false;

  /** True when somebody listens: for work that only a listener needs. */
  get isWanted(): boolean {
    return this.#listeners.size > 0;
  }

  /** Null when there are as many listeners as may be. */
  listen(wants: (event: Event) => boolean): FeedListener | null {
    if (this.#isClosed || this.#listeners.size >= limits.feedListeners.count) return null;
    const listener: Waiting<Event> = createListener(wants, () => this.#listeners.delete(listener));
    this.#listeners.add(listener);
    return listener;
  }

  /** `line` is asked for at most once, and only when a listener wants the event. */
  publish(event: Event, line: () => string): void {
    let text: string | null = null;
    const once = () => (text ??= line());
    for (const listener of this.#listeners) listener.offer(event, once);
  }

  /** Ends every listener. */
  close(): void {
    this.#isClosed = true;
    for (const listener of this.#listeners) listener.end();
  }
}

function createListener<Event>(wants: (event: Event) => boolean, remove: () => void): Waiting<Event> {
  let lines: string[] = [];
  let chars = 0;
  let dropped = 0;
  let isOver = false;
  return {
    onNews: () => undefined,
    get isOver() {
      return isOver;
    },
    offer(event, line) {
      if (isOver || !wants(event)) return;
      const { linesMax, charsMax } = limits.feedListeners;
      const text = lines.length < linesMax && chars < charsMax ? line() : null;
      if (text === null || chars + text.length > charsMax) {
        dropped++;
        return;
      }
      lines.push(text);
      chars += text.length;
      if (lines.length === 1) this.onNews();
    },
    take() {
      const taken = lines;
      lines = [];
      chars = 0;
      return taken;
    },
    takeDropped() {
      const count = dropped;
      dropped = 0;
      return count;
    },
    end() {
      isOver = true;
      remove();
      this.onNews();
    },
    close() {
      isOver = true;
      lines = [];
      chars = 0;
      remove();
    },
  };
}
