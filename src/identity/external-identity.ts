/**
 * The contract between the security token service and those who vouch for accounts that live elsewhere:
 * OpenID, LDAP, an identity plugin, client certificates. A provider checks the proof and says who it is;
 * the service checks what all of them share, and makes the credentials.
 */
import type { PeerCertificate } from '../base/index.js';
import type { ClaimValue, ExternalSource } from './principal.js';

/** What the client brings along. */
export interface IdentityProof {
  /** Of the request, by the names of the API: `WebIdentityToken`, `LDAPUsername`, `RoleArn`. Required ones are there. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Within the bounds of the service; null: not asked for. */
  readonly durationSeconds: number | null;
  readonly remoteAddress: string;
  /** The request came over TLS. */
  readonly secure: boolean;
  /** What it showed in the TLS handshake; absent: nothing, or the listener does not ask for one. */
  readonly certificate?: PeerCertificate | null;
}

export interface ExternalIdentity {
  /** The name that sessions and access keys hang from: a hash, a DN, `tls:NAME`, `custom:NAME`. */
  readonly account: string;
  readonly source: ExternalSource;
  /** As the answer names it: `SubjectFromWebIdentityToken`, `AssumedUser`. Empty: not at all. */
  readonly subject: string;
  readonly policyNames: readonly string[];
  readonly groups: readonly string[];
  readonly claims: ReadonlyMap<string, ClaimValue>;
  /** The role whose policies count, as they are set up then, in place of `policyNames`; empty: none. */
  readonly roleArn: string;
  /** Which set-up of its kind vouches, by the name of its settings; `_` for the one without a name. */
  readonly provider: string;
  /** When the credentials end; by then the proof may have ended, or what was asked for. */
  readonly expiresMs: number;
}

/** Codes of the security token service, by which a provider says what is wrong with a proof. */
export type IdentityErrorCode =
  | 'AccessDenied'
  | 'ExpiredToken'
  | 'InsecureConnection'
  | 'InternalError'
  | 'InvalidClientCertificate'
  | 'InvalidParameterValue'
  | 'MissingParameter'
  | 'ServiceUnavailable'
  | 'STSNotInitialized'
  /** Too many tries; in a while it may be tried again. */
  | 'Throttling'
  | 'TooManyIntermediateCAs';

export interface IdentityProvider {
  /** Rejects with `Refusal<IdentityErrorCode>`, whose text the client reads. */
  identify(proof: IdentityProof): Promise<ExternalIdentity>;
}

/** By the call of the service that each answers; null: not set up. */
export interface IdentityProviders {
  readonly openid: IdentityProvider | null;
  readonly ldap: IdentityProvider | null;
  readonly plugin: IdentityProvider | null;
  readonly certificate: IdentityProvider | null;
}
