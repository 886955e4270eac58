/**
 * Who a request speaks for. Users, access keys and temporary credentials join the root account here;
 * nothing above this room learns where a principal came from.
 */
export type Principal = { readonly kind: 'anonymous' } | { readonly kind: 'root'; readonly accessKey: string };

/** A credential and the principal behind it. */
export interface Credential {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Set for temporary credentials. */
  readonly sessionToken: string | null;
  readonly principal: Principal;
}

export interface CredentialStore {
  /** Null when there is no such access key, or it is disabled or expired. Synchronous: in memory. */
  lookup(accessKey: string): Credential | null;
}
