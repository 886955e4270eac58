/**
 * Every error of the administration API: status and text. Codes of S3 that the pipeline refuses with are
 * among them. Clients retry 408, 429, 502 and 503 for minutes: those are for what passes by itself.
 */
import { Refusal } from '../base/index.js';

const table = {
  AccessDenied: [403, 'Access Denied.'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The query has no valid signature.'],
  BadRequest: [400, 'The request is not one of this kind.'],
  CredentialMalformed: [400, 'The credential is malformed.'],
  EntityTooLarge: [400, 'The request body is too large.'],
  ExpiredToken: [400, 'The provided token has expired.'],
  IncompleteBody: [400, 'The request body ended early.'],
  InternalError: [500, 'We encountered an internal error, please try again.'],
  InvalidAccessKeyId: [403, 'The Access Key Id you provided does not exist in our records.'],
  InvalidArgument: [400, 'An argument is invalid.'],
  InvalidChunkSizeError: [400, 'The chunks of the body are malformed.'],
  InvalidRequest: [400, 'The request is invalid.'],
  InvalidTokenId: [403, 'The security token included in the request is invalid.'],
  InvalidURI: [400, 'The URI could not be parsed.'],
  KeyTooLongError: [400, 'The path is too long.'],
  MalformedPOSTRequest: [400, 'The action is not one that is known.'],
  MalformedPolicy: [400, 'The policy is malformed.'],
  MalformedTrailerError: [400, 'The trailer of the body is malformed.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  MissingSecurityHeader: [400, 'A header that is required is missing.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NotImplemented: [501, 'A header or query you provided implies functionality that is not implemented.'],
  PolicyInvalidName: [400, 'Policy name may not contain comma.'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the current time is too large.'],
  ServerBusy: [503, 'The server is busy. Please try again.'],
  SignatureDoesNotMatch: [
    403,
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  ],
  SlowDown: [503, 'Too many requests at once. Please try again.'],
  SlowDownRead: [503, 'Too few drives can be read. Please try again.'],
  SlowDownWrite: [503, 'Too few drives can be written. Please try again.'],
  XAmzContentSHA256Mismatch: [400, 'The provided x-amz-content-sha256 header does not match what was computed.'],
  XMinioAdminBucketQuotaExceeded: [400, 'Bucket quota exceeded.'],
  XMinioAdminBucketRemoteAlreadyExists: [400, 'The remote target already exists.'],
  XMinioAdminConfigBadJSON: [400, 'The request body could not be decrypted, or is not what is expected.'],
  XMinioAdminConfigEnvOverridden: [400, 'The setting is overridden by an environment variable.'],
  XMinioAdminConfigIDPCfgNameAlreadyExists: [400, 'An identity provider configuration of that name exists.'],
  XMinioAdminConfigIDPCfgNameDoesNotExist: [400, 'There is no identity provider configuration of that name.'],
  XMinioAdminConfigInvalidIDPType: [400, 'The type of identity provider is not known.'],
  XMinioAdminConfigLDAPNonDefaultConfigName: [400, 'Only a single LDAP configuration is supported.'],
  XMinioAdminConfigLDAPValidation: [400, 'The LDAP configuration is not valid.'],
  XMinioAdminConfigTooLarge: [400, 'The configuration data is larger than 256 KiB, or of unknown length.'],
  XMinioAdminGroupDisabled: [400, 'The group is disabled.'],
  XMinioAdminGroupNotEmpty: [400, 'The group is not empty: it cannot be removed.'],
  XMinioAdminInvalidAccessKey: [400, 'The access key is invalid: it has 3 characters at least.'],
  XMinioAdminInvalidArgument: [400, 'An argument is invalid.'],
  XMinioAdminInvalidRequest: [400, 'The request is invalid.'],
  XMinioAdminInvalidSecretKey: [400, 'The secret key is invalid: it has 8 characters at least.'],
  XMinioAdminNoAccessKey: [400, 'No access key was provided, but a secret key.'],
  XMinioAdminNoSecretKey: [400, 'No secret key was provided, but an access key.'],
  XMinioAdminNoSuchAccessKey: [404, 'The specified access key does not exist.'],
  XMinioAdminNoSuchConfigTarget: [400, 'There is no such configuration target.'],
  XMinioAdminNoSuchGroup: [404, 'The specified group does not exist.'],
  XMinioAdminNoSuchJob: [404, 'The specified job does not exist.'],
  XMinioAdminNoSuchPolicy: [404, 'The canned policy does not exist.'],
  XMinioAdminNoSuchQuotaConfiguration: [404, 'The quota configuration does not exist.'],
  XMinioAdminNoSuchUser: [404, 'The specified user does not exist.'],
  XMinioAdminPolicyChangeAlreadyApplied: [400, 'The specified policy change is already in effect.'],
  XMinioAdminRemoteTargetNotFoundError: [404, 'The remote target does not exist.'],
  XMinioAdminVersionMismatch: [426, 'This server does not know that version of the administration API.'],
  XMinioConfigError: [400, 'The configuration is not valid.'],
  XMinioConfigNotFoundError: [404, 'There is no such configuration.'],
  XMinioHealAlreadyRunning: [400, 'A heal sequence is running on the given path.'],
  XMinioHealInvalidClientToken: [400, 'The client token does not match.'],
  XMinioHealNoSuchProcess: [400, 'No heal sequence is running on the given path.'],
  XMinioHealOverlappingPaths: [400, 'A heal sequence is running on an overlapping path.'],
  XMinioIAMActionNotAllowed: [403, 'The action is not allowed on this account.'],
  XMinioIAMNotInitialized: [503, 'Accounts are not loaded yet. Please try again.'],
  XMinioIAMPolicyInUse: [400, 'The policy cannot be removed: it is in use.'],
  XMinioIAMServiceAccountNotAllowed: [400, 'The account may not have access keys.'],
  XMinioIAMServiceAccountSessionPolicyTooLarge: [400, 'The policy of an access key has 4096 bytes at most.'],
  XMinioIdentityProviderFault: [500, 'The identity provider does not answer, or refuses to.'],
  XMinioInvalidGroupName: [400, 'The group name is invalid: it may not contain "=" or ",".'],
  XMinioInvalidIAMCredentials: [403, 'The credentials are invalid or not to be used here.'],
  XMinioInvalidResource: [400, 'The name, description or expiry is invalid.'],
  XMinioInvalidUTF: [400, 'The name is not valid UTF-8.'],
  XMinioLDAPExpectedLoginName: [400, 'A login name was expected.'],
  XMinioLDAPNotEnabled: [501, 'LDAP is not enabled.'],
  XMinioLDAPUnavailable: [500, 'The directory cannot be asked at the moment.'],
  XMinioMalformedIAMPolicy: [400, 'The policy is malformed.'],
  XMinioServerNotInitialized: [503, 'The server is starting. Please try again.'],
  XMinioStorageFull: [507, 'The drives of the first set, where this is kept, are full. Delete objects, and try again.'],
} as const satisfies Readonly<Record<string, readonly [status: number, message: string]>>;

export type AdminErrorCode = keyof typeof table;

/** `status`: where the same code has two (a missing access key is 404, a forbidden one 403). */
export class AdminRefusal extends Refusal<AdminErrorCode> {
  readonly status: number;

  constructor(code: AdminErrorCode, message?: string, status?: number, cause?: unknown) {
    super(code, message ?? table[code][1], {}, cause);
    this.status = status ?? table[code][0];
  }
}

export function adminError(code: AdminErrorCode, message?: string, status?: number): AdminRefusal {
  return new AdminRefusal(code, message, status);
}

export function isAdminErrorCode(code: string): code is AdminErrorCode {
  return Object.hasOwn(table, code);
}

/** Status and text of a refusal of any room; what is not known here is ours to look into. */
export function describeRefusal(refusal: Refusal): { code: AdminErrorCode; status: number; message: string } {
  const { code } = refusal;
  if (!isAdminErrorCode(code) || code === 'InternalError') {
    return { code: 'InternalError', status: 500, message: table.InternalError[1] };
  }
  const [tableStatus, tableMessage] = table[code];
  const own: unknown = 'status' in refusal ? refusal.status : undefined;
  const status = typeof own === 'number' ? own : tableStatus;
  return { code, status, message: refusal.message === code ? tableMessage : refusal.message };
}
