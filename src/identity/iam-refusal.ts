/** What the accounts refuse, in the codes and with the statuses of the administration API. */
import { Refusal } from '../base/index.js';

const table = {
  XMinioAdminGroupNotEmpty: [400, 'The group is not empty: it cannot be removed.'],
  XMinioAdminInvalidAccessKey: [400, 'The access key is invalid.'],
  XMinioAdminInvalidArgument: [400, 'An argument is invalid.'],
  XMinioAdminInvalidSecretKey: [400, 'The secret key is invalid.'],
  XMinioAdminNoAccessKey: [400, 'No access key was provided, but a secret key.'],
  XMinioAdminNoSecretKey: [400, 'No secret key was provided, but an access key.'],
  XMinioAdminNoSuchGroup: [404, 'The specified group does not exist.'],
  XMinioAdminNoSuchPolicy: [404, 'The canned policy does not exist.'],
  XMinioAdminNoSuchUser: [404, 'The specified user does not exist.'],
  XMinioAdminPolicyChangeAlreadyApplied: [400, 'The specified policy change is already in effect.'],
  XMinioIAMActionNotAllowed: [403, 'The action is not allowed on this account.'],
  XMinioIAMPolicyInUse: [400, 'The policy cannot be removed: it is in use.'],
  XMinioIAMServiceAccountNotAllowed: [400, 'The account may not have access keys.'],
  XMinioIAMServiceAccountSessionPolicyTooLarge: [400, 'The policy of an access key has 4096 bytes at most.'],
  XMinioIdentityProviderFault: [500, 'The identity provider does not answer, or refuses to.'],
  XMinioInvalidGroupName: [400, 'The group name is invalid: it is not empty and holds no "=" and ",".'],
  XMinioInvalidIAMCredentials: [403, 'The credentials are invalid or not to be used here.'],
  XMinioInvalidResource: [400, 'The name, description or expiry is invalid.'],
  PolicyInvalidName: [400, 'The policy name is not empty and holds no comma.'],
} as const satisfies Readonly<Record<string, readonly [status: number, message: string]>>;

export type IamErrorCode = keyof typeof table;

/** `status`: where the same code has two (a missing access key is 404, a forbidden one 403). */
export class IamRefusal extends Refusal<IamErrorCode> {
  readonly status: number;

  constructor(code: IamErrorCode, message?: string, status?: number) {
    super(code, message ?? table[code][1]);
    this.status = status ?? table[code][0];
  }
}
