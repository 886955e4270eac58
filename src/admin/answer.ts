/** Answers of this API: JSON, empty, encrypted, and refusals. */
import type { Refusal } from '../base/index.js';
import type { Authorized } from '../dispatch/index.js';
import type { ExchangeRequest, ExchangeResponse } from '../exchange/index.js';
import { accountOf } from './account.js';
import type { AdminDeps } from './deps.js';
import { adminError, describeRefusal } from './errors.js';

const jsonType = ['Content-Type', 'application/json'] as const;
const retryAfterSeconds = '60';

type Signed = Pick<Authorized<unknown>, 'authentication' | 'principal'>;

export function jsonAnswer(value: unknown, status = 200): ExchangeResponse {
  return { status, headers: [jsonType], body: { kind: 'bytes', bytes: `${JSON.stringify(value)}\n` } };
}

export function textAnswer(text: string): ExchangeResponse {
  return { status: 200, headers: [jsonType], body: { kind: 'bytes', bytes: text } };
}

/** 200 or 204, whichever the client compares with. */
export function emptyAnswer(status: 200 | 204 = 200): ExchangeResponse {
  return { status, headers: [], body: { kind: 'empty', ...(status === 200 && { length: 0 }) } };
}

/** Under the secret key of whoever asks. */
export async function sealedAnswer(
  deps: AdminDeps,
  call: Signed,
  plain: string | Uint8Array,
): Promise<ExchangeResponse> {
  const bytes = await deps.cipher.seal(secretOf(deps, call), accountOf(call), Buffer.from(plain));
  return { status: 200, headers: [jsonType], body: { kind: 'bytes', bytes } };
}

export function sealedJson(deps: AdminDeps, call: Signed, value: unknown): Promise<ExchangeResponse> {
  return sealedAnswer(deps, call, JSON.stringify(value));
}

/** Of the very credential that signed: a user's, an access key's, a session's. */
export function secretOf(
  deps: Pick<AdminDeps, 'iam'>,
  { authentication }: Pick<Authorized<unknown>, 'authentication'>,
) {
  const credential = authentication.kind === 'anonymous' ? null : deps.iam.credentials.lookup(authentication.accessKey);
  // It was there when the signature was verified: removed since.
  if (credential === null) throw adminError('InvalidAccessKeyId');
  return credential.secretKey;
}

/** For what goes on after the answer began: the credential that signed is neither removed, disabled nor over. */
export function isStillThere(
  { iam }: Pick<AdminDeps, 'iam'>,
  { authentication }: Pick<Authorized<unknown>, 'authentication'>,
): boolean {
  return authentication.kind !== 'anonymous' && iam.credentials.lookup(authentication.accessKey) !== null;
}

export function refusalAnswer(
  refusal: Refusal,
  request: Pick<ExchangeRequest, 'id' | 'method' | 'rawPath'>,
  { region, hostId }: Pick<AdminDeps, 'region' | 'hostId'>,
): ExchangeResponse {
  const { code, status, message } = describeRefusal(refusal);
  const headers: (readonly [string, string])[] = [jsonType];
  if (status === 503) headers.push(['Retry-After', retryAfterSeconds]);
  if (request.method === 'HEAD') return { status, headers, body: { kind: 'empty' } };
  const document = {
    Code: code,
    Message: message,
    Resource: request.rawPath,
    ...(region !== '' && { Region: region }),
    RequestId: request.id,
    HostId: hostId,
  };
  return { status, headers, body: { kind: 'bytes', bytes: `${JSON.stringify(document)}\n` } };
}
