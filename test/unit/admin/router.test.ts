import { describe, expect, it } from 'vitest';
import type { AdminOperation, AdminRoute } from '../../../src/admin/operation.js';
import { createRouter } from '../../../src/admin/router.js';
import { HeaderMap } from '../../../src/exchange/index.js';

const operation = (name: string): AdminOperation => ({
  name,
  parse: () => undefined,
  permissions: () => [],
  handle: () => ({ status: 200, headers: [], body: { kind: 'empty' } }),
});
const routes: readonly AdminRoute[] = [
  { method: 'GET', path: 'one', operation: operation('one') },
  { method: 'PUT', path: 'two', query: ['name'], operation: operation('two') },
  { method: 'GET', path: 'three/{type}', operation: operation('list') },
  { method: 'GET', path: 'three/{type}/{name}', operation: operation('item') },
  { method: 'POST', path: 'heal/{path...}', operation: operation('heal') },
  { method: 'PUT', path: 'later', query: ['name'], isAlsoV4: true, operation: operation('later') },
];
const route = createRouter(routes);

function named(method: string, path: string, query: Record<string, string> = {}): string {
  const request = { method, headers: new HeaderMap() };
  const call = { bucket: 'minio', key: path, query: new Map(Object.entries(query)), request };
  return route(call as unknown as Parameters<typeof route>[0]).name;
}

const refusedWith = (code: string, status: number) => expect.objectContaining({ code, status });

describe('admin routes', () => {
  it('are found by path, names in the query and method', () => {
    expect(named('GET', 'admin/v3/one')).toBe('one');
    expect(named('GET', 'admin/v3/one/')).toBe('one');
    expect(named('PUT', 'admin/v3/two', { name: '' })).toBe('two');
    expect(named('GET', 'admin/v3/three/openid')).toBe('list');
    expect(named('GET', 'admin/v3/three/openid/_')).toBe('item');
    expect(named('POST', 'admin/v3/heal/')).toBe('heal');
    expect(named('POST', 'admin/v3/heal/bucket/a/b')).toBe('heal');
  });

  it('of both versions are found in both', () => {
    for (const version of ['v3', 'v4']) {
      expect(named('PUT', `admin/${version}/later`, { name: 'x' })).toBe('later');
      expect(() => named('PUT', `admin/${version}/later`)).toThrow(refusedWith('XMinioAdminVersionMismatch', 426));
      expect(() => named('GET', `admin/${version}/later`)).toThrow(refusedWith('MethodNotAllowed', 405));
    }
    expect(() => named('PUT', 'admin/v5/later', { name: 'x' })).toThrow(refusedWith('XMinioAdminVersionMismatch', 426));
  });

  it('answer 426 to other versions, paths and queries, and 405 to another method', () => {
    const mismatch = refusedWith('XMinioAdminVersionMismatch', 426);
    for (const [method, path] of [
      ['GET', 'admin/v4/one'],
      ['GET', 'admin/v2/one'],
      ['GET', 'admin/'],
      ['GET', 'admin/v3/'],
      ['GET', 'admin/v3/four'],
      ['GET', 'admin/v3/one/more'],
      ['GET', 'admin/v3/three'],
      ['PUT', 'admin/v3/two'],
    ] as const) {
      expect(() => named(method, path), path).toThrow(mismatch);
    }
    expect(() => named('DELETE', 'admin/v3/one')).toThrow(refusedWith('MethodNotAllowed', 405));
    expect(() => named('GET', 'admin/v3/two', { name: 'x' })).toThrow(refusedWith('MethodNotAllowed', 405));
  });
});
