/** Who has which policies: `mc admin policy attach`, `detach`, `entities`, and the older `set`. */
import type { PolicyEntities, PolicyHolder } from '../identity/index.js';
import { emptyAnswer, sealedJson } from './answer.js';
import { badJson, listField, sealedObject, textField } from './body.js';
import type { AdminDeps } from './deps.js';
import { entraGroup, withEntraGroups } from './entra-groups.js';
import { adminError } from './errors.js';
import { holderInDirectory } from './ldap-accounts.js';
import { adminOperation, type AdminOperation, type AdminRoute } from './operation.js';
import { timeText } from './time.js';

const associationActions = ['UpdatePolicyAssociation', 'AttachUserOrGroupPolicy'];

function changeOperation(change: 'attach' | 'detach'): AdminOperation {
  return adminOperation({
    name: change === 'attach' ? 'AttachPolicy' : 'DetachPolicy',
    access: associationActions,
    handle: async (deps, call) => {
      if (call.request.headers.get('content-type') !== 'application/octet-stream') throw adminError('BadRequest');
      const body = await sealedObject(deps, call);
      const named = holderOf(textField(body, 'user'), textField(body, 'group'));
      const policies = splitNames(listField(body, 'policies'));
      if (policies.length === 0) throw badJson();
      const holder = await findHolder(deps, named, change);
      const { changed, updatedMs } = await deps.iam[change](holder, policies);
      return sealedJson(deps, call, {
        [change === 'attach' ? 'policiesAttached' : 'policiesDetached']: changed,
        updatedAt: timeText(updatedMs),
      });
    },
  });
}

const setPolicies = adminOperation({
  name: 'SetPolicyForUserOrGroup',
  access: ['AttachUserOrGroupPolicy'],
  handle: async (deps, call) => {
    const name = call.input.query('userOrGroup');
    const isGroup = call.input.flag('isGroup');
    const holder = await holderToSet(deps, { kind: isGroup ? 'group' : 'user', name });
    await deps.iam.setPolicies(holder, splitNames([call.input.query('policyName')]));
    return emptyAnswer();
  },
});

const entities = adminOperation({
  name: 'ListPolicyMappingEntities',
  access: ['ListGroups', 'ListUsers', 'ListUserPolicies'],
  handle: async (deps, call) => {
    const { users, groups, policies } = await withEntraGroups(deps, {
      users: call.input.queries('user'),
      groups: call.input.queries('group'),
      policies: splitNames(call.input.queries('policy')),
    });
    return sealedJson(deps, call, describeEntities(deps, { users, groups, policies }));
  },
});

export function describeEntities({ clock }: Pick<AdminDeps, 'clock'>, { users, groups, policies }: PolicyEntities) {
  return {
    timestamp: timeText(clock.nowMs()),
    ...(users.length > 0 && {
      userMappings: users.map((mapping) => ({
        user: mapping.user,
        policies: mapping.policies,
        ...(mapping.groups.length > 0 && { memberOfMappings: mapping.groups }),
      })),
    }),
    ...(groups.length > 0 && { groupMappings: groups }),
    ...(policies.length > 0 && { policyMappings: policies }),
  };
}

/** Each element may be a list with commas itself: clients pass on what they were given. */
export function splitNames(texts: readonly string[]): string[] {
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))];
}

export function holderOf(user: string, group: string): PolicyHolder {
  if ((user === '') === (group === '')) throw badJson();
  return user !== '' ? { kind: 'user', name: user } : { kind: 'group', name: group };
}

/** With a directory of LDAP, names are its: they are stored as normalised DNs. */
async function holderToSet(deps: AdminDeps, named: PolicyHolder): Promise<PolicyHolder> {
  const { ldap, iam, rootAccessKey } = deps;
  const isOfServer = named.name === rootAccessKey || iam.accessKey(named.name) !== null;
  return ldap === null || isOfServer ? findHolder(deps, named, 'attach') : holderInDirectory(deps, named);
}

/** Groups of this server first, then those of Entra ID, by name or object id. */
async function findHolder(deps: AdminDeps, named: PolicyHolder, change: 'attach' | 'detach'): Promise<PolicyHolder> {
  const { iam, rootAccessKey } = deps;
  const { kind, name } = named;
  if (kind === 'group') {
    if (iam.group(name) !== null) return named;
    const found = await entraGroup(deps, name, change);
    if (found === null) throw adminError('XMinioAdminNoSuchGroup');
    return found;
  }
  // Root may do everything; an access key has the policies of its parent.
  if (name === rootAccessKey || iam.accessKey(name) !== null) throw adminError('XMinioIAMActionNotAllowed');
  if (iam.user(name) !== null) return named;
  const hint = 'The specified user does not exist. For users of the directory: mc idp ldap policy attach.';
  throw adminError('XMinioAdminNoSuchUser', deps.ldap === null ? undefined : hint);
}

export const attachmentRoutes: readonly AdminRoute[] = [
  { method: 'POST', path: 'idp/builtin/policy/attach', operation: changeOperation('attach') },
  { method: 'POST', path: 'idp/builtin/policy/detach', operation: changeOperation('detach') },
  { method: 'GET', path: 'idp/builtin/policy-entities', operation: entities },
  {
    method: 'PUT',
    path: 'set-user-or-group-policy',
    query: ['policyName', 'userOrGroup', 'isGroup'],
    operation: setPolicies,
  },
];
