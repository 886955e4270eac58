/** Groups: `mc admin group`. */
import { emptyAnswer, jsonAnswer } from './answer.js';
import type { AdminDeps } from './deps.js';
import { badJson, flagField, listField, parseObject, plainBody, textField } from './body.js';
import { adminError } from './errors.js';
import { adminOperation, type AdminRoute } from './operation.js';
import { timeText } from './time.js';
import { statusOf } from './users.js';

const updateMembers = adminOperation({
  name: 'UpdateGroupMembers',
  access: ['AddUserToGroup'],
  handle: async (deps, call) => {
    const body = parseObject(await plainBody(call));
    const group = textField(body, 'group');
    const members = listField(body, 'members');
    if (group === '') throw badJson();
    if (flagField(body, 'isRemove')) {
      await deps.iam.removeFromGroup(group, members);
      return emptyAnswer();
    }
    if (group !== group.trim()) throw adminError('XMinioInvalidResource');
    for (const member of members) {
      // Derived credentials have the groups of their account.
      if (member === deps.rootAccessKey || deps.iam.accessKey(member) !== null) {
        throw adminError('XMinioIAMActionNotAllowed');
      }
    }
    await deps.iam.addToGroup(group, members);
    const status = textField(body, 'groupStatus');
    if (status !== '' && deps.iam.group(group)?.status !== statusOf(status)) {
      await deps.iam.setGroupStatus(group, statusOf(status));
    }
    return emptyAnswer();
  },
});

const getGroup = adminOperation({
  name: 'GetGroup',
  access: ['GetGroup'],
  handle: (deps, call) => {
    const name = call.input.query('group');
    const group = deps.iam.group(name);
    const dn = group === null ? (deps.ldap?.normalise(name) ?? null) : null;
    if (dn !== null) return jsonAnswer(describeOfDirectory(deps, dn));
    if (group === null) throw adminError('XMinioAdminNoSuchGroup');
    return jsonAnswer({
      name: group.name,
      status: group.status,
      members: group.members,
      policy: group.policies.join(','),
      updatedAt: timeText(group.updatedMs),
    });
  },
});

const listGroups = adminOperation({
  name: 'ListGroups',
  access: ['ListGroups'],
  handle: (deps) => jsonAnswer([...deps.iam.groups().map(({ name }) => name), ...directoryGroups(deps)]),
});

const setGroupStatus = adminOperation({
  name: 'SetGroupStatus',
  access: ['EnableGroup'],
  handle: async (deps, call) => {
    const status = call.input.query('status');
    if (status !== 'enabled' && status !== 'disabled') throw adminError('XMinioAdminInvalidArgument');
    await deps.iam.setGroupStatus(call.input.query('group'), status);
    return emptyAnswer();
  },
});

/** Those that have policies here. */
function directoryGroups({ iam, ldap }: AdminDeps): readonly string[] {
  if (ldap === null) return [];
  const { groups } = iam.entities({ users: [], groups: [], policies: [], directory: 'ldap' });
  return groups.map(({ group }) => ldap.readable(group));
}

/** Who its members are is for the directory to say. */
function describeOfDirectory({ iam, ldap }: AdminDeps, dn: string) {
  const holder = { kind: 'ldap-group', name: dn } as const;
  return {
    name: ldap?.readable(dn) ?? dn,
    status: '',
    members: [],
    policy: iam.attachedPolicies(holder).join(','),
    updatedAt: timeText(iam.mappingUpdatedMs(holder)),
  };
}

export const groupRoutes: readonly AdminRoute[] = [
  { method: 'PUT', path: 'update-group-members', operation: updateMembers },
  { method: 'GET', path: 'group', query: ['group'], operation: getGroup },
  { method: 'GET', path: 'groups', operation: listGroups },
  { method: 'PUT', path: 'set-group-status', query: ['group', 'status'], operation: setGroupStatus },
];
