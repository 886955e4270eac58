/** Why Microsoft Graph did not give an answer that can be used. Texts are for operators, and hold no secret. */
export class GraphError extends Error {
  override readonly name = 'GraphError';

  /**
   * rejected: the application may not, or its secret is wrong: somebody has to mend it.
   * unavailable: away, slow, overloaded, or an answer that makes no sense.
   */
  constructor(
    readonly kind: 'rejected' | 'unavailable',
    message: string,
    /** How long Graph asks to be left alone; null: it did not say. */
    readonly retryAfterMs: number | null = null,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
