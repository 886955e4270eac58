/**
 * Every error of this protocol: status and text, and what refusals of other rooms are called here. A code of
 * the signature check that is missing does not compile.
 */
import { Refusal } from '../base/index.js';
import type { SignatureErrorCode } from '../dispatch/index.js';
import type { IdentityErrorCode } from '../identity/index.js';

const table = {
  AccessDenied: [403, 'Access denied.'],
  ExpiredToken: [400, 'The token has expired.'],
  InsecureConnection: [400, 'This call needs a connection with TLS.'],
  InternalError: [500, 'We encountered an internal error. Try again.'],
  InvalidClientCertificate: [400, 'The client certificate is not one that is trusted.'],
  InvalidParameterValue: [400, 'A parameter has a value that is not valid.'],
  MissingParameter: [400, 'A parameter that is required is missing.'],
  STSNotInitialized: [503, 'The security token service is not set up for this call.'],
  ServiceUnavailable: [503, 'The service is busy. Try again.'],
  Throttling: [429, 'Too many tries. Try again later.'],
  TooManyIntermediateCAs: [400, 'The client certificate brings too many intermediate certificates.'],
} as const satisfies Readonly<Record<IdentityErrorCode, readonly [number, string]>>;

export type StsErrorCode = keyof typeof table;

/** What the rooms below throw on the way of a request. */
type ForeignCode =
  | Exclude<SignatureErrorCode, 'AccessDenied'>
  | 'EntityTooLarge'
  | 'KeyTooLongError'
  | 'MalformedPolicy'
  | 'MissingContentLength'
  | 'ServerBusy'
  | 'SlowDownWrite'
  | 'XMinioAdminNoSuchUser'
  | 'XMinioStorageFull';

/** Whatever is wrong with a signature is one answer to the program, and a text of its own to its author. */
const meanings: Readonly<Record<ForeignCode, StsErrorCode>> = {
  AuthorizationHeaderMalformed: 'AccessDenied',
  AuthorizationQueryParametersError: 'AccessDenied',
  CredentialMalformed: 'AccessDenied',
  EntityTooLarge: 'InvalidParameterValue',
  IncompleteBody: 'InvalidParameterValue',
  InvalidAccessKeyId: 'AccessDenied',
  InvalidArgument: 'AccessDenied',
  InvalidChunkSizeError: 'InvalidParameterValue',
  InvalidRequest: 'AccessDenied',
  InvalidTokenId: 'AccessDenied',
  InvalidURI: 'InvalidParameterValue',
  KeyTooLongError: 'InvalidParameterValue',
  MalformedPolicy: 'InvalidParameterValue',
  MalformedTrailerError: 'InvalidParameterValue',
  MissingContentLength: 'InvalidParameterValue',
  MissingSecurityHeader: 'AccessDenied',
  NotImplemented: 'AccessDenied',
  RequestTimeTooSkewed: 'AccessDenied',
  ServerBusy: 'ServiceUnavailable',
  SignatureDoesNotMatch: 'AccessDenied',
  SlowDownWrite: 'ServiceUnavailable',
  // The account went while its credentials were made.
  XMinioAdminNoSuchUser: 'AccessDenied',
  XAmzContentSHA256Mismatch: 'AccessDenied',
  XMinioStorageFull: 'ServiceUnavailable',
};

/** Texts that a refusal without one of its own gets, or whose own is not told. */
const texts: Readonly<Partial<Record<string, string>>> = {
  EntityTooLarge: 'The request body is too large.',
  IncompleteBody: 'The request body ended early.',
  XAmzContentSHA256Mismatch: 'The provided x-amz-content-sha256 header does not match what was computed.',
  XMinioStorageFull:
    'The drives of the first set, where credentials are kept, are full. Delete objects, and try again.',
};

export function stsError(code: StsErrorCode, message?: string): Refusal<StsErrorCode> {
  return new Refusal(code, message ?? table[code][1]);
}

export interface ErrorDescription {
  readonly code: StsErrorCode;
  readonly status: number;
  readonly message: string;
}

/** What a client is told. What is not known here is ours to look into, and its text stays in the log. */
export function describeRefusal({ code, message }: Refusal): ErrorDescription {
  if (Object.hasOwn(table, code)) {
    const own = code as StsErrorCode;
    const [status, text] = table[own];
    return { code: own, status, message: message === code ? text : message };
  }
  const meaning = Object.hasOwn(meanings, code) ? meanings[code as ForeignCode] : 'InternalError';
  const [status, text] = table[meaning];
  const isTold = meaning !== 'InternalError' && status < 500;
  return { code: meaning, status, message: isTold && message !== code ? message : (texts[code] ?? text) };
}
