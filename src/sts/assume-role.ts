/** AssumeRole: temporary credentials for the account that signs, with its rights or fewer. */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { Policy } from '../policy/index.js';
import { assumedRoleUser, credentialsAnswer } from './answer.js';
import type { StsDeps } from './deps.js';
import { stsError } from './errors.js';
import { durationSeconds, parameter, revokeType, sessionPolicy } from './parameters.js';

export interface AssumeRoleInput {
  /** As sent: what the server gives anyway is not worth a refusal. */
  readonly duration: string;
  readonly policy: Policy | null;
  readonly revokeType: string;
}

export const assumeRole: OperationSpec<AssumeRoleInput, StsDeps> = {
  name: 'AssumeRole',
  // Clients sign for the region they are set to, for a usual one, or for none.
  anyRegion: true,
  parse: (call) => ({
    duration: parameter(call, 'DurationSeconds'),
    policy: sessionPolicy(call),
    revokeType: revokeType(call),
  }),
  // Everybody may who is not denied it: what comes of it has no more rights.
  permissions: () => [{ action: 'sts:AssumeRole', bucket: '', key: '', mode: 'deny-only' }],
  async handle({ iam, clock, fixedSeconds }, call) {
    const parent = parentOf(call);
    const { policy, revokeType } = call.input;
    const seconds = fixedSeconds ?? durationSeconds(call) ?? limits.sessionSeconds.usual;
    const credentials = await iam.createSession({
      ...parent,
      policy,
      revokeType,
      expiresMs: clock.nowMs() + seconds * 1000,
      policyNames: [],
      claims: new Map(),
      groups: [],
    });
    return credentialsAnswer({ action: 'AssumeRole', request: call.request, credentials, before: [assumedRoleUser] });
  },
};

/** Only a long-lived account that signs the request itself: what is derived from one cannot be prolonged by itself. */
function parentOf({ principal, authentication }: Authorized<unknown>) {
  const isSigned = authentication.kind === 'header-v4';
  if (isSigned && (principal.kind === 'root' || principal.kind === 'user')) {
    return { parent: principal.account, parentSource: principal.source };
  }
  throw stsError('AccessDenied');
}
