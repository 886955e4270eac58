/** What goes wrong on the directory's side: never the fault of whoever signs in, and never a reason to let in. */

export type DirectoryFaultKind =
  /** No server of the directory takes a connection. */
  | 'unreachable'
  /** It does not answer in time, or with something that is no answer. */
  | 'protocol'
  /** The account that looks up is refused. */
  | 'lookup-bind'
  /** It says that it cannot. */
  | 'refused'
  /** Its answer is larger than any that is taken. */
  | 'too-large'
  /** Too many wait for it already. */
  | 'busy';

export class DirectoryFault extends Error {
  override readonly name = 'DirectoryFault';

  constructor(
    readonly kind: DirectoryFaultKind,
    message: string,
    options?: { readonly cause: unknown },
  ) {
    super(message, options);
  }
}

export function directoryFault(kind: DirectoryFaultKind, message: string, cause?: unknown): DirectoryFault {
  return new DirectoryFault(kind, message, cause === undefined ? undefined : { cause });
}
