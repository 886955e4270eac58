/** Users and groups of an Entra ID tenant, as Microsoft Graph tells them. Rejects with GraphError. */
import { z } from 'zod';
import { invariant, limits } from '../../base/index.js';
import { isObjectId } from './entra-settings.js';
import { GraphError } from './graph-error.js';
import type { GraphAnswer, GraphTransport } from './graph-transport.js';

export interface GraphGroup {
  readonly id: string;
  /** Empty: Graph does not show it. */
  readonly name: string;
}

export type GraphUser =
  | { readonly state: 'gone' | 'disabled' }
  /** Object ids of all groups, also those that it is in through others; sorted. */
  | { readonly state: 'enabled'; readonly groups: readonly string[] };

const objectId = z
  .string()
  .refine(isObjectId)
  .transform((id) => id.toLowerCase());
const idList = z.object({ value: z.array(objectId).max(limits.graph.groups) });
const group = z.object({ id: objectId, displayName: z.string().max(1024).nullish() });
const groupPage = z.object({
  value: z.array(group).max(limits.graph.idsAtOnce),
  '@odata.nextLink': z.string().max(16_384).optional(),
});
const account = z.object({ accountEnabled: z.boolean() });

/** What an administrator has to grant, and the wider permissions that do as well. */
const permissions = {
  'User.Read.All': ['User.Read.All', 'User.ReadWrite.All', 'Directory.Read.All', 'Directory.ReadWrite.All'],
  'Group.Read.All': [
    ...['Group.Read.All', 'Group.ReadWrite.All', 'GroupMember.Read.All'],
    ...['Directory.Read.All', 'Directory.ReadWrite.All'],
  ],
} as const;
type Permission = keyof typeof permissions;

const allPermissions: readonly Permission[] = ['User.Read.All', 'Group.Read.All'];

export class GraphDirectory {
  constructor(private readonly transport: GraphTransport) {}

  /** Requires: `id` is an object id. */
  async user(id: string, deadlineMs: number): Promise<GraphUser> {
    invariant(isObjectId(id), 'users are asked for by object id');
    // Side by side: a sign-in waits for both.
    const [status, groups] = await Promise.allSettled([this.#status(id, deadlineMs), this.#groups(id, deadlineMs)]);
    if (status.status === 'rejected') throw status.reason;
    if (status.value !== 'enabled') return { state: status.value };
    if (groups.status === 'rejected') throw groups.reason;
    return groups.value === null ? { state: 'gone' } : { state: 'enabled', groups: groups.value };
  }

  /** Every group of that name; there may be several. Graph does not look at the case of letters. */
  async groupsNamed(name: string, deadlineMs: number): Promise<readonly GraphGroup[]> {
    const filter = encodeURIComponent(`displayName eq '${name.replaceAll("'", "''")}'`);
    const path = `groups?$filter=${filter}&$select=id,displayName`;
    return this.#pages(path, ['Group.Read.All'], deadlineMs, limits.graph.idsAtOnce);
  }

  /** Names of those among them that are groups. */
  async groupNames(ids: readonly string[], deadlineMs: number): Promise<ReadonlyMap<string, string>> {
    const names = new Map<string, string>();
    for (let at = 0; at < ids.length; at += limits.graph.idsAtOnce) {
      const body = { ids: ids.slice(at, at + limits.graph.idsAtOnce), types: ['group'] };
      const answer = await this.transport.call({
        method: 'POST',
        path: 'directoryObjects/getByIds',
        body,
        deadlineMs,
      });
      if (answer.status !== 200) throw this.#unexpected(answer, ['Group.Read.All']);
      for (const { id, displayName } of parsed(groupPage, answer).value) names.set(id, displayName ?? '');
    }
    return names;
  }

  async #status(id: string, deadlineMs: number): Promise<'enabled' | 'disabled' | 'gone'> {
    const path = `users/${id}?$select=accountEnabled`;
    const answer = await this.transport.call({ method: 'GET', path, deadlineMs });
    if (isGone(answer)) return 'gone';
    if (answer.status !== 200) throw this.#unexpected(answer, ['User.Read.All']);
    return parsed(account, answer).accountEnabled ? 'enabled' : 'disabled';
  }

  /** Null: there is no such user. */
  async #groups(id: string, deadlineMs: number): Promise<readonly string[] | null> {
    const path = `users/${id}/getMemberGroups`;
    const answer = await this.transport.call({
      method: 'POST',
      path,
      body: { securityEnabledOnly: false },
      deadlineMs,
    });
    if (isGone(answer)) return null;
    if (answer.status === 200) return sorted(parsed(idList, answer).value);
    // More than 11,000: that call gives them all at once or not at all.
    if (answer.errorCode !== 'Directory_ResultSizeLimitExceeded') throw this.#unexpected(answer, allPermissions);
    const transitive = `users/${id}/transitiveMemberOf/microsoft.graph.group?$count=true&$select=id,displayName&$top=999`;
    const groups = await this.#pages(transitive, allPermissions, deadlineMs, limits.graph.groups, true);
    return sorted(groups.map((found) => found.id));
  }

  async #pages(
    path: string,
    needed: readonly Permission[],
    deadlineMs: number,
    countMax: number,
    isEventual = false,
  ): Promise<readonly GraphGroup[]> {
    const groups: GraphGroup[] = [];
    let next: string | undefined = path;
    for (let page = 0; next !== undefined; page++) {
      if (page >= limits.graph.pages || groups.length > countMax) {
        throw new GraphError('unavailable', `Microsoft Graph gives more than ${countMax} groups.`);
      }
      const answer: GraphAnswer = await this.transport.call({ method: 'GET', path: next, isEventual, deadlineMs });
      if (answer.status !== 200) throw this.#unexpected(answer, needed);
      const { value, '@odata.nextLink': link } = parsed(groupPage, answer);
      for (const { id, displayName } of value) groups.push({ id, name: displayName ?? '' });
      // With it would go the token.
      if (link !== undefined && !this.transport.isOwn(link)) {
        throw new GraphError('unavailable', 'Microsoft Graph names a next page at another address: not followed.');
      }
      next = link;
    }
    return groups;
  }

  #unexpected({ status, errorCode }: GraphAnswer, needed: readonly Permission[]): GraphError {
    if (status !== 403) {
      const code = errorCode === '' ? '' : ` ${errorCode}`;
      return new GraphError('unavailable', `Microsoft Graph answers ${status}${code}.`);
    }
    const granted = this.transport.grantedRoles();
    const lacking = allPermissions.filter((name) => granted?.some((role) => isOf(name, role)) === false);
    const named = lacking.length > 0 ? lacking : needed;
    return new GraphError(
      'rejected',
      `Microsoft Graph refuses the application: grant it ${named.join(' and ')}, as application ` +
        `permission${named.length > 1 ? 's' : ''} with admin consent.`,
    );
  }
}

function isOf(permission: Permission, role: string): boolean {
  return permissions[permission].some((one) => one === role);
}

/** Of Graph itself: another server's 404 says nothing about the user. */
function isGone({ status, errorCode }: GraphAnswer): boolean {
  return status === 404 && errorCode === 'Request_ResourceNotFound';
}

function parsed<T>(schema: z.ZodType<T>, { body }: GraphAnswer): T {
  const result = schema.safeParse(body);
  if (!result.success) throw new GraphError('unavailable', 'Microsoft Graph gives an answer of another form.');
  return result.data;
}

function sorted(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)].sort();
}
