/**
 * From a request to the principal it speaks for. Every entry point (S3, STS, admin, console) comes through
 * here: signatures are verified in one place and credentials resolved in one place (I5).
 */
import { invariant, type Clock } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import type { Credential, CredentialStore, Principal } from '../identity/index.js';
import type { Authentication, VerifyForm, VerifyOptions, VerifySignature } from '../signature/index.js';

export interface AuthenticateOptions {
  readonly verify: VerifySignature;
  readonly credentials: CredentialStore;
  readonly clock: Clock;
  /** Empty: any region is accepted. */
  readonly region: string;
  readonly service: VerifyOptions['service'];
}

/** What the pipeline knows of a request that its signature depends on. */
export interface AuthenticationHints {
  /** The bucket that the Host header names; empty in path style. */
  readonly hostBucket: string;
  /** The signature may be one for another region: see `OperationSpec.anyRegion`. */
  readonly anyRegion: boolean;
  /** See `VerifyOptions.bodySha256Hex`. */
  readonly bodySha256Hex?: string | undefined;
}

const noHints: AuthenticationHints = { hostBucket: '', anyRegion: false };

export interface Authenticated {
  readonly principal: Principal;
  readonly authentication: Authentication;
}

/** Throws a refusal of the signature room. An unsigned request is the anonymous principal, not a refusal. */
export function authenticate(
  request: ExchangeRequest,
  options: AuthenticateOptions,
  hints: AuthenticationHints = noHints,
): Authenticated {
  return resolve(options, hints, (verifyOptions) => options.verify(request, verifyOptions));
}

/** The same for the policy of a form upload. */
export function authenticateForm(
  field: (name: string) => string | undefined,
  options: Omit<AuthenticateOptions, 'verify'> & { readonly verifyForm: VerifyForm },
): Authenticated {
  return resolve(options, noHints, (verifyOptions) => options.verifyForm(field, verifyOptions));
}

function resolve(
  { credentials, clock, region, service }: Omit<AuthenticateOptions, 'verify'>,
  hints: AuthenticationHints,
  verify: (options: VerifyOptions) => Authentication,
): Authenticated {
  // The credential that verified is the one whose principal counts, whatever the store does meanwhile.
  let credential: Credential | null = null;
  const authentication = verify({
    service,
    region: hints.anyRegion ? '' : region,
    hostBucket: hints.hostBucket,
    nowMs: clock.nowMs(),
    lookup: (accessKey) => (credential = credentials.lookup(accessKey)),
    bodySha256Hex: hints.bodySha256Hex,
  });
  if (authentication.kind === 'anonymous') return { principal: { kind: 'anonymous' }, authentication };
  const principal = principalOf(credential);
  return { principal, authentication };
}

function principalOf(credential: Credential | null): Principal {
  invariant(credential !== null, 'a verified signature has a credential');
  return credential.principal;
}
