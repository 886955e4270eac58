/**
 * SigV2: `Authorization: AWS key:signature`, and URLs with AWSAccessKeyId, Expires and Signature. Old clients
 * use it, and some of today's presign with it unless told otherwise (`aws s3 presign`, boto3). It signs less
 * than SigV4: neither the body, nor the host, nor query parameters outside a list. HMAC-SHA1, base64.
 */
import { Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import type { Kernels } from '../native/index.js';
import { formatIsoSeconds, parseDateHeader } from './amz-date.js';
import {
  checkSessionToken,
  checkSkew,
  findCredential,
  mask,
  mismatch,
  nonEmpty,
  secretHeaderNames,
  signingDateOfHeaders,
} from './checks.js';
import { unsupportedMechanism } from './mechanism.js';
import { parsePayloadClaim } from './payload.js';
import type { Authentication, PayloadProtection, SigningCredential, VerifyOptions } from './signature.js';
import type { QueryPair } from './uri.js';
import { stringsToSignV2, stringToSignV2, type SignedPartsV2 } from './v2-canonical.js';

export interface VerifyV2Input {
  readonly mechanism: { readonly kind: 'header-v2'; readonly components: string } | { readonly kind: 'presigned-v2' };
  readonly request: ExchangeRequest;
  readonly pairs: readonly QueryPair[];
  readonly options: VerifyOptions;
}

export type SignatureV2Kernels = Pick<Kernels, 'hmacSha1' | 'constantTimeEqual'>;

interface SignedV2 {
  readonly kind: 'header-v2' | 'presigned-v2';
  readonly accessKey: string;
  /** Base64 as sent: any text. */
  readonly signature: string;
  readonly signedAtMs: number | null;
  readonly parts: SignedPartsV2;
}

export function verifyV2(kernels: SignatureV2Kernels, input: VerifyV2Input): Authentication {
  const { mechanism, options } = input;
  // Only S3 ever spoke it.
  if (options.service !== 's3') throw unsupportedMechanism();
  const signed = mechanism.kind === 'header-v2' ? parseHeader(mechanism.components, input) : parseUrl(input);
  const payload = protectionOf(signed.parts);
  const credential = findCredential(signed.accessKey, options);
  checkSignature(kernels, signed, credential);
  checkSessionToken(kernels, nonEmpty(signed.parts.header('x-amz-security-token')), credential);
  return { kind: signed.kind, accessKey: credential.accessKey, region: '', signedAtMs: signed.signedAtMs, payload };
}

function parseHeader(components: string, { request, pairs, options }: VerifyV2Input): SignedV2 {
  const text = components.trim();
  // An access key may hold a colon, base64 may not.
  const colon = text.lastIndexOf(':');
  if (colon <= 0 || colon === text.length - 1) {
    throw new Refusal('InvalidArgument', 'AWS authorization header is invalid. Expected AwsAccessKeyId:signature', {
      ArgumentName: 'Authorization',
    });
  }
  const { headers } = request;
  // Clients of this version write x-amz-date as an HTTP date.
  const date = signingDateOfHeaders(headers, parseDateHeader);
  checkSkew(date.ms, (headers.get('x-amz-date') ?? headers.get('date') ?? '').slice(0, 64), options.nowMs);
  return {
    kind: 'header-v2',
    accessKey: text.slice(0, colon),
    signature: text.slice(colon + 1),
    signedAtMs: date.ms,
    parts: {
      method: request.method,
      // Where x-amz-date says when, it is signed among the x-amz-* headers.
      date: headers.has('x-amz-date') ? '' : (headers.get('date') ?? ''),
      header: (name) => headers.get(name),
      headerNames: [...headers.names()],
      hostBucket: options.hostBucket ?? '',
      rawPath: request.rawPath,
      pairs,
    },
  };
}

const urlNames = ['AWSAccessKeyId', 'Signature', 'Expires'] as const;

function collectUrl(pairs: readonly QueryPair[]): Record<(typeof urlNames)[number], string> {
  const found: Partial<Record<(typeof urlNames)[number], string>> = {};
  for (const [name, value] of pairs) {
    const known = urlNames.find((candidate) => candidate === name);
    if (known === undefined) continue;
    if (found[known] !== undefined) throw new Refusal('AccessDenied', `The ${known} parameter was given twice.`);
    found[known] = value;
  }
  const { AWSAccessKeyId, Signature, Expires } = found;
  if (!AWSAccessKeyId || !Signature || !Expires) {
    throw new Refusal(
      'AccessDenied',
      'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters',
    );
  }
  return { AWSAccessKeyId, Signature, Expires };
}

function parseUrl({ request, pairs, options }: VerifyV2Input): SignedV2 {
  const { AWSAccessKeyId, Signature, Expires } = collectUrl(pairs);
  if (!/^\d{1,12}$/.test(Expires)) {
    throw new Refusal('AccessDenied', `Invalid date (should be seconds since epoch): ${Expires.slice(0, 32)}`);
  }
  const expiresMs = Number(Expires) * 1000;
  if (options.nowMs > expiresMs) {
    throw new Refusal('AccessDenied', 'Request has expired', {
      Expires: formatIsoSeconds(expiresMs),
      ServerTime: formatIsoSeconds(options.nowMs),
    });
  }
  refuseUnsignable(pairs);
  const { headers } = request;
  const lifted = liftedHeaders(request, pairs);
  return {
    kind: 'presigned-v2',
    accessKey: AWSAccessKeyId,
    signature: Signature,
    signedAtMs: null,
    parts: {
      method: request.method,
      date: Expires,
      header: (name) => headers.get(name) ?? lifted.get(name),
      headerNames: [...headers.names(), ...lifted.keys()],
      hostBucket: options.hostBucket ?? '',
      rawPath: request.rawPath,
      pairs,
    },
  };
}

/**
 * They name an operation, but clients of this version do not sign them. Whoever holds a URL could add one to
 * it and have another operation done in the name of its signer.
 */
const unsignableParameters: ReadonlySet<string> = new Set([
  'abac',
  'append',
  'attributes',
  'events',
  'intelligent-tiering',
  'lambdaArn',
  'metadataConfiguration',
  'metadataInventoryTable',
  'metadataJournalTable',
  'metadataTable',
  'ownershipControls',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication-check',
  'replication-metrics',
  'replication-reset',
  'replication-reset-status',
  'session',
]);

function refuseUnsignable(pairs: readonly QueryPair[]): void {
  for (const [name] of pairs) {
    if (!unsignableParameters.has(name)) continue;
    throw new Refusal('AccessDenied', `The ${name} parameter needs a URL that is signed with AWS4-HMAC-SHA256.`);
  }
}

/** Lower case. Headers that a presigned URL of SigV2 may carry in its query instead: its signer signed them as headers. */
export function isHeaderOfV2Url(name: string): boolean {
  return name.startsWith('x-amz-') || name === 'content-type' || name === 'content-md5';
}

/** A header that was sent stands before one of the query. */
function liftedHeaders(request: ExchangeRequest, pairs: readonly QueryPair[]): ReadonlyMap<string, string> {
  const lifted = new Map<string, string>();
  for (const [name, value] of pairs) {
    const header = name.toLowerCase();
    if (!isHeaderOfV2Url(header) || request.headers.has(header)) continue;
    // Each of a repeated name is signed: none can be slipped in.
    const before = lifted.get(header);
    lifted.set(header, before === undefined ? value : `${before},${value}`);
  }
  return lifted;
}

const signatureText = /^[A-Za-z0-9+/]{27}=$/;

/** Whether `sent`, base64 of any text, is the signature over `text`. */
export function isSignatureV2(kernels: SignatureV2Kernels, secretKey: string, text: string, sent: string): boolean {
  const signature = Buffer.from(signatureText.test(sent) ? sent : '', 'base64');
  return kernels.constantTimeEqual(kernels.hmacSha1(Buffer.from(secretKey), text), signature);
}

function checkSignature(kernels: SignatureV2Kernels, signed: SignedV2, credential: SigningCredential): void {
  const isRight = stringsToSignV2(signed.parts).some((text) =>
    isSignatureV2(kernels, credential.secretKey, text, signed.signature),
  );
  if (isRight) return;
  const { parts } = signed;
  const masked = (name: string) => (secretHeaderNames.has(name) ? mask : parts.header(name));
  throw mismatch({
    AWSAccessKeyId: credential.accessKey,
    StringToSign: stringToSignV2({ ...parts, header: masked }),
    SignatureProvided: signed.signature.slice(0, 64),
  });
}

/** The signature does not cover the body; a digest or a framing that signed headers claim for it holds. */
function protectionOf(parts: SignedPartsV2): PayloadProtection {
  const text = parts.header('x-amz-content-sha256');
  if (text === undefined) return { kind: isChunked(parts) ? 'unsigned-chunks' : 'unsigned' };
  const claim = parsePayloadClaim(text);
  if (claim.kind !== 'signed-chunks') return claim;
  throw new Refusal('InvalidRequest', 'Signed chunks require a request signed with AWS4-HMAC-SHA256.');
}

/** With this version nothing but the framing itself announces aws-chunked. */
function isChunked(parts: SignedPartsV2): boolean {
  if (parts.header('x-amz-decoded-content-length') === undefined) return false;
  const codings = (parts.header('content-encoding') ?? '').toLowerCase().split(',');
  return codings.some((coding) => coding.trim() === 'aws-chunked');
}
