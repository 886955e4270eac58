/**
 * Every error code this protocol answers with, its status and its text, in one table.
 * A code that is missing here does not compile; a refusal whose code is not here is a bug of ours.
 */
import { Refusal } from '../base/index.js';
import type { SignatureErrorCode } from '../dispatch/index.js';
import type { HeaderPairs } from '../exchange/index.js';
import type { ObjectErrorCode } from '../object/index.js';

/** Codes that neither the object layer nor the signature check throws. */
type ProtocolErrorCode =
  | 'AllAccessDisabled'
  | 'BadDigest'
  | 'EntityTooLarge'
  | 'IllegalVersioningConfigurationException'
  | 'IncorrectNumberOfFilesInPostRequest'
  | 'InvalidBucketName'
  | 'InvalidDigest'
  | 'InvalidPartNumber'
  | 'InvalidPolicyDocument'
  | 'InvalidRange'
  | 'InvalidRegion'
  | 'InvalidStorageClass'
  | 'InvalidURI'
  | 'KeyTooLongError'
  | 'MalformedPOSTRequest'
  | 'MalformedPolicy'
  | 'MalformedXML'
  | 'MaxPostPreDataLengthExceeded'
  | 'MetadataTooLarge'
  | 'MissingContentLength'
  | 'MissingContentMD5'
  | 'NoSuchBucketPolicy'
  | 'PolicyTooLarge'
  | 'ServerBusy'
  | 'UnsupportedMetadata';

export type S3ErrorCode = ObjectErrorCode | SignatureErrorCode | ProtocolErrorCode;

export interface ErrorEntry {
  readonly status: number;
  readonly message: string;
}

const table: Readonly<Record<S3ErrorCode, ErrorEntry>> = {
  AccessDenied: { status: 403, message: 'Access Denied.' },
  AllAccessDisabled: { status: 403, message: 'All access to this bucket has been disabled.' },
  AuthorizationHeaderMalformed: { status: 400, message: 'The authorization header that you provided is not valid.' },
  AuthorizationQueryParametersError: { status: 400, message: 'The query parameters of the signature are not valid.' },
  BadDigest: { status: 400, message: 'The digest that you specified did not match the content that was received.' },
  BucketAlreadyOwnedByYou: { status: 409, message: 'You own a bucket of this name already.' },
  BucketNotEmpty: { status: 409, message: 'The bucket that you tried to delete is not empty.' },
  CredentialMalformed: { status: 400, message: 'The credential in the signature is malformed.' },
  EntityTooLarge: { status: 400, message: 'The upload exceeds the largest size allowed.' },
  EntityTooSmall: { status: 400, message: 'The upload is smaller than the smallest size allowed.' },
  IllegalVersioningConfigurationException: {
    status: 400,
    message: 'The versioning configuration specified in the request is invalid.',
  },
  IncompleteBody: { status: 400, message: 'The request body does not have the length that its headers declare.' },
  IncorrectNumberOfFilesInPostRequest: {
    status: 400,
    message: 'A form upload needs exactly one file, in a field of that name.',
  },
  InternalError: { status: 500, message: 'We encountered an internal error. Try again.' },
  InvalidAccessKeyId: { status: 403, message: 'The access key that you provided does not exist in our records.' },
  InvalidArgument: { status: 400, message: 'Invalid argument.' },
  InvalidBucketName: { status: 400, message: 'The specified bucket is not valid.' },
  InvalidChunkSizeError: { status: 400, message: 'A chunk of the body has a size that is not allowed.' },
  InvalidDigest: { status: 400, message: 'The Content-MD5 that you specified is not valid.' },
  InvalidPart: {
    status: 400,
    message: 'One or more of the specified parts could not be found, or its entity tag did not match.',
  },
  InvalidPartNumber: { status: 416, message: 'The requested part number is not satisfiable.' },
  InvalidPartOrder: { status: 400, message: 'The list of parts was not in ascending order of part number.' },
  InvalidPolicyDocument: { status: 400, message: 'The policy in the form is not valid.' },
  InvalidRange: { status: 416, message: 'The requested range is not satisfiable.' },
  InvalidRegion: { status: 400, message: 'The region is not the one of this server.' },
  InvalidRequest: { status: 400, message: 'Invalid request.' },
  InvalidStorageClass: { status: 400, message: 'The storage class that you specified is not valid.' },
  InvalidTokenId: { status: 403, message: 'The security token included in the request is not valid.' },
  InvalidURI: { status: 400, message: 'The request URI could not be parsed.' },
  KeyTooLongError: { status: 400, message: 'Your key is too long.' },
  MalformedPOSTRequest: {
    status: 400,
    message: 'The body of your POST request is not well-formed multipart/form-data.',
  },
  MalformedPolicy: { status: 400, message: 'The policy is not valid.' },
  MalformedXML: {
    status: 400,
    message: 'The XML that you provided was not well formed or did not validate against our published schema.',
  },
  MalformedTrailerError: {
    status: 400,
    message: 'The request contained trailing data that was not well formed or did not fit the headers.',
  },
  MaxPostPreDataLengthExceeded: {
    status: 400,
    message: 'The fields of your POST request in front of the file are too large.',
  },
  MetadataTooLarge: { status: 400, message: 'Your metadata headers exceed the largest size allowed.' },
  MethodNotAllowed: { status: 405, message: 'The specified method is not allowed against this resource.' },
  MissingContentLength: { status: 411, message: 'You must provide the Content-Length HTTP header.' },
  MissingContentMD5: {
    status: 400,
    message: 'This request needs a Content-MD5 or an x-amz-checksum header or trailer.',
  },
  MissingSecurityHeader: { status: 400, message: 'Your request is missing a required header.' },
  NoSuchBucket: { status: 404, message: 'The specified bucket does not exist.' },
  NoSuchBucketPolicy: { status: 404, message: 'The bucket has no policy.' },
  NoSuchKey: { status: 404, message: 'The specified key does not exist.' },
  NoSuchUpload: {
    status: 404,
    message: 'The specified multipart upload does not exist: it may have been aborted or completed.',
  },
  NoSuchVersion: { status: 404, message: 'The specified version does not exist.' },
  NotImplemented: {
    status: 501,
    message: 'A header or parameter that you provided implies functionality that is not implemented.',
  },
  PolicyTooLarge: { status: 400, message: 'A bucket policy has at most 20 KiB.' },
  PreconditionFailed: { status: 412, message: 'At least one of the preconditions that you specified did not hold.' },
  RequestTimeTooSkewed: {
    status: 403,
    message: 'The difference between the request time and the time of the server is too large.',
  },
  RequestTimeout: { status: 503, message: 'A resource that this request needs was not available in time. Try again.' },
  ServerBusy: { status: 503, message: 'The service is busy. Try again.' },
  SignatureDoesNotMatch: {
    status: 403,
    message:
      'The request signature that we calculated does not match the signature you provided. Check your key and signing method.',
  },
  SlowDownRead: { status: 503, message: 'Too few drives answer for this read now. Reduce your request rate.' },
  SlowDownWrite: { status: 503, message: 'Too few drives answer for this write now. Reduce your request rate.' },
  UnsupportedMetadata: { status: 400, message: 'Your metadata headers are not supported.' },
  XAmzContentSHA256Mismatch: {
    status: 400,
    message: 'The provided x-amz-content-sha256 header does not match what was computed.',
  },
  XMinioStorageFull: {
    status: 507,
    message: 'The drives have no room left for this write. Delete something or have drives added, and try again.',
  },
};

export function isS3ErrorCode(code: string): code is S3ErrorCode {
  return Object.hasOwn(table, code);
}

/** What a client is told of a refusal. */
export function describeRefusal(refusal: Refusal): ErrorEntry & { readonly code: S3ErrorCode } {
  const code = isS3ErrorCode(refusal.code) ? refusal.code : 'InternalError';
  const { status, message } = table[code];
  // A code that is not ours carries a text that was not meant for the client.
  const isOwnText = code === refusal.code && refusal.message !== refusal.code && code !== 'InternalError';
  return { code, status, message: isOwnText ? refusal.message : message };
}

/** A refusal with the text of the table unless a better one is given. `detail` becomes extra XML elements. */
export function s3Error(
  code: S3ErrorCode,
  message?: string,
  detail?: Readonly<Record<string, string>>,
): Refusal<S3ErrorCode> {
  return new Refusal<S3ErrorCode>(code, message ?? table[code].message, detail);
}

/** A refusal whose answer carries headers of its own. */
export class AnswerRefusal extends Refusal<S3ErrorCode> {
  readonly headers: HeaderPairs;

  constructor(code: S3ErrorCode, headers: HeaderPairs) {
    super(code, table[code].message);
    this.headers = headers;
  }
}
