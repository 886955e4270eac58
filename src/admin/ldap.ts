/** Accounts of the directory: `mc idp ldap policy` and `mc idp ldap accesskey`. Names are DNs or login names. */
import type { PolicyEntities } from '../identity/index.js';
import { keysOfType, listTypeOf } from './access-key-views.js';
import { createAccessKey, isOwnName, parentInDirectory } from './access-keys.js';
import { accountOf } from './account.js';
import { sealedJson } from './answer.js';
import { describeEntities, holderOf, splitNames } from './attachments.js';
import { badJson, listField, sealedObject, textField } from './body.js';
import type { AdminDeps } from './deps.js';
import { askDirectory, directoryUser, holderHere, holderInDirectory, requireDirectory } from './ldap-accounts.js';
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
import { timeText } from './time.js';

/** Names in one request: each may be a question to the directory. */
const namesMax = 1000;

function changeOperation(change: 'attach' | 'detach'): AdminOperation {
  return adminOperation({
    name: change === 'attach' ? 'AttachPolicyLDAP' : 'DetachPolicyLDAP',
    access: ['UpdatePolicyAssociation'],
    handle: async (deps, call) => {
      if (call.request.headers.get('content-type') !== 'application/octet-stream') throw adminError('BadRequest');
      requireDirectory(deps);
      const body = await sealedObject(deps, call);
      const named = holderOf(textField(body, 'user'), textField(body, 'group'));
      const policies = splitNames(listField(body, 'policies'));
      if (policies.length === 0) throw badJson();
      const holder = await (change === 'attach' ? holderInDirectory(deps, named) : holderHere(deps, named));
      const { changed, updatedMs } = await deps.iam[change](holder, policies);
      return sealedJson(deps, call, {
        [change === 'attach' ? 'policiesAttached' : 'policiesDetached']: changed,
        updatedAt: timeText(updatedMs),
      });
    },
  });
}

const entities = adminOperation({
  name: 'ListLDAPPolicyMappingEntities',
  access: ['ListGroups', 'ListUsers', 'ListUserPolicies'],
  handle: async (deps, call) => {
    const directory = requireDirectory(deps);
    const names = named(call, 'user');
    const users = await Promise.all(names.map((name) => directoryUser(deps, name)));
    const groups = named(call, 'group').map((name) => directory.normalise(name) ?? name);
    const found = deps.iam.entities({
      ...{ users, groups, policies: splitNames(call.input.queries('policy')), directory: 'ldap' },
    });
    const withGroups = users.length === 0 ? found.users : await Promise.all(users.map((dn) => userEntity(deps, dn)));
    const described: PolicyEntities = {
      users: withGroups
        .filter((user) => user.policies.length + user.groups.length > 0)
        .map((user) => ({
          user: directory.readable(user.user),
          policies: user.policies,
          groups: user.groups.map(({ group, policies }) => ({ group: directory.readable(group), policies })),
        })),
      groups: found.groups.map(({ group, policies }) => ({ group: directory.readable(group), policies })),
      policies: found.policies.map((mapping) => ({
        policy: mapping.policy,
        users: mapping.users.map((dn) => directory.readable(dn)),
        groups: mapping.groups.map((dn) => directory.readable(dn)),
      })),
    };
    return sealedJson(deps, call, describeEntities(deps, described));
  },
});

/** What is attached to the user, and to which of its groups. */
async function userEntity(deps: AdminDeps, dn: string): Promise<PolicyEntities['users'][number]> {
  const { iam } = deps;
  const account = await askDirectory(deps, (directory) => directory.user(dn));
  const groups = (account?.groups ?? [])
    .map((group) => ({ group, policies: iam.attachedPolicies({ kind: 'ldap-group', name: group }) }))
    .filter(({ policies }) => policies.length > 0);
  return { user: dn, policies: iam.attachedPolicies({ kind: 'ldap-user', name: dn }), groups };
}

const addAccessKey = adminOperation({
  name: 'AddServiceAccountLDAP',
  // For whom it is is in the body: decided in `createAccessKey`.
  access: anySigner,
  handle: async (deps, call) => {
    if (!(await isNotDenied(call, 'CreateServiceAccount'))) throw adminError('AccessDenied');
    return createAccessKey(deps, call, await sealedObject(deps, call), parentOf);
  },
});

/** An account of the directory, be it the signer's own: keys of others are made elsewhere. */
async function parentOf(deps: AdminDeps, call: AdminCall, target: string) {
  const { principal } = call;
  if (principal.kind === 'anonymous') throw adminError('AccessDenied');
  requireDirectory(deps);
  if (!isOwnName(call, target)) return parentInDirectory(deps, target);
  if (principal.source !== 'ldap') {
    throw adminError('XMinioAdminNoSuchUser', 'The signer is no user of the directory: name one.');
  }
  return { account: principal.account, source: principal.source, isOwn: true };
}

const listBulk = adminOperation({
  name: 'ListAccessKeysLDAPBulk',
  access: async (_deps, call) => {
    if (call.input.flag('all')) {
      return (await mayAdmin(call, 'ListUsers')) && (await mayAdmin(call, 'ListServiceAccounts'));
    }
    return mayList(call, call.input.queries('userDNs'));
  },
  handle: async (deps, call) => {
    const directory = requireDirectory(deps);
    const type = listTypeOf(call);
    const asked = named(call, 'userDNs');
    const isAll = call.input.flag('all');
    if (isAll && asked.length > 0) throw adminError('InvalidRequest', 'Either userDNs or all can be given.');
    const accounts = isAll ? everybody(deps) : await resolved(deps, call, asked);
    const answer: Record<string, unknown> = {};
    for (const account of accounts) {
      const keys = keysOfType(deps, account, type);
      if (keys !== null) answer[directory.readable(account)] = keys;
    }
    return sealedJson(deps, call, answer);
  },
});

const listOne = adminOperation({
  name: 'ListAccessKeysLDAP',
  access: (_deps, call) => mayList(call, [call.input.query('userDN')]),
  handle: async (deps, call) => {
    requireDirectory(deps);
    const type = listTypeOf(call);
    const [account = ''] = await resolved(deps, call, [call.input.query('userDN')]);
    return sealedJson(deps, call, keysOfType(deps, account, type) ?? { serviceAccounts: null, stsKeys: null });
  },
});

function mayList(call: AdminCall, names: readonly string[]) {
  const isOwn = names.every((name) => isOwnName(call, name));
  return isOwn ? isNotDenied(call, 'ListServiceAccounts') : mayAdmin(call, 'ListServiceAccounts');
}

/** Nobody named: the signer. */
async function resolved(deps: AdminDeps, call: AdminCall, names: readonly string[]): Promise<readonly string[]> {
  const asked = names.length === 0 ? [''] : names;
  const accounts = await Promise.all(
    asked.map(async (name) => (isOwnName(call, name) ? accountOf(call) : directoryUser(deps, name))),
  );
  return [...new Set(accounts)].sort();
}

/** Who has keys, sessions or policies here: the directory itself is not listed. */
function everybody({ iam }: AdminDeps): readonly string[] {
  const mapped = iam.entities({ users: [], groups: [], policies: [], directory: 'ldap' }).users;
  const accounts = iam.externalAccounts('ldap').map(({ account }) => account);
  return [...new Set([...mapped.map(({ user }) => user), ...accounts])].sort();
}

function named(call: AdminCall, name: string): readonly string[] {
  const names = call.input.queries(name).filter((text) => text !== '');
  if (names.length > namesMax) throw adminError('InvalidRequest', `At most ${namesMax} names can be given.`);
  return [...new Set(names)];
}

export const ldapRoutes: readonly AdminRoute[] = [
  { method: 'POST', path: 'idp/ldap/policy/attach', operation: changeOperation('attach') },
  { method: 'POST', path: 'idp/ldap/policy/detach', operation: changeOperation('detach') },
  { method: 'GET', path: 'idp/ldap/policy-entities', operation: entities },
  { method: 'PUT', path: 'idp/ldap/add-service-account', operation: addAccessKey },
  { method: 'GET', path: 'idp/ldap/list-access-keys', query: ['userDN', 'listType'], operation: listOne },
  { method: 'GET', path: 'idp/ldap/list-access-keys-bulk', query: ['listType'], operation: listBulk },
];
