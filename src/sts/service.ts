/** The table of actions of this protocol, and which requests are its. */
import { limits } from '../base/index.js';
import type { OperationSpec, ParsedCall, Service } from '../dispatch/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import { refusalAnswer } from './answer.js';
import { assumeRole } from './assume-role.js';
import { assumeRoleWithCertificate } from './assume-role-with-certificate.js';
import { assumeRoleWithClientGrants } from './assume-role-with-client-grants.js';
import { assumeRoleWithCustomToken } from './assume-role-with-custom-token.js';
import { assumeRoleWithLdapIdentity } from './assume-role-with-ldap-identity.js';
import { assumeRoleWithWebIdentity } from './assume-role-with-web-identity.js';
import type { StsDeps } from './deps.js';
import { stsError } from './errors.js';
import { parameter, quote, requireVersion } from './parameters.js';

const actions: readonly OperationSpec<unknown, StsDeps>[] = [
  assumeRole,
  assumeRoleWithWebIdentity,
  assumeRoleWithClientGrants,
  assumeRoleWithLdapIdentity,
  assumeRoleWithCustomToken,
  assumeRoleWithCertificate,
];

export function createStsService(deps: StsDeps): Service<StsDeps> {
  return {
    deps,
    formBytesMax: limits.stsFormBytesMax,
    route,
    refuse: (refusal, { request }) => refusalAnswer(refusal, request),
  };
}

function route(call: ParsedCall): OperationSpec<unknown, StsDeps> {
  requireVersion(call);
  const name = parameter(call, 'Action');
  const action = actions.find((candidate) => candidate.name === name);
  if (action === undefined) throw stsError('InvalidParameterValue', `Unsupported action ${quote(name)}`);
  return action;
}

/** A form that is posted to the root, or an action in its query. The S3 protocol has neither there. */
export function isStsRequest({ method, rawPath, rawQuery, headers }: ExchangeRequest): boolean {
  if (method !== 'POST' || rawPath !== '/') return false;
  const type = headers.get('content-type') ?? '';
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(type) || /(^|&)Action=/.test(rawQuery);
}
