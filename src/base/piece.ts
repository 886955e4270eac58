/** One piece of a body, at most `limits.sendPieceBytesMax` long. */
export interface Piece {
  /** May lie in shared memory. Valid until `release`. */
  readonly bytes: Uint8Array;
  /** Called exactly once, when the receiver no longer needs the bytes. */
  release(): void;
}

/** Pulled by the receiver at its own pace. */
export interface PieceSource {
  /** The next piece, or null after the last. A rejection means that the rest cannot be had. */
  next(): Promise<Piece | null> | Piece | null;
  /** Called exactly once, at the end or when the receiver goes away; also while `next` is pending. */
  close(): void;
  /**
   * The receiver stands still: gives up what was read ahead, memory above all. The next piece starts `position`
   * bytes behind the start of the whole. Requires: every piece is released; what a pending `next` still brings is
   * released too and not used.
   */
  rewind?(position: number): void;
}
