/**
 * A refusal: the caller asked for something that it can correct or must be told about.
 * `code` is a standard S3 error code; the protocol room maps it to a status and a text in one table.
 * `detail` carries extra elements of the answer (never a secret).
 */
export class Refusal<Code extends string = string> extends Error {
  override readonly name = 'Refusal';
  readonly code: Code;
  readonly detail: Readonly<Record<string, string>>;

  constructor(code: Code, message?: string, detail: Readonly<Record<string, string>> = {}, cause?: unknown) {
    super(message ?? code, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** A start-up mistake of the operator: one line of cause and one of remedy, exit code 1. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
  readonly remedy: string;

  constructor(cause: string, remedy: string, error?: unknown) {
    super(cause, error === undefined ? undefined : { cause: error });
    this.remedy = remedy;
  }
}
