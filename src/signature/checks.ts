/** What every mechanism checks in the same way, and how each refuses. */
import { limits, Refusal } from '../base/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { Kernels } from '../native/index.js';
import { formatIsoSeconds, parseDateHeader, type SigningDate } from './amz-date.js';
import type { SigningCredential, VerifyOptions } from './signature.js';

/** The clocks of both sides agree well enough. `requestTime` is the text that is told back. */
export function checkSkew(signedAtMs: number, requestTime: string, nowMs: number): void {
  if (Math.abs(signedAtMs - nowMs) <= limits.clockSkewMsMax) return;
  throw new Refusal(
    'RequestTimeTooSkewed',
    'The difference between the request time and the current time is too large.',
    {
      RequestTime: requestTime,
      ServerTime: formatIsoSeconds(nowMs),
      MaxAllowedSkewMilliseconds: String(limits.clockSkewMsMax),
    },
  );
}

/** From x-amz-date, in the form that `parseAmzDate` reads; without it from Date. */
export function signingDateOfHeaders(
  headers: HeaderMap,
  parseAmzDate: (text: string) => SigningDate | null,
): SigningDate {
  const amzDate = headers.get('x-amz-date');
  const httpDate = amzDate === undefined ? headers.get('date') : undefined;
  let date: SigningDate | null = null;
  if (amzDate !== undefined) date = parseAmzDate(amzDate);
  else if (httpDate !== undefined) date = parseDateHeader(httpDate);
  if (date !== null) return date;
  throw new Refusal('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
}

export function findCredential(accessKey: string, options: VerifyOptions): SigningCredential {
  const credential = options.lookup(accessKey);
  if (credential === null) {
    throw new Refusal(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      accessKey.length <= 128 ? { AWSAccessKeyId: accessKey } : {},
    );
  }
  return credential;
}

/** `sent` is null when the request carries no token. */
export function checkSessionToken(
  kernels: Pick<Kernels, 'constantTimeEqual'>,
  sent: string | null,
  { sessionToken }: SigningCredential,
): void {
  const isRight =
    sessionToken === null ? sent === null : sent !== null && kernels.constantTimeEqual(sessionToken, sent);
  if (!isRight) {
    throw new Refusal('InvalidTokenId', 'The security token included in the request is invalid');
  }
}

export function mismatch(detail: Readonly<Record<string, string>>): Refusal<'SignatureDoesNotMatch'> {
  return new Refusal(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. ' +
      'Check your key and signing method.',
    detail,
  );
}

/** Null for what is absent or empty. */
export function nonEmpty(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value;
}

/** Headers whose values are secrets; their place in an explanation stays. */
export const secretHeaderNames: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-amz-security-token',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-copy-source-server-side-encryption-customer-key',
]);
export const mask = '***';
