/** Which operation a request is: version, path, names in the query, method. */
import type { ParsedCall } from '../dispatch/index.js';
import { adminError } from './errors.js';
import type { AdminOperation, AdminRoute } from './operation.js';

const prefix = 'admin/v3/';
/** Of a few routes; clients that find none of the others there ask again in version 3. */
const laterPrefix = 'admin/v4/';

interface CompiledRoute extends AdminRoute {
  readonly parts: readonly string[];
}

export type RouteAdmin = (call: Pick<ParsedCall, 'bucket' | 'key' | 'query' | 'request'>) => AdminOperation;

/** Unknown combinations answer 426, by which clients of other versions know to ask again in this one. */
export function createRouter(routes: readonly AdminRoute[]): RouteAdmin {
  const byHead = new Map<string, CompiledRoute[]>();
  for (const route of routes) {
    const parts = route.path.split('/');
    const head = parts[0] ?? '';
    const sharing = byHead.get(head) ?? [];
    byHead.set(head, sharing);
    sharing.push({ ...route, parts });
  }
  return ({ bucket, key, query, request }) => {
    // The API of key management services beside this one.
    if (bucket === 'minio' && key.startsWith('kms/')) throw adminError('NotImplemented');
    const isLater = key.startsWith(laterPrefix);
    if (bucket !== 'minio' || !(isLater || key.startsWith(prefix))) throw adminError('XMinioAdminVersionMismatch');
    const path = key.slice(prefix.length).replace(/\/$/, '').split('/');
    const onPath = (byHead.get(path[0] ?? '') ?? []).filter(
      ({ parts, isAlsoV4 = false }) => (isAlsoV4 || !isLater) && fits(parts, path),
    );
    const found = onPath.find(
      ({ method, query: names = [] }) => method === request.method && names.every((name) => query.has(name)),
    );
    if (found !== undefined) return found.operation;
    if (onPath.length === 0 || onPath.some(({ method }) => method === request.method)) {
      throw adminError('XMinioAdminVersionMismatch');
    }
    throw adminError('MethodNotAllowed');
  };
}

function fits(parts: readonly string[], path: readonly string[]): boolean {
  for (const [index, part] of parts.entries()) {
    if (part.endsWith('...}')) return true;
    const found = path[index];
    if (found === undefined) return false;
    if (part.startsWith('{') ? found === '' : found !== part) return false;
  }
  return parts.length === path.length;
}
