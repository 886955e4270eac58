/**
 * Answers that go on until the client leaves: lines as they come, and a space when nothing comes, so that both
 * sides see that the other is still there. The client sets the pace; what it does not take is left out.
 */
import type { ExchangeResponse, Piece } from '../exchange/index.js';
import type { FeedListener } from '../telemetry/index.js';

/** Of one piece that is sent. */
const pieceCharsMax = 64 * 1024;
/** Rights that were withdrawn end what goes on. */
const recheckMs = 2_000;

export interface LiveAnswerOptions {
  readonly listener: FeedListener;
  /** Before what comes live. */
  readonly earlier: readonly string[];
  readonly keepAliveMs: number;
  /** A line that says how many were left out; null says nothing. */
  readonly dropped: (count: number) => string | null;
  /** Asked now and then. */
  readonly mayGoOn: () => Promise<boolean>;
}

export function liveAnswer({ listener, earlier, keepAliveMs, dropped, mayGoOn }: LiveAnswerOptions): ExchangeResponse {
  // The head goes out with the first piece.
  let lines: string[] = [' ', ...earlier];
  let taken = 0;
  let checkedAtMs = performance.now();
  let wake: (() => void) | null = null;
  let timer: NodeJS.Timeout | null = null;
  listener.onNews = () => wake?.();

  const refill = () => {
    if (taken < lines.length) return;
    lines = [...listener.take()];
    taken = 0;
    const count = listener.takeDropped();
    const line = count === 0 ? null : dropped(count);
    if (line !== null) lines.push(line);
  };
  const cut = (): Piece => {
    let text = '';
    for (let line = lines[taken]; line !== undefined; line = lines[taken]) {
      if (text !== '' && text.length + line.length > pieceCharsMax) break;
      text += line;
      taken++;
    }
    return { bytes: Buffer.from(text), release: () => undefined };
  };
  const isWithdrawn = async () => {
    const nowMs = performance.now();
    if (nowMs - checkedAtMs < recheckMs) return false;
    checkedAtMs = nowMs;
    return !(await mayGoOn());
  };
  const pause = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, keepAliveMs);
    }).then(() => {
      wake = null;
      if (timer !== null) clearTimeout(timer);
      timer = null;
    });

  const next = async (): Promise<Piece | null> => {
    if (await isWithdrawn()) return null;
    refill();
    if (taken < lines.length) return cut();
    if (listener.isOver) return null;
    await pause();
    if (await isWithdrawn()) return null;
    refill();
    if (taken < lines.length) return cut();
    return listener.isOver ? null : { bytes: Buffer.from(' '), release: () => undefined };
  };

  return {
    status: 200,
    headers: [
      ['Content-Type', 'text/event-stream'],
      ['Cache-Control', 'no-cache'],
    ],
    body: {
      kind: 'stream',
      length: null,
      source: {
        next,
        close: () => {
          listener.close();
          wake?.();
        },
      },
    },
    close: true,
  };
}
