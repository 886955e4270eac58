import type { Principal } from './principal.js';

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
