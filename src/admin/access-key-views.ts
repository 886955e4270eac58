/** Access keys and sessions as they are read. */
import type { AccessKeyInfo } from '../identity/index.js';
import { accountOf } from './account.js';
import { sealedJson } from './answer.js';
import type { AdminDeps } from './deps.js';
import { directoryUser } from './ldap-accounts.js';
import { openIdUserOf } from './openid-users.js';
import { adminError } from './errors.js';
import {
  adminOperation,
  anySigner,
  isNotDenied,
  mayAdmin,
  type AdminCall,
  type AdminOperation,
  type AdminRoute,
} from './operation.js';
import { documentOf } from './policies.js';
import { expiryText } from './time.js';

const infoServiceAccount = adminOperation({
  name: 'InfoServiceAccount',
  access: anySigner,
  handle: async (deps, call) => {
    const found = await visibleKey(deps, call, call.input.query('accessKey'), 'ListServiceAccounts');
    if (found?.kind !== 'service-account') {
      throw adminError('XMinioInvalidIAMCredentials', 'The access key does not exist.', 404);
    }
    return sealedJson(deps, call, describeKey(deps, found));
  },
});

const temporaryInfo = adminOperation({
  name: 'TemporaryAccountInfo',
  access: ['ListTemporaryAccounts'],
  handle: (deps, call) => {
    const found = deps.iam.accessKey(call.input.query('accessKey'));
    if (found?.kind !== 'temporary') {
      throw adminError('XMinioInvalidIAMCredentials', 'The access key does not exist.', 404);
    }
    return sealedJson(deps, call, { ...describeKey(deps, found), expiration: expiryText(found.expiresMs) });
  },
});

const infoAccessKey = adminOperation({
  name: 'InfoAccessKey',
  access: anySigner,
  handle: async (deps, call) => {
    const own = call.principal.kind === 'anonymous' ? '' : call.principal.accessKey;
    const accessKey = call.input.query('accessKey') || own;
    const found = await visibleKey(deps, call, accessKey, 'ListServiceAccounts');
    if (found === null) throw adminError('XMinioAdminNoSuchAccessKey');
    return sealedJson(deps, call, {
      AccessKey: found.accessKey,
      ...describeKey(deps, found),
      userType: found.kind === 'temporary' ? 'STS' : 'Service Account',
      userProvider: providerOf(found),
      ...(found.parentSource === 'openid' && { openIDSpecificInfo: openIdUserOf(deps, found) }),
      ...(found.parentSource === 'ldap' && { ldapSpecificInfo: { username: claimText(found, 'ldapUsername') } }),
    });
  },
});

const listServiceAccounts = adminOperation({
  name: 'ListServiceAccounts',
  access: (_deps, call) => {
    const isOwn = isOwnName(call, call.input.query('user'));
    return isOwn ? isNotDenied(call, 'ListServiceAccounts') : mayAdmin(call, 'ListServiceAccounts');
  },
  handle: async (deps, call) => {
    const user = call.input.query('user');
    const isForeign = !isOwnName(call, user) && user !== deps.rootAccessKey;
    const account = isOwnName(call, user)
      ? accountOf(call)
      : isForeign && deps.ldap !== null
        ? await directoryUser(deps, user)
        : user;
    const keys = deps.iam.accessKeysOf(account).filter(({ kind }) => kind === 'service-account');
    return sealedJson(deps, call, {
      // Clients follow the expiry without looking whether there is one.
      accounts: keys.map((key) => ({
        ...summary(key),
        accessKey: key.accessKey,
        expiration: expiryText(key.expiresMs),
      })),
    });
  },
});

const listTypes = ['users-only', 'sts-only', 'svcacc-only', 'all'] as const;

function bulkOperation(): AdminOperation {
  return adminOperation({
    name: 'ListAccessKeysBulk',
    access: async (_deps, call) => {
      if (call.input.flag('all')) {
        return (await mayAdmin(call, 'ListUsers')) && (await mayAdmin(call, 'ListServiceAccounts'));
      }
      const isOwn = call.input.queries('users').every((user) => isOwnName(call, user));
      return isOwn ? isNotDenied(call, 'ListServiceAccounts') : mayAdmin(call, 'ListServiceAccounts');
    },
    handle: (deps, call) => {
      const type = listTypeOf(call);
      const asked = call.input.queries('users').filter((user) => user !== '');
      const isAll = call.input.flag('all');
      if (isAll && asked.length > 0) throw adminError('InvalidRequest', 'Either users or all can be given.');
      const users = isAll ? everybody(deps) : asked.length > 0 ? asked : [accountOf(call)];
      const answer: Record<string, unknown> = {};
      for (const user of [...new Set(users)].sort()) {
        // Of one's own key, the account behind it.
        const account = isOwnName(call, user) ? accountOf(call) : user;
        if (!isAll && account !== deps.rootAccessKey && !isKnown(deps, account)) {
          throw adminError('XMinioAdminNoSuchUser');
        }
        const keys = keysOfType(deps, account, type);
        if (keys !== null) answer[account] = keys;
      }
      return sealedJson(deps, call, answer);
    },
  });
}

type ListType = (typeof listTypes)[number];

export function listTypeOf(call: AdminCall): ListType {
  const type = listTypes.find((name) => name === call.input.query('listType'));
  if (type === undefined) throw adminError('InvalidRequest', 'The listType is not known.');
  return type;
}

/** Null: nothing of one kind alone, so the account is left out. */
export function keysOfType({ iam }: AdminDeps, account: string, type: ListType) {
  const keys = iam.accessKeysOf(account);
  const serviceAccounts = listed(keys, 'service-account', type === 'all' || type === 'svcacc-only');
  const stsKeys = listed(keys, 'temporary', type === 'all' || type === 'sts-only');
  const isOfOneKind = type === 'svcacc-only' || type === 'sts-only';
  return isOfOneKind && serviceAccounts === null && stsKeys === null ? null : { serviceAccounts, stsKeys };
}

function everybody({ iam, rootAccessKey }: AdminDeps): string[] {
  return [rootAccessKey, ...iam.users().map(({ name }) => name)];
}

function isKnown({ iam }: AdminDeps, account: string): boolean {
  return iam.user(account) !== null || iam.accessKeysOf(account).length > 0;
}

/** Null: not asked for, or there are none. */
export function listed(keys: readonly AccessKeyInfo[], kind: AccessKeyInfo['kind'], isAsked: boolean) {
  const found = isAsked ? keys.filter((key) => key.kind === kind) : [];
  if (found.length === 0) return null;
  return found.map(({ accessKey, expiresMs }) => ({ accessKey, expiration: expiryText(expiresMs) }));
}

function isOwnName({ principal }: AdminCall, name: string): boolean {
  if (principal.kind === 'anonymous') return false;
  return name === '' || name === principal.accessKey || name === principal.account;
}

/** Null also for a key that there is, when it is not for the signer to know. */
async function visibleKey(
  deps: AdminDeps,
  call: AdminCall,
  accessKey: string,
  action: string,
): Promise<AccessKeyInfo | null> {
  const found = deps.iam.accessKey(accessKey);
  const isOwn = found !== null && found.parent === accountOf(call) && (await isNotDenied(call, action));
  if (isOwn) return found;
  if (await mayAdmin(call, action)) return found;
  if (found?.kind === 'temporary' && (await mayAdmin(call, 'ListTemporaryAccounts'))) return found;
  throw adminError('AccessDenied');
}

function summary({ parent, status, policy, name, description, expiresMs }: AccessKeyInfo) {
  return {
    parentUser: parent,
    accountStatus: status === 'enabled' ? 'on' : 'off',
    impliedPolicy: policy === null,
    ...(name !== '' && { name }),
    ...(description !== '' && { description }),
    ...(expiresMs !== null && { expiration: expiryText(expiresMs) }),
  };
}

/** With the policy that counts: the embedded one, or what the parent has. */
function describeKey(deps: AdminDeps, key: AccessKeyInfo) {
  const document = key.policy === null ? parentPolicy(deps, key) : documentOf(key.policy);
  return { ...summary(key), policy: JSON.stringify(document, null, 1) };
}

function claimText({ claims }: AccessKeyInfo, name: string): string {
  const value = claims.get(name);
  return typeof value === 'string' ? value : '';
}

function parentPolicy({ iam, rootAccessKey }: AdminDeps, key: AccessKeyInfo): unknown {
  const { parent, parentSource, groups } = key;
  const names = new Set<string>();
  if (parentSource === 'openid') for (const name of iam.policyNamesOf(key)) names.add(name);
  if (parentSource === 'ldap') {
    for (const name of iam.attachedPolicies({ kind: 'ldap-user', name: parent })) names.add(name);
    for (const group of groups) {
      for (const name of iam.attachedPolicies({ kind: 'ldap-group', name: group })) names.add(name);
    }
  }
  const user = iam.user(parent);
  for (const name of user?.policies ?? []) names.add(name);
  for (const group of user?.groups ?? []) {
    const found = iam.group(group);
    if (found?.status === 'enabled') for (const name of found.policies) names.add(name);
  }
  if (parent === rootAccessKey) names.add('consoleAdmin');
  const statements = [...names].flatMap((name) => {
    const policy = iam.policy(name)?.policy;
    const document = policy === undefined ? null : (documentOf(policy) as { Statement?: unknown });
    return Array.isArray(document?.Statement) ? (document.Statement as unknown[]) : [];
  });
  return { Version: '2012-10-17', Statement: statements };
}

function providerOf({ parentSource }: AccessKeyInfo): string {
  switch (parentSource) {
    case 'root':
    case 'internal':
      return 'builtin';
    case 'certificate':
      return 'tls';
    case 'plugin':
      return 'custom';
    case 'openid':
    case 'ldap':
      return parentSource;
  }
}

export const accessKeyViewRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'info-service-account', query: ['accessKey'], operation: infoServiceAccount },
  { method: 'GET', path: 'temporary-account-info', query: ['accessKey'], operation: temporaryInfo },
  { method: 'GET', path: 'info-access-key', query: ['accessKey'], operation: infoAccessKey },
  { method: 'GET', path: 'list-service-accounts', operation: listServiceAccounts },
  { method: 'GET', path: 'list-access-keys-bulk', query: ['listType'], operation: bulkOperation() },
];
