/**
 * Whether an S3 request runs now, waits or is sent away: a frozen service holds all of them, and `requests_max`
 * those above it. Both waits are bounded, and so is the number of those who wait.
 */
import { limits, type Clock } from '../base/index.js';
import type { ExchangeHandler, ExchangeRequest, ExchangeResponse, PieceSource } from '../exchange/index.js';

export interface AdmissionOptions {
  readonly handler: ExchangeHandler;
  /** The answer to a request that waited too long, or came when too many did. */
  readonly refuse: ExchangeHandler;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

interface Waiting {
  readonly request: ExchangeRequest;
  readonly settle: (isAdmitted: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #waiting = new Set<Waiting>();
  #limits: { readonly requestsMax: number; readonly requestsDeadlineMs: number } = {
    requestsMax: 0,
    requestsDeadlineMs: 0,
  };
  #running = 0;
  #frozenUntilMs: number | null = null;
  #thaw: NodeJS.Timeout | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Of requests that come from now on, and of those who wait. */
  set limits(value: { readonly requestsMax: number; readonly requestsDeadlineMs: number }) {
    this.#limits = value;
    this.#admit();
  }

  get isFrozen(): boolean {
    return this.#frozenUntilMs !== null;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Ends by itself: an operator whose connection is lost must not leave a dead service behind. */
  freeze(): void {
    clearTimeout(this.#thaw);
    this.#frozenUntilMs = this.#options.clock.monotonicMs() + limits.freezeMsMax;
    this.#thaw = setTimeout(() => {
      this.unfreeze();
    }, limits.freezeMsMax).unref();
  }

  unfreeze(): void {
    clearTimeout(this.#thaw);
    this.#frozenUntilMs = null;
    this.#admit();
  }

  /** The server stops: whoever waits is sent away. */
  close(): void {
    clearTimeout(this.#thaw);
    this.#frozenUntilMs = null;
    for (const waiting of [...this.#waiting]) this.#settle(waiting, false);
  }

  readonly handle: ExchangeHandler = (request) => {
    const { requestsMax } = this.#limits;
    if (this.#frozenUntilMs === null && requestsMax === 0) return this.#options.handler(request);
    if (this.#frozenUntilMs === null && this.#running < requestsMax && this.#waiting.size === 0)
      return this.#run(request);
    if (this.#waiting.size >= limits.heldRequestsMax) return this.#options.refuse(request);
    return this.#wait(request).then((isAdmitted) =>
      isAdmitted ? this.#run(request, true) : this.#options.refuse(request),
    );
  };

  #wait(request: ExchangeRequest): Promise<boolean> {
    return new Promise((resolve) => {
      const waitMs =
        this.#frozenUntilMs === null
          ? this.#limits.requestsDeadlineMs
          : this.#frozenUntilMs - this.#options.clock.monotonicMs();
      const waiting: Waiting = {
        request,
        settle: resolve,
        timer: setTimeout(
          () => {
            this.#settle(waiting, false);
          },
          Math.max(waitMs, 0),
        ).unref(),
      };
      this.#waiting.add(waiting);
      request.onAborted(() => {
        this.#settle(waiting, false);
      });
    });
  }

  #settle(waiting: Waiting, isAdmitted: boolean): void {
    if (!this.#waiting.delete(waiting)) return;
    clearTimeout(waiting.timer);
    // Counted here: others must not take the place before the promise is heard.
    if (isAdmitted) this.#running++;
    waiting.settle(isAdmitted);
  }

  #admit(): void {
    if (this.#frozenUntilMs !== null) return;
    const { requestsMax } = this.#limits;
    for (const waiting of [...this.#waiting]) {
      if (requestsMax > 0 && this.#running >= requestsMax) return;
      this.#settle(waiting, true);
    }
  }

  #run(request: ExchangeRequest, isCounted = false): Promise<ExchangeResponse> | ExchangeResponse {
    if (!isCounted) this.#running++;
    let response: Promise<ExchangeResponse> | ExchangeResponse;
    try {
      response = this.#options.handler(request);
    } catch (error) {
      this.#leave();
      throw error;
    }
    if (!(response instanceof Promise)) return this.#untilSent(response);
    return response.then(
      (answer) => this.#untilSent(answer),
      (error: unknown) => {
        this.#leave();
        throw error;
      },
    );
  }

  /** A request is under way until its last byte was handed over. */
  #untilSent(response: ExchangeResponse): ExchangeResponse {
    const { body } = response;
    if (body.kind !== 'stream') {
      this.#leave();
      return response;
    }
    const { source } = body;
    let isOpen = true;
    const counted: PieceSource = {
      next: () => source.next(),
      close: () => {
        source.close();
        if (isOpen) this.#leave();
        isOpen = false;
      },
      ...(source.rewind !== undefined && { rewind: (position: number) => source.rewind?.(position) }),
    };
    return { ...response, body: { ...body, source: counted } };
  }

  #leave(): void {
    this.#running--;
    this.#admit();
  }
}
