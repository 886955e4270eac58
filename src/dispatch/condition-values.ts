/**
 * What policies may ask about a request. What the server knows (address, time, signature, verified claims)
 * lives apart from what the client says in headers and query, which is asked for its own names only.
 */
import type { Clock } from '../base/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { Principal } from '../identity/index.js';
import { isReservedClaim, type ConditionValues } from '../policy/index.js';
import type { Authentication } from '../signature/index.js';
import type { ParsedCall } from './operation.js';

export interface ConditionContext {
  readonly call: ParsedCall;
  /** Of S3: the request's, or the fields of a form. */
  readonly headers: HeaderMap;
  readonly principal: Principal;
  readonly authentication: Authentication;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** `Permission.values`. */
  readonly known: Readonly<Record<string, readonly string[]>>;
}

type Values = readonly string[] | undefined;

export function conditionValues(context: ConditionContext): ConditionValues {
  const { known } = context;
  return {
    trusted: (name) => (Object.hasOwn(known, name) ? known[name] : trustedValues(name, context)),
    request: (name) => (Object.hasOwn(known, name) ? known[name] : requestValues(name, context)),
  };
}

function trustedValues(name: string, { call, principal, authentication, clock }: ConditionContext): Values {
  switch (name) {
    case 'aws:sourceip':
      return [call.request.remoteAddress];
    case 'aws:securetransport':
      return [String(call.request.secure)];
    case 'aws:currenttime':
      return [new Date(clock.nowMs()).toISOString()];
    case 'aws:epochtime':
      return [String(Math.floor(clock.nowMs() / 1000))];
    case 'aws:principaltype':
      return [principalType(principal)];
    case 'aws:username':
    case 'aws:userid':
      return principal.kind === 'anonymous' ? undefined : [principal.account];
    case 'aws:groups':
      return principal.kind === 'anonymous' ? undefined : principal.groups;
    case 's3:authtype':
      return authType(authentication);
    case 's3:signatureversion':
      return signatureVersion(authentication);
    case 's3:signatureage':
      return signatureAge(authentication, clock.nowMs());
    case 'sts:durationseconds':
      return one(call.query.get('DurationSeconds'));
    default:
      return claimValues(name, principal);
  }
}

function principalType(principal: Principal): string {
  if (principal.kind === 'anonymous') return 'Anonymous';
  if (principal.source === 'root') return 'Account';
  return principal.kind === 'temporary' || principal.claims.size > 0 ? 'AssumedRole' : 'User';
}

function authType({ kind }: Authentication): Values {
  if (kind === 'anonymous') return undefined;
  if (kind.startsWith('header')) return ['REST-HEADER'];
  return kind.startsWith('form') ? ['POST'] : ['REST-QUERY-STRING'];
}

function signatureVersion({ kind }: Authentication): Values {
  if (kind === 'anonymous') return undefined;
  return [kind.endsWith('v4') ? 'AWS4-HMAC-SHA256' : 'AWS'];
}

function signatureAge(authentication: Authentication, nowMs: number): Values {
  if (authentication.kind === 'anonymous' || authentication.signedAtMs === null) return undefined;
  return [String(Math.max(0, nowMs - authentication.signedAtMs))];
}

/** `jwt:NAME` and `ldap:NAME`, each from credentials of that origin alone. */
function claimValues(name: string, principal: Principal): Values {
  if (principal.kind === 'anonymous') return undefined;
  const isLdap = principal.source === 'ldap';
  const prefix = isLdap ? 'ldap:' : 'jwt:';
  if (!name.startsWith(prefix)) return undefined;
  const wanted = name.slice(prefix.length);
  if (isReservedClaim(wanted)) return undefined;
  for (const [claim, value] of principal.claims) {
    if (policyName(claim, isLdap) !== wanted) continue;
    return typeof value === 'object' ? value.map(String) : [String(value)];
  }
  return isLdap && wanted === 'groups' ? principal.groups : undefined;
}

/** What tokens call `ldapUser` and `ldapAttrib_mail` is `ldap:user` and `ldap:mail` to policies. */
function policyName(claim: string, isLdap: boolean): string {
  const name = claim.toLowerCase();
  return isLdap ? name.replace(/^ldap(?:attrib_)?(?=.)/, '') : name;
}

/** Keys that are parameters of the query; every other one of S3 is a header. */
const parameters: Readonly<Record<string, string>> = {
  's3:prefix': 'prefix',
  's3:delimiter': 'delimiter',
  's3:max-keys': 'max-keys',
  's3:versionid': 'versionId',
};

function requestValues(name: string, { call: { request, query }, headers }: ConditionContext): Values {
  const parameter = parameters[name];
  if (parameter !== undefined) return one(query.get(parameter));
  if (name === 'aws:referer') return one(request.headers.get('referer'));
  if (name === 'aws:useragent') return one(request.headers.get('user-agent'));
  if (name.startsWith('s3:x-amz-')) return one(headers.get(name.slice('s3:'.length)));
  if (name.startsWith('s3:object-lock-')) return one(headers.get(`x-amz-${name.slice('s3:'.length)}`));
  if (name === 's3:requestobjecttagkeys') {
    const keys = [...tagsOf(headers.get('x-amz-tagging')).keys()];
    return keys.length === 0 ? undefined : keys;
  }
  if (name.startsWith('s3:requestobjecttag/')) {
    return one(tagsOf(headers.get('x-amz-tagging')).get(name.slice('s3:requestobjecttag/'.length)));
  }
  return undefined;
}

function one(value: string | null | undefined): Values {
  return value === undefined || value === null ? undefined : [value];
}

function tagsOf(header: string | undefined): ReadonlyMap<string, string> {
  return new Map(new URLSearchParams(header ?? ''));
}
