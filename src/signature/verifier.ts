/**
 * The one place that verifies request signatures (I5). Main thread, synchronous: parsing and two hashes
 * cost less than a hop to another thread.
 */
import { limits, Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import type { Kernels } from '../native/index.js';
import { formatIsoSeconds } from './amz-date.js';
import { canonicalHeaders, canonicalPath, canonicalQuery, canonicalRequest, type CanonicalParts } from './canonical.js';
import { checkSessionToken, checkSkew, findCredential, mask, mismatch, secretHeaderNames } from './checks.js';
import { scopeText } from './credential-scope.js';
import { detectMechanism, isOfPresigned, type Mechanism } from './mechanism.js';
import { emptySha256Hex, parsePayloadClaim, unsignedPayload, type PayloadClaim } from './payload.js';
import type {
  Authentication,
  PayloadProtection,
  SigningCredential,
  VerifyOptions,
  VerifySignature,
} from './signature.js';
import { parsePresigned, readSignedHeader, signedByHeader, type SignedRequest } from './signed-request.js';
import { HeaderClaimsCache, type ReadClaims } from './header-claims.js';
import { SigningKeyCache } from './signing-keys.js';
import { parseQuery, type QueryPair } from './uri.js';
import { verifyV2 } from './v2.js';

export type SignatureKernels = Pick<
  Kernels,
  'createSigningKey' | 'verifyRequest' | 'constantTimeEqual' | 'sha256Hex' | 'hmacSha1'
>;

export function createSignatureVerifier(kernels: SignatureKernels): VerifySignature {
  const cache = new SigningKeyCache();
  const claims = new HeaderClaimsCache();
  return (request, options) => {
    const pairs = parseQuery(request.rawQuery);
    // Nearly every request: signed in its headers, by the client that sent the one before.
    const authorization = request.headers.get('authorization');
    const isPlain = authorization !== undefined && !pairs.some(isOfPresigned);
    const known = isPlain ? claims.recall(authorization, options) : null;
    if (known !== null) {
      const readAnew = (): void => void readHeader(detectMechanism(request, pairs), options);
      return accept(signedByHeader(known, request), { request, pairs, options, readAnew });
    }
    const mechanism = detectMechanism(request, pairs);
    if (mechanism.kind === 'anonymous') return acceptAnonymous(request);
    if (mechanism.kind === 'header-v2' || mechanism.kind === 'presigned-v2') {
      return verifyV2(kernels, { mechanism, request, pairs, options });
    }
    const read = readHeader(mechanism, options);
    const signed = read === null ? parsePresigned(pairs, request, options) : signedByHeader(read, request);
    return accept(signed, { request, pairs, options, readAnew: null });
  };

  function readHeader(mechanism: Mechanism, options: VerifyOptions): ReadClaims | null {
    return mechanism.kind === 'header-v4' ? readSignedHeader(mechanism.components, options, claims) : null;
  }

  function accept(signed: SignedRequest, from: Omit<VerifyInput, 'signed' | 'credential'>): Authentication {
    const { request, pairs, options, readAnew } = from;
    const payloadHash = payloadLine(signed, options);
    const claim = parsePayloadClaim(payloadHash);
    checkTime(signed, options.nowMs);
    checkHeadersAreSigned(signed, request);
    const credential = findCredential(signed.scope.accessKey, options);
    const signingKey = verify(kernels, cache, { request, pairs, signed, credential, options, readAnew }, payloadHash);
    return {
      kind: signed.kind,
      accessKey: credential.accessKey,
      region: signed.scope.region,
      signedAtMs: signed.date.ms,
      payload: protect(claim, signed, signingKey),
    };
  }
}

function acceptAnonymous(request: ExchangeRequest): Authentication {
  const claim = parsePayloadClaim(request.headers.get('x-amz-content-sha256') ?? unsignedPayload);
  if (claim.kind === 'signed-chunks') {
    throw new Refusal('AccessDenied', 'Signed chunks require a signed request.');
  }
  return { kind: 'anonymous', payload: claim };
}

/** The last line of the canonical request. */
function payloadLine(signed: SignedRequest, { bodySha256Hex }: VerifyOptions): string {
  if (bodySha256Hex === undefined) {
    return signed.payloadHash ?? (signed.kind === 'presigned-v4' ? unsignedPayload : emptySha256Hex);
  }
  // Whoever signs such a request signs its body: a claim of another kind would leave it open to changes.
  if (signed.payloadHash !== null && signed.payloadHash.toLowerCase() !== bodySha256Hex) {
    throw new Refusal('XAmzContentSHA256Mismatch');
  }
  return signed.payloadHash ?? bodySha256Hex;
}

function checkTime(signed: SignedRequest, nowMs: number): void {
  const { ms, amzDate } = signed.date;
  if (signed.expiresSeconds === null) return checkSkew(ms, amzDate, nowMs);
  if (ms - nowMs > limits.clockSkewMsMax) throw new Refusal('AccessDenied', 'Request is not valid yet');
  const expiresMs = ms + signed.expiresSeconds * 1000;
  if (signed.expiresSeconds === 0 || nowMs > expiresMs) {
    throw new Refusal('AccessDenied', 'Request has expired', {
      'X-Amz-Expires': String(signed.expiresSeconds),
      Expires: formatIsoSeconds(expiresMs),
      ServerTime: formatIsoSeconds(nowMs),
    });
  }
}

/**
 * The host, and every x-amz-* header that was sent, must be signed: an unsigned x-amz-copy-source or
 * x-amz-acl that somebody added on the way would change what the request does.
 */
function checkHeadersAreSigned(signed: SignedRequest, request: ExchangeRequest): void {
  // Both lists are bounded by `headerCountMax`, and short in practice: no set is worth its cost.
  const { signedHeaders } = signed;
  const unsigned: string[] = [];
  if (!signedHeaders.includes('host')) unsigned.push('host');
  for (const name of request.headers.names()) {
    // The value of x-amz-content-sha256 is a line of its own in what is signed.
    const mustBeSigned = name.startsWith('x-amz-') && name !== 'x-amz-content-sha256';
    if (mustBeSigned && !signedHeaders.includes(name)) unsigned.push(name);
  }
  if (unsigned.length === 0) return;
  throw new Refusal('AccessDenied', 'There were headers present in the request which were not signed', {
    HeadersNotSigned: unsigned.join(', '),
  });
}

/**
 * Value of a signed header. A front or a proxy may have consumed a few of them: those are rebuilt from
 * what is known. Null when it cannot be known.
 */
function signedHeaderValue(name: string, request: ExchangeRequest): string | null {
  const value = request.headers.get(name);
  if (value !== undefined) return value;
  const { declaredBytes } = request.body;
  switch (name) {
    case 'content-length':
      return declaredBytes === null ? null : String(declaredBytes);
    case 'transfer-encoding':
      return declaredBytes === null ? 'chunked' : null;
    case 'expect':
      return '100-continue';
    default:
      return null;
  }
}

interface VerifyInput {
  readonly request: ExchangeRequest;
  readonly pairs: readonly QueryPair[];
  readonly signed: SignedRequest;
  readonly credential: SigningCredential;
  readonly options: VerifyOptions;
  /** Of a header that is known by its beginning: throws what is wrong with the rest, if anything is. */
  readonly readAnew: (() => void) | null;
}

/** The signing key, once it has proved right. */
function verify(
  kernels: SignatureKernels,
  cache: SigningKeyCache,
  input: VerifyInput,
  payloadHash: string,
): Uint8Array {
  const { request, signed, credential } = input;
  const { scope, scopeLine, keyName } = signed;
  // A signed header that did not arrive makes the request another one than was signed.
  const valueOf = (name: string): string => {
    const value = signedHeaderValue(name, request);
    if (value === null) throw mismatch({ AWSAccessKeyId: credential.accessKey });
    return value;
  };
  const parts: CanonicalParts = {
    method: request.method,
    path: canonicalPath(request.rawPath),
    query: canonicalQuery(input.pairs, signed.kind === 'presigned-v4' ? 'X-Amz-Signature' : undefined),
    headers: signed.lines.of(valueOf),
    payloadHash,
  };
  const canonical = canonicalRequest(parts);
  const cached = cache.find(keyName, credential.secretKey);
  const signingKey = cached ?? kernels.createSigningKey(credential.secretKey, scope.date, scope.region, scope.service);
  if (!kernels.verifyRequest(signingKey, signed.date.amzDate, scopeLine, canonical, signed.signature)) {
    input.readAnew?.();
    throw mismatch(explain(kernels, input, parts, canonical, valueOf));
  }
  checkSessionToken(kernels, signed.sessionToken, credential);
  if (cached === null) cache.remember(keyName, { secretKey: credential.secretKey, signingKey });
  return signingKey;
}

/** What we signed, so that the author of a client can compare line by line. The right signature is never told. */
function explain(
  kernels: SignatureKernels,
  input: VerifyInput,
  parts: CanonicalParts,
  canonical: string,
  valueOf: (name: string) => string,
): Readonly<Record<string, string>> {
  const { signed, credential } = input;
  const detail: Record<string, string> = {
    AWSAccessKeyId: credential.accessKey,
    StringToSign: `AWS4-HMAC-SHA256\n${signed.date.amzDate}\n${signed.scopeLine}\n${kernels.sha256Hex(canonical)}`,
    SignatureProvided: signed.signature.slice(0, 64),
  };
  if (canonical.length > limits.signatureDetailCharsMax) return detail;
  const pairs = input.pairs.map(([name, value]): QueryPair => [name, isSecretParameter(name) ? mask : value]);
  detail['CanonicalRequest'] = canonicalRequest({
    ...parts,
    query: canonicalQuery(pairs, signed.kind === 'presigned-v4' ? 'X-Amz-Signature' : undefined),
    headers: canonicalHeaders(signed.signedHeaders, (name) => (secretHeaderNames.has(name) ? mask : valueOf(name))),
  });
  return detail;
}

/** Headers may travel as query parameters of a presigned URL. */
function isSecretParameter(name: string): boolean {
  return secretHeaderNames.has(name.toLowerCase());
}

function protect(claim: PayloadClaim, signed: SignedRequest, signingKey: Uint8Array): PayloadProtection {
  if (claim.kind !== 'signed-chunks') return claim;
  return {
    kind: 'signed-chunks',
    hasTrailer: claim.hasTrailer,
    signingKey,
    amzDate: signed.date.amzDate,
    scope: scopeText(signed.scope),
    seedSignature: signed.signature,
  };
}
