/**
 * Sends a stream of unknown length over one uWebSockets.js response, chunked, at the client's pace: what the
 * source says, when it says it. One piece at a time; while the client does not take it the source is not asked.
 * The head goes out with the first piece, so that a source that fails at once can still be answered otherwise.
 * Runs on the main thread.
 */
import { MiB } from '../base/index.js';
import type { Piece, PieceSource } from '../exchange/index.js';
import type { StreamOwner } from './stream-sender.js';
import type { HttpResponse } from './uws-library.js';

/** A source that always has something gives the other connections their turn after this much. */
const turnBytesMax = 1 * MiB;

export class OpenSender {
  readonly #res: HttpResponse;
  readonly #source: PieceSource;
  readonly #owner: StreamOwner;
  /** The connection is closed after the last chunk. */
  readonly #closesConnection: boolean;
  #sentBytes = 0;
  #progressCount = 0;
  #started = false;
  #asking = false;
  #blocked = false;
  #yielded = false;
  #listening = false;
  #closed = false;

  constructor(res: HttpResponse, source: PieceSource, owner: StreamOwner, closesConnection: boolean) {
    this.#res = res;
    this.#source = source;
    this.#owner = owner;
    this.#closesConnection = closesConnection;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** True while it is the client who has to read. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Grows whenever the client took something. */
  get progressCount(): number {
    return this.#progressCount;
  }

  run(): void {
    try {
      this.#pump();
    } catch (error) {
      this.#break(error);
    }
  }

  /** The client went away, or the connection is about to be closed. */
  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.close();
  }

  #pump(): void {
    let turnBytes = 0;
    while (!this.#closed && !this.#blocked && !this.#asking && !this.#yielded) {
      if (turnBytes >= turnBytesMax) {
        this.#yield();
        return;
      }
      const next = this.#source.next();
      if (!(next instanceof Promise)) {
        turnBytes += next?.bytes.length ?? 0;
        this.#take(next);
        continue;
      }
      this.#asking = true;
      next.then(
        (piece) => {
          this.#asking = false;
          if (this.#closed) piece?.release();
          else {
            this.#takeSafely(piece);
            this.run();
          }
        },
        (error: unknown) => this.#break(error),
      );
    }
  }

  #yield(): void {
    this.#yielded = true;
    setImmediate(() => {
      this.#yielded = false;
      this.run();
    });
  }

  #takeSafely(piece: Piece | null): void {
    try {
      this.#take(piece);
    } catch (error) {
      this.#break(error);
    }
  }

  #take(piece: Piece | null): void {
    if (piece === null) {
      this.#end();
      return;
    }
    try {
      // An empty chunk would end the body.
      if (piece.bytes.length > 0) this.#write(piece.bytes);
    } finally {
      piece.release();
    }
  }

  /** What the client does not take at once is copied by the library. */
  #write(bytes: Uint8Array): void {
    let ok = false;
    this.#started = true;
    this.#owner.corked(() => {
      ok = this.#res.write(bytes);
    });
    this.#sentBytes += bytes.length;
    if (ok) return;
    this.#blocked = true;
    if (this.#listening) return;
    this.#listening = true;
    this.#res.onWritable(() => {
      if (this.#closed || !this.#blocked) return true;
      this.#blocked = false;
      this.#progressCount++;
      this.run();
      return true;
    });
  }

  #end(): void {
    this.#started = true;
    this.#owner.corked(() => this.#res.end('', this.#closesConnection));
    // First the response object is let go: what the source's owner does at its close must not touch it.
    this.#owner.sent();
    this.abort();
  }

  #break(error: unknown): void {
    if (this.#closed) return;
    this.abort();
    this.#owner.broken(error, this.#started);
  }
}
