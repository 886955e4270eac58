/** Groups of Microsoft Entra ID among those that policies are attached to: names on the outside, object ids within. */
import { isObjectId, IamRefusal, type PolicyEntities, type PolicyHolder } from '../identity/index.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';

type Deps = Pick<AdminDeps, 'iam' | 'directories'>;

interface Question {
  readonly users: readonly string[];
  readonly groups: readonly string[];
  readonly policies: readonly string[];
}

/** Null: no tenant has such a group. Throws when there are several, or a tenant does not say. */
export async function entraGroup(
  { iam, directories }: Deps,
  name: string,
  change: 'attach' | 'detach',
): Promise<PolicyHolder | null> {
  const holder = (id: string): PolicyHolder => ({ kind: 'entra-group', name: id });
  if (isObjectId(name) && change === 'detach') {
    const id = name.toLowerCase();
    const { groups } = iam.entities({ users: [], groups: [id], policies: [], directory: 'entra' });
    // It may be gone from the directory.
    if (groups.length > 0) return holder(id);
  }
  const found = new Set<string>();
  for (const directory of directories.values()) {
    try {
      found.add(await directory.groupId(name));
    } catch (error) {
      if (!(error instanceof IamRefusal) || error.code !== 'XMinioAdminNoSuchGroup') throw error;
    }
  }
  const [id, ...others] = found;
  if (others.length > 0) {
    throw adminError('XMinioAdminInvalidArgument', `Several tenants have a group "${name}": name it by its object id.`);
  }
  return id === undefined ? null : holder(id);
}

/** What is attached to accounts and groups of this server and to groups of Entra ID, these by their names. */
export async function withEntraGroups(deps: Deps, question: Question): Promise<PolicyEntities> {
  const { iam, directories } = deps;
  const internal = iam.entities({ ...question, directory: 'internal' });
  if (directories.size === 0) return internal;
  const asked = await Promise.all(question.groups.map((name) => idOf(deps, name)));
  const entra = entraEntities(deps, {
    users: [],
    groups: asked.flatMap((id) => id ?? []),
    policies: question.policies,
  });
  if (question.users.length + question.groups.length + question.policies.length > 0) {
    // Not asked about at all would mean everything.
    if (asked.every((id) => id === null) && question.policies.length === 0) return internal;
  }
  const names = await namesOf(deps, [
    ...entra.groups.map(({ group }) => group),
    ...entra.policies.flatMap(({ groups }) => groups),
  ]);
  const named = (id: string): string => names.get(id) || id;
  const policies = new Map(internal.policies.map((mapping) => [mapping.policy, mapping]));
  for (const { policy, groups } of entra.policies) {
    const known = policies.get(policy) ?? { policy, users: [], groups: [] };
    policies.set(policy, { ...known, groups: [...known.groups, ...groups.map(named)].sort() });
  }
  return {
    users: internal.users,
    groups: [...internal.groups, ...entra.groups.map((mapping) => ({ ...mapping, group: named(mapping.group) }))],
    policies: [...policies.values()].sort((left, right) => (left.policy < right.policy ? -1 : 1)),
  };
}

/** What is attached, and the policies that apply because they are named after a group. */
function entraEntities({ iam }: Deps, question: Question): PolicyEntities {
  const attached = iam.entities({ ...question, directory: 'entra' });
  const isAll = question.groups.length + question.policies.length === 0;
  const own = iam.policies().flatMap(({ name }) => (isObjectId(name) ? [name] : []));
  const groups = new Map(attached.groups.map((mapping) => [mapping.group, mapping]));
  for (const id of own.filter((name) => isAll || question.groups.includes(name))) {
    const known = groups.get(id)?.policies ?? [];
    groups.set(id, { group: id, policies: [id, ...known] });
  }
  const policies = new Map(attached.policies.map((mapping) => [mapping.policy, mapping]));
  for (const id of own.filter((name) => isAll || question.policies.includes(name))) {
    const known = policies.get(id)?.groups ?? [];
    policies.set(id, { policy: id, users: [], groups: [id, ...known] });
  }
  return { users: [], groups: [...groups.values()], policies: [...policies.values()] };
}

async function idOf(deps: Deps, name: string): Promise<string | null> {
  if (deps.iam.group(name) !== null) return null;
  if (isObjectId(name)) return name.toLowerCase();
  return (await entraGroup(deps, name, 'detach'))?.name ?? null;
}

/** A tenant that does not answer leaves ids: what is attached can be seen all the same. */
async function namesOf({ directories }: Deps, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const distinct = [...new Set(ids)];
  for (const directory of directories.values()) {
    try {
      for (const [id, name] of await directory.groupNames(distinct)) names.set(id, name);
    } catch (error) {
      if (!(error instanceof IamRefusal)) throw error;
    }
  }
  return names;
}
