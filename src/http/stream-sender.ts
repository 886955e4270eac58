/**
 * Sends a stream of pieces over one uWebSockets.js response, at the client's pace: one piece being written
 * and at most one more fetched, where that takes waiting. Every piece is released once and the source closed once,
 * whatever happens. A client that stands still holds no piece for long: then the source is rewound, and asked again later.
 * The first piece is fetched before the head is written, so that a source that fails at once can still be
 * answered with an error. Runs on the main thread.
 */
import { MiB, limits } from '../base/index.js';
import type { Piece, PieceSource } from '../exchange/index.js';
import type { HttpResponse } from './uws-library.js';

/** A fast reader gets this much before other connections have their turn: they are read and sent in 1 to 2 ms. */
const turnBytesMax = 4 * MiB;

/** What a source answers when asked for a piece. */
export type NextPiece = ReturnType<PieceSource['next']>;

export interface StreamOwner {
  /** Runs `write` corked, with the head already written. */
  corked(write: () => void): void;
  /** All bytes are handed to the library: the response object is no longer valid. */
  sent(): void;
  /** Nothing more can be sent. `started`: part of the answer is out already. */
  broken(error: unknown, started: boolean): void;
}

export class StreamSender {
  readonly #res: HttpResponse;
  readonly #length: number;
  readonly #source: PieceSource;
  readonly #owner: StreamOwner;
  #first: NextPiece | undefined;
  #piece: Piece | null = null;
  #pieceStart = 0;
  #fetched: Piece | null = null;
  #sentBytes = 0;
  #started = false;
  #fetching = false;
  /** The last piece took a turn of the event loop or more. */
  #waited = true;
  #exhausted = false;
  #blocked = false;
  #yielded = false;
  #listening = false;
  #closed = false;
  #progressCount = 0;
  /** What `next` brings for a former one is of no use any more. */
  #generation = 0;
  #idleTimer: NodeJS.Timeout | null = null;

  /** Requires: length > 0. `first`: what the source's `next` answered already, if it was asked. */
  constructor(res: HttpResponse, length: number, source: PieceSource, owner: StreamOwner, first?: NextPiece) {
    this.#res = res;
    this.#length = length;
    this.#source = source;
    this.#owner = owner;
    this.#first = first;
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
    if (this.#closed || this.#blocked || this.#yielded) return;
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
    this.#stopIdleTimer();
    this.#releasePieces();
    this.#source.close();
  }

  #releasePieces(): void {
    this.#piece?.release();
    this.#piece = null;
    this.#fetched?.release();
    this.#fetched = null;
  }

  /** The client has taken nothing for a while: others need the memory more. */
  #giveBack(): void {
    this.#idleTimer = null;
    if (this.#closed || !this.#blocked || this.#source.rewind === undefined) return;
    this.#releasePieces();
    this.#generation++;
    this.#fetching = false;
    this.#exhausted = false;
    this.#source.rewind(this.#sentBytes);
  }

  #startIdleTimer(): void {
    if (this.#source.rewind === undefined) return;
    this.#idleTimer ??= setTimeout(() => this.#giveBack(), limits.answerIdleMsMax);
  }

  #stopIdleTimer(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
  }

  #pump(): void {
    let turnBytes = 0;
    while (!this.#closed) {
      if (this.#piece === null && !this.#take()) return;
      if (turnBytes >= turnBytesMax) {
        this.#yield();
        return;
      }
      const before = this.#sentBytes;
      this.#write();
      turnBytes += this.#sentBytes - before;
      if (this.#blocked) {
        // What takes no waiting is fetched when it can be sent: it is in the processor's cache then.
        if (this.#waited) this.#fetch();
        return;
      }
    }
  }

  #yield(): void {
    this.#yielded = true;
    setImmediate(() => {
      this.#yielded = false;
      this.run();
    });
  }

  /** Makes the next piece the current one. False when it is not here yet, or never will be. */
  #take(): boolean {
    this.#fetch();
    if (this.#fetched === null) {
      if (this.#exhausted && !this.#closed) this.#break(new Error('the source ended before the announced length'));
      return false;
    }
    this.#piece = this.#fetched;
    this.#fetched = null;
    this.#pieceStart = this.#sentBytes;
    return true;
  }

  #fetch(): void {
    while (this.#fetched === null && !this.#fetching && !this.#exhausted && !this.#closed) {
      const next = this.#first === undefined ? this.#source.next() : this.#first;
      this.#first = undefined;
      this.#waited = next instanceof Promise;
      if (next instanceof Promise) {
        this.#fetching = true;
        const generation = this.#generation;
        next.then(
          (piece) => {
            if (this.#closed || generation !== this.#generation) {
              piece?.release();
              return;
            }
            this.#fetching = false;
            this.#keep(piece);
            this.run();
          },
          (error: unknown) => {
            if (generation === this.#generation) this.#break(error);
          },
        );
        return;
      }
      this.#keep(next);
    }
  }

  #keep(piece: Piece | null): void {
    if (piece === null) this.#exhausted = true;
    else if (piece.bytes.length === 0) piece.release();
    else this.#fetched = piece;
  }

  #write(): void {
    const piece = this.#piece!;
    const from = this.#sentBytes - this.#pieceStart;
    // One byte over the announced length would break the framing of the connection.
    const room = Math.min(limits.sendPieceBytesMax, this.#length - this.#sentBytes);
    const to = Math.min(piece.bytes.length, from + room);
    const bytes = from === 0 && to === piece.bytes.length ? piece.bytes : piece.bytes.subarray(from, to);
    let ok = false;
    let done = false;
    this.#started = true;
    this.#owner.corked(() => {
      [ok, done] = this.#res.tryEnd(bytes, this.#length);
    });
    if (done) {
      this.#sentBytes = this.#length;
      // First the response object is let go: what the source's owner does at its close must not touch it.
      this.#owner.sent();
      this.abort();
      return;
    }
    this.#sentBytes = this.#res.getWriteOffset();
    if (this.#sentBytes - this.#pieceStart >= piece.bytes.length) {
      this.#piece = null;
      piece.release();
    }
    if (ok) return;
    this.#blocked = true;
    this.#startIdleTimer();
    if (this.#listening) return;
    this.#listening = true;
    this.#res.onWritable(() => this.#writable());
  }

  /** The library calls this now and then without cause: then nothing is blocked, and nothing is done. */
  #writable(): boolean {
    if (!this.#blocked || this.#closed) return true;
    this.#blocked = false;
    this.#stopIdleTimer();
    this.#progressCount++;
    this.run();
    return !this.#blocked;
  }

  #break(error: unknown): void {
    if (this.#closed) return;
    this.abort();
    this.#owner.broken(error, this.#started);
  }
}
