/**
 * Policies of groups of Microsoft Entra ID, by the names that people know the groups by. They are policies as any
 * other; the name of one is the group's object id.
 */
import { isObjectId, type GroupDirectory } from '../identity/index.js';
import { emptyAnswer, jsonAnswer } from './answer.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { adminOperation, type AdminCall, type AdminRoute } from './operation.js';
import { describePolicy, policyBody } from './policies.js';

const defaultProvider = '_';
/** Of a display name in Entra ID. */
const groupNameCharsMax = 256;

const addPolicy = adminOperation({
  name: 'AddAzureCannedPolicy',
  access: ['CreatePolicy'],
  handle: async (deps, call) => {
    const policy = await policyBody(call);
    await deps.iam.setPolicy(await directoryOf(deps, call).groupId(groupNameOf(call)), policy);
    return emptyAnswer();
  },
});

const removePolicy = adminOperation({
  name: 'RemoveAzureCannedPolicy',
  access: ['DeletePolicy'],
  handle: async (deps, call) => {
    await deps.iam.removePolicy(await policyNameOf(deps, call));
    return emptyAnswer();
  },
});

const policyInfo = adminOperation({
  name: 'InfoAzureCannedPolicy',
  access: ['GetPolicy'],
  handle: async (deps, call) => {
    const id = await policyNameOf(deps, call);
    const found = deps.iam.policy(id);
    if (found === null) throw adminError('XMinioAdminNoSuchPolicy');
    const names = await directoryOf(deps, call).groupNames([id]);
    return jsonAnswer({ GroupName: names.get(id) ?? '', PI: describePolicy(found) });
  },
});

const listPolicies = adminOperation({
  name: 'ListAzureCannedPolicies',
  access: ['ListUserPolicies'],
  handle: async (deps, call) => {
    const found = deps.iam.policies().filter(({ name }) => isObjectId(name));
    const names = await directoryOf(deps, call).groupNames(found.map(({ name }) => name));
    const isShown = (name: string): boolean => names.has(name) || call.input.flag('getAllUUIDs');
    return jsonAnswer(
      found
        .filter(({ name }) => isShown(name))
        .map((policy) => ({ GroupName: names.get(policy.name) ?? '', PI: describePolicy(policy) })),
    );
  },
});

function directoryOf({ directories }: AdminDeps, call: AdminCall): GroupDirectory {
  const provider = call.input.query('configName') || defaultProvider;
  const directory = directories.get(provider);
  if (directory !== undefined) return directory;
  throw adminError(
    'XMinioAdminNoSuchConfigTarget',
    `No OpenID provider "${provider}" with azure_tenant_id is set up: name one in configName.`,
  );
}

function groupNameOf(call: AdminCall): string {
  const name = call.input.query('name');
  if (name.trim() === '' || name.length > groupNameCharsMax || /[\p{Cc}\p{Cs}]/u.test(name)) {
    throw adminError('XMinioInvalidResource', 'The group name is empty, too long, or has control characters.');
  }
  return name;
}

/** A group that is gone still has its policy, under its id. */
async function policyNameOf(deps: AdminDeps, call: AdminCall): Promise<string> {
  const directory = directoryOf(deps, call);
  const name = groupNameOf(call);
  if (!isObjectId(name)) return directory.groupId(name);
  return deps.iam.policy(name) === null ? name.toLowerCase() : name;
}

export const azurePolicyRoutes: readonly AdminRoute[] = [
  {
    method: 'PUT',
    path: 'idp/openid/add-azure-canned-policy',
    query: ['name'],
    isAlsoV4: true,
    operation: addPolicy,
  },
  {
    method: 'DELETE',
    path: 'idp/openid/remove-azure-canned-policy',
    query: ['name'],
    isAlsoV4: true,
    operation: removePolicy,
  },
  {
    method: 'GET',
    path: 'idp/openid/info-azure-canned-policy',
    query: ['name'],
    isAlsoV4: true,
    operation: policyInfo,
  },
  {
    method: 'GET',
    path: 'idp/openid/list-azure-canned-policies',
    isAlsoV4: true,
    operation: listPolicies,
  },
];
