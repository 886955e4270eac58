import type { Clock } from '../base/index.js';
import type { Iam, Principal } from '../identity/index.js';
import { decide, type Policy, type PolicySet } from '../policy/index.js';
import type { Authentication } from '../signature/index.js';
import { conditionValues } from './condition-values.js';
import type { ParsedCall, Permission } from './operation.js';

/** What a decision may be about beside the permission: the request that asks. */
export interface AuthorizationContext {
  readonly call: ParsedCall;
  readonly authentication: Authentication;
}

/**
 * The one decision (I5). No answer but true allows (I6). At once when the policies are here, later when somebody
 * outside is asked: requests that need no answer from outside stay synchronous.
 */
export type IsAllowed = (
  principal: Principal,
  permission: Permission,
  context: AuthorizationContext,
) => boolean | Promise<boolean>;

/** The root account may do everything, nobody else anything. */
export const rootOnly: IsAllowed = (principal) => principal.kind === 'root';

const noValues = {};

/** Whether policies of somebody who is only about to be signed in deny the action by which that happens. */
export function isSignInDenied(
  action: string,
  principal: Exclude<Principal, { kind: 'anonymous' }>,
  policies: PolicySet,
  { call, authentication, clock }: AuthorizationContext & Pick<AuthorizerOptions, 'clock'>,
): boolean {
  const { headers } = call.request;
  const conditions = conditionValues({ call, headers, principal, authentication, clock, known: noValues });
  return !decide({ action, bucket: '', key: '', account: principal.account, conditions }, policies, 'deny-only');
}

export interface AuthorizerOptions {
  readonly iam: Pick<Iam, 'policiesOf'>;
  /** Null: the bucket has none, or there is no such bucket. */
  readonly bucketPolicy: (bucket: string) => Policy | null;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/** By the policies of the account, of the bucket and of the session. */
export function createAuthorizer({ iam, bucketPolicy, clock }: AuthorizerOptions): IsAllowed {
  return (principal, { action, bucket, key, mode = 'allow', values = noValues, headers }, { call, authentication }) => {
    const ofBucket = bucket === '' || principal.kind === 'root' ? null : bucketPolicy(bucket);
    const policies = iam.policiesOf(principal, ofBucket);
    if (policies.isRoot) return true;
    const account = principal.kind === 'anonymous' ? '' : principal.account;
    const conditions = conditionValues({
      call,
      headers: headers ?? call.request.headers,
      principal,
      authentication,
      clock,
      known: values,
    });
    return decide({ action, bucket, key, account, conditions }, policies, mode);
  };
}
