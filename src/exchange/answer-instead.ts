import type { ExchangeResponse } from './exchange.js';

/**
 * Thrown by the source of an answer's body before its first piece: the bytes cannot be had, and nothing of
 * the answer is out yet, so this one is sent in its place.
 */
export class AnswerInstead extends Error {
  override readonly name = 'AnswerInstead';

  constructor(
    readonly answer: ExchangeResponse,
    cause: unknown,
  ) {
    super('the bytes of an answer cannot be had', { cause });
  }
}
