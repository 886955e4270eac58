/**
 * What a SigV4 request claims, parsed from its Authorization header or from the query of a presigned URL.
 * Everything is checked here that needs neither a credential nor a clock.
 */
import { limits, Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import { parseAmzDate, type SigningDate } from './amz-date.js';
import { nonEmpty, signingDateOfHeaders } from './checks.js';
import { findScopeProblem, quote, splitCredential, type CredentialScope } from './credential-scope.js';
import { claimsOf, type HeaderClaims, type HeaderClaimsCache, type ReadClaims } from './header-claims.js';
import { HeaderLines } from './header-lines.js';
import { algorithmStart } from './mechanism.js';
import type { VerifyOptions } from './signature.js';
import type { QueryPair } from './uri.js';

export interface SignedRequest extends HeaderClaims {
  readonly kind: 'header-v4' | 'presigned-v4';
  readonly date: SigningDate;
  /** Null in header form. */
  readonly expiresSeconds: number | null;
  readonly lines: HeaderLines;
  /** As sent: any text. */
  readonly signature: string;
  /** Value of x-amz-content-sha256, or null when it was not sent. */
  readonly payloadHash: string | null;
  /** Null when none was sent. */
  readonly sessionToken: string | null;
}

type Malformed = (text: string, detail?: Readonly<Record<string, string>>) => Refusal;

const headerMalformed: Malformed = (text, detail) =>
  new Refusal('AuthorizationHeaderMalformed', `The authorization header is malformed; ${text}`, detail);
const queryMalformed: Malformed = (text, detail) => new Refusal('AuthorizationQueryParametersError', text, detail);
const credentialMalformed: Malformed = (text, detail) =>
  queryMalformed(`Error parsing the X-Amz-Credential parameter; ${text}`, detail);

const credentialShape = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".';

function parseScope(credential: string, options: VerifyOptions, malformed: Malformed): CredentialScope {
  const scope = splitCredential(credential);
  if (scope === null) throw malformed(credentialShape);
  const problem = findScopeProblem(scope, options.region, options.service);
  if (problem !== null) throw malformed(problem.text, problem.detail);
  return scope;
}

function checkScopeDate(scope: CredentialScope, date: SigningDate, malformed: Malformed): void {
  if (date.amzDate.startsWith(scope.date)) return;
  throw malformed(
    `Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${date.amzDate.slice(0, 8)}".`,
  );
}

/** Header names apart by semicolons. */
const signedHeadersText = /^[a-z0-9!#$%&'*+\-.^_`|~]+(?:;[a-z0-9!#$%&'*+\-.^_`|~]+)*$/;

function parseSignedHeaders(text: string, malformed: Malformed): readonly string[] {
  const lowered = text.toLowerCase();
  if (!signedHeadersText.test(lowered)) throw malformed('the SignedHeaders component is malformed.');
  const names = lowered.split(';', limits.headerCountMax + 1);
  if (names.length > limits.headerCountMax) {
    throw malformed(`SignedHeaders names more than ${limits.headerCountMax} headers.`);
  }
  let isSorted = true;
  for (let index = 1; index < names.length; index++) {
    if (names[index - 1]! >= names[index]!) isSorted = false;
  }
  if (isSorted) return names;
  if (new Set(names).size !== names.length) throw malformed('SignedHeaders names a header twice.');
  return names.sort();
}

const headerComponentNames = ['Credential', 'SignedHeaders', 'Signature'] as const;
type HeaderComponents = Record<(typeof headerComponentNames)[number], string>;

function parseComponents(text: string): HeaderComponents {
  const parts = text.split(',', headerComponentNames.length + 1);
  const found: Partial<HeaderComponents> = {};
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = headerComponentNames.find((candidate) => candidate === part.slice(0, Math.max(equals, 0)).trim());
    // The part itself stays out of the text: it may hold most of a signature.
    if (name === undefined) throw headerMalformed('an authorization component is malformed.');
    if (found[name] !== undefined) throw headerMalformed(`the authorization component "${name}" was given twice.`);
    found[name] = part.slice(equals + 1).trim();
  }
  const { Credential, SignedHeaders, Signature } = found;
  if (Credential === undefined || SignedHeaders === undefined || Signature === undefined) {
    throw headerMalformed(
      'the authorization header requires three components: Credential, SignedHeaders, and Signature.',
    );
  }
  return { Credential, SignedHeaders, Signature };
}

/** `components`: of the Authorization header, behind the name of its algorithm. */
export function readSignedHeader(components: string, options: VerifyOptions, cache: HeaderClaimsCache): ReadClaims {
  return cache.read(components, algorithmStart, options, (text) => {
    const { Credential, SignedHeaders, Signature } = parseComponents(text);
    const sound = parseScope(Credential, options, headerMalformed);
    return { claims: claimsOf(sound, parseSignedHeaders(SignedHeaders, headerMalformed)), signature: Signature };
  });
}

export function signedByHeader({ claims, signature, lines }: ReadClaims, { headers }: ExchangeRequest): SignedRequest {
  const { scope, signedHeaders, scopeLine, keyName } = claims;
  const date = signingDateOfHeaders(headers, parseAmzDate);
  checkScopeDate(scope, date, headerMalformed);
  return {
    kind: 'header-v4',
    scope,
    scopeLine,
    keyName,
    date,
    expiresSeconds: null,
    signedHeaders,
    lines,
    signature,
    payloadHash: headers.get('x-amz-content-sha256') ?? null,
    sessionToken: nonEmpty(headers.get('x-amz-security-token')),
  };
}

const requiredNames = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Expires',
] as const;
const optionalNames = ['X-Amz-Content-Sha256', 'X-Amz-Security-Token'] as const;
type PresignedName = (typeof requiredNames)[number] | (typeof optionalNames)[number];
const presignedNames: ReadonlySet<string> = new Set([...requiredNames, ...optionalNames]);

function collectPresigned(pairs: readonly QueryPair[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (!presignedNames.has(name)) continue;
    if (values.has(name)) throw queryMalformed(`The ${name} parameter was given twice.`);
    values.set(name, value);
  }
  if (requiredNames.some((name) => nonEmpty(values.get(name)) === null)) {
    throw queryMalformed(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, ' +
        'X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  return values;
}

function parseExpires(text: string): number {
  if (/^-\d+$/.test(text)) throw queryMalformed('X-Amz-Expires must be non-negative');
  if (!/^\d+$/.test(text)) throw queryMalformed('X-Amz-Expires should be a number');
  const seconds = Number(text);
  if (seconds > limits.presignedSecondsMax) {
    throw queryMalformed(
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ' +
        `${limits.presignedSecondsMax} seconds`,
    );
  }
  return seconds;
}

export function parsePresigned(
  pairs: readonly QueryPair[],
  request: ExchangeRequest,
  options: VerifyOptions,
): SignedRequest {
  const values = collectPresigned(pairs);
  const required = (name: PresignedName): string => values.get(name) ?? '';
  const algorithm = required('X-Amz-Algorithm');
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') {
    throw new Refusal('NotImplemented', `Signatures of ${algorithm} are not implemented.`);
  }
  if (algorithm !== 'AWS4-HMAC-SHA256') throw queryMalformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
  const scope = parseScope(required('X-Amz-Credential'), options, credentialMalformed);
  const date = parseAmzDate(required('X-Amz-Date'));
  if (date === null) {
    throw queryMalformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  }
  checkScopeDate(scope, date, queryMalformed);
  const queryHash = values.get('X-Amz-Content-Sha256');
  const headerHash = request.headers.get('x-amz-content-sha256');
  if (queryHash !== undefined && headerHash !== undefined && queryHash !== headerHash) {
    throw queryMalformed(`X-Amz-Content-Sha256 is not the same as the header of that name: "${quote(headerHash)}".`);
  }
  const expiresSeconds = parseExpires(required('X-Amz-Expires'));
  const names = parseSignedHeaders(required('X-Amz-SignedHeaders'), queryMalformed);
  const { signedHeaders, scopeLine, keyName } = claimsOf(scope, names);
  return {
    kind: 'presigned-v4',
    scope,
    scopeLine,
    keyName,
    signedHeaders,
    lines: new HeaderLines(signedHeaders),
    date,
    expiresSeconds,
    signature: required('X-Amz-Signature'),
    payloadHash: queryHash ?? headerHash ?? null,
    sessionToken: nonEmpty(values.get('X-Amz-Security-Token')) ?? nonEmpty(request.headers.get('x-amz-security-token')),
  };
}
