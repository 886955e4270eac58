/**
 * The frame of the actions whose proof of identity is not a signature: parameters that all share are checked
 * here, the proof by the provider that is set up for it. Without one the answer says so.
 */
import { isSignInDenied, type Authorized, type OperationSpec, type ParsedCall } from '../dispatch/index.js';
import type { ExternalIdentity, IdentityProviders } from '../identity/index.js';
import type { Policy } from '../policy/index.js';
import { limits, type Refusal } from '../base/index.js';
import { credentialsAnswer } from './answer.js';
import type { StsDeps } from './deps.js';
import { stsError } from './errors.js';
import { durationSeconds, parameter, revokeType, sessionPolicy } from './parameters.js';
import type { XmlElement } from './xml.js';

export interface ExternalInput {
  readonly durationSeconds: number | null;
  readonly policy: Policy | null;
  readonly revokeType: string;
}

export interface ExternalAction {
  readonly name: string;
  readonly provider: keyof IdentityProviders;
  /** By which policies can deny it, when that is not its name. */
  readonly policyAction?: string;
  /** One name of each list must be there. */
  readonly required: readonly (readonly string[])[];
  readonly takesPolicy: boolean;
  /** What there is to say without the provider. */
  readonly notSetUp: () => Refusal;
  /** Where the duration that the operator fixed counts: in place of any, or of one that is asked for. */
  readonly fixedDuration: 'always' | 'when-asked' | 'never';
  /** A refusal of the duration is called differently by one action. */
  readonly durationError?: 'MissingParameter';
  readonly before?: readonly XmlElement[];
  /** Elements behind the credentials. */
  readonly after?: (identity: ExternalIdentity) => readonly XmlElement[];
}

export function externalAction(action: ExternalAction): OperationSpec<ExternalInput, StsDeps> {
  return {
    name: action.name,
    anyRegion: true,
    parse(call) {
      for (const names of action.required) {
        if (names.some((name) => parameter(call, name) !== '')) continue;
        throw stsError('MissingParameter', `${names.join(' or ')} cannot be empty`);
      }
      return {
        durationSeconds: durationOf(action, call),
        policy: action.takesPolicy ? sessionPolicy(call) : null,
        revokeType: revokeType(call),
      };
    },
    // The proof is in the parameters: nobody has signed in yet.
    permissions: () => [],
    handle: (deps, call) => issue(action, deps, call),
  };
}

function durationOf({ durationError }: ExternalAction, call: ParsedCall): number | null {
  try {
    return durationSeconds(call);
  } catch (error) {
    throw durationError === undefined ? error : stsError(durationError, 'invalid token expiry');
  }
}

function effectiveSeconds({ fixedDuration }: ExternalAction, { fixedSeconds }: StsDeps, asked: number | null) {
  if (fixedDuration === 'never' || (fixedDuration === 'when-asked' && asked === null)) return asked;
  return fixedSeconds ?? asked;
}

async function issue(action: ExternalAction, deps: StsDeps, call: Authorized<ExternalInput>) {
  const provider = deps.providers[action.provider];
  if (provider === null) throw action.notSetUp();
  const { request, query, input } = call;
  const identity = await provider.identify({
    parameters: query,
    durationSeconds: effectiveSeconds(action, deps, input.durationSeconds),
    remoteAddress: request.remoteAddress,
    secure: request.secure,
    certificate: request.peerCertificate?.() ?? null,
  });
  requireNotDenied(action, deps, call, identity);
  const { account, source, policyNames, groups, claims, roleArn, provider: setUp, expiresMs } = identity;
  const credentials = await deps.iam.createSession({
    ...{ parent: account, parentSource: source, policyNames, groups, claims, roleArn, provider: setUp },
    ...{ policy: input.policy, revokeType: input.revokeType },
    expiresMs: Math.min(expiresMs, deps.clock.nowMs() + limits.sessionSeconds.max * 1000),
  });
  const { name, before = [], after = () => [] } = action;
  return credentialsAnswer({ action: name, request, credentials, before, after: after(identity) });
}

/** What the new credentials may is decided at their use; here only whether they may be had. */
function requireNotDenied(
  { name, policyAction = name }: ExternalAction,
  { iam, clock }: StsDeps,
  call: Authorized<ExternalInput>,
  identity: ExternalIdentity,
): void {
  const { account, source, claims, groups } = identity;
  const principal = { kind: 'temporary', accessKey: '', account, source, claims, groups } as const;
  const context = { call, authentication: call.authentication, clock };
  if (isSignInDenied(`sts:${policyAction}`, principal, iam.policiesOfExternal(identity), context)) {
    throw stsError('AccessDenied', 'this user does not have enough permission');
  }
}
