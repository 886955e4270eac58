/** Users: `mc admin user`. */
import type { AccountStatus, UserInfo } from '../identity/index.js';
import { emptyAnswer, jsonAnswer, sealedJson } from './answer.js';
import { sealedObject, textField } from './body.js';
import type { AdminDeps } from './deps.js';
import { askDirectory, directoryUser, requireDirectory } from './ldap-accounts.js';
import { adminError } from './errors.js';
import { accountOf, isOwnAccount } from './account.js';
import { adminOperation, isNotDenied, mayAdmin, type AdminRoute } from './operation.js';
import { timeText } from './time.js';

const addUser = adminOperation({
  name: 'AddUser',
  access: (_deps, call) => {
    const isOwn = isOwnAccount(call, call.input.query('accessKey'));
    return isOwn ? isNotDenied(call, 'CreateUser') : mayAdmin(call, 'CreateUser');
  },
  handle: async (deps, call) => {
    const name = call.input.query('accessKey');
    const body = await sealedObject(deps, call);
    const { principal } = call;
    if (name === deps.rootAccessKey) throw adminError('XMinioInvalidIAMCredentials');
    // Whoever holds a derived credential cannot take over the account it hangs from.
    if (principal.kind !== 'anonymous' && name === accountOf(call) && principal.accessKey !== name) {
      throw adminError('XMinioInvalidIAMCredentials');
    }
    if (deps.iam.accessKey(name) !== null) throw adminError('XMinioInvalidIAMCredentials');
    if (name !== name.trim()) throw adminError('XMinioInvalidResource');
    const existing = deps.iam.user(name);
    // Without the action, an account may change its own secret and nothing else.
    const isOwn = isOwnAccount(call, name);
    const status = isOwn && existing !== null ? existing.status : statusOf(textField(body, 'status'));
    // A policy in the body is not honoured: attaching is an action of its own.
    await deps.iam.setUser(name, { secretKey: textField(body, 'secretKey'), status });
    return emptyAnswer();
  },
});

const removeUser = adminOperation({
  name: 'RemoveUser',
  access: ['DeleteUser'],
  handle: async (deps, call) => {
    const name = call.input.query('accessKey');
    refuseDerived(deps.iam.accessKey(name) !== null || name === deps.rootAccessKey);
    if (isOwnAccount(call, name)) throw adminError('XMinioIAMActionNotAllowed', 'An account cannot remove itself.');
    await deps.iam.removeUser(name);
    return emptyAnswer();
  },
});

const listUsers = adminOperation({
  name: 'ListUsers',
  access: ['ListUsers'],
  handle: (deps, call) => {
    const users = Object.fromEntries([
      ...deps.iam.users().map((user) => [user.name, describeUser(user)] as const),
      ...directoryUsers(deps),
    ]);
    return sealedJson(deps, call, users);
  },
});

const userInfo = adminOperation({
  name: 'GetUserInfo',
  access: (_deps, call) =>
    isOwnAccount(call, call.input.query('accessKey')) ? isNotDenied(call, 'GetUser') : mayAdmin(call, 'GetUser'),
  handle: async (deps, call) => {
    const name = call.input.query('accessKey');
    const user = deps.iam.user(name);
    if (user !== null) return jsonAnswer(describeUser(user));
    if (deps.ldap === null) throw adminError('XMinioAdminNoSuchUser');
    return jsonAnswer(await describeOfDirectory(deps, name));
  },
});

const setUserStatus = adminOperation({
  name: 'SetUserStatus',
  access: ['EnableUser'],
  handle: async (deps, call) => {
    const name = call.input.query('accessKey');
    const status = call.input.query('status');
    if (isOwnAccount(call, name)) throw adminError('XMinioAdminInvalidArgument');
    refuseDerived(deps.iam.accessKey(name) !== null || name === deps.rootAccessKey);
    if (status !== 'enabled' && status !== 'disabled') throw adminError('XMinioAdminInvalidArgument');
    await deps.iam.setUserStatus(name, status);
    return emptyAnswer();
  },
});

function refuseDerived(isDerived: boolean): void {
  if (isDerived) throw adminError('XMinioIAMActionNotAllowed');
}

export function statusOf(text: string): AccountStatus {
  return text === 'enabled' || text === 'on' ? 'enabled' : 'disabled';
}

function describeUser({ status, policies, groups, updatedMs }: UserInfo) {
  return {
    ...(policies.length > 0 && { policyName: policies.join(',') }),
    status,
    ...(groups.length > 0 && { memberOf: groups }),
    updatedAt: timeText(policies.length === 0 ? null : updatedMs),
  };
}

/** Those that have policies here: nobody lists the directory. */
function directoryUsers({ iam, ldap }: AdminDeps): (readonly [string, unknown])[] {
  if (ldap === null) return [];
  const { users } = iam.entities({ users: [], groups: [], policies: [], directory: 'ldap' });
  return users.map(({ user, policies }) => [
    ldap.readable(user),
    { policyName: policies.join(','), status: 'enabled', updatedAt: timeText(mappedMs(iam, user)) },
  ]);
}

function mappedMs(iam: AdminDeps['iam'], dn: string): number | null {
  return iam.mappingUpdatedMs({ kind: 'ldap-user', name: dn });
}

/** Whether somebody of the directory is enabled is for the directory to say. */
async function describeOfDirectory(deps: AdminDeps, name: string) {
  const account = await directoryUser(deps, name);
  const policies = deps.iam.attachedPolicies({ kind: 'ldap-user', name: account });
  const groups = (await askDirectory(deps, (directory) => directory.user(account)))?.groups ?? [];
  const readable = requireDirectory(deps).readable(account);
  return {
    userAuthInfo: { type: 'ldap', authServerUserID: readable },
    ...(policies.length > 0 && { policyName: policies.join(',') }),
    status: '',
    ...(groups.length > 0 && { memberOf: groups }),
    updatedAt: timeText(mappedMs(deps.iam, account)),
  };
}

export const userRoutes: readonly AdminRoute[] = [
  { method: 'PUT', path: 'add-user', query: ['accessKey'], operation: addUser },
  { method: 'DELETE', path: 'remove-user', query: ['accessKey'], operation: removeUser },
  { method: 'GET', path: 'list-users', operation: listUsers },
  { method: 'GET', path: 'user-info', query: ['accessKey'], operation: userInfo },
  { method: 'PUT', path: 'set-user-status', query: ['accessKey', 'status'], operation: setUserStatus },
];
