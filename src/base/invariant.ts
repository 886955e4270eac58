/** A broken promise of our own code: never the client's or a drive's doing. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** On in production. One condition each; never on what a client or a drive sent. */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(`invariant broken: ${what}`);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never, what: string): never {
  throw new InvariantError(`invariant broken: ${what}: ${String(value)}`);
}
