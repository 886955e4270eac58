import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminRoutes } from '../../src/admin/index.js';
import { adminAnswer, adminClient, seal, type AdminClient, type AdminRequest } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { sendSigned, sign } from '../support/wire.js';

/** Who may: every route of the administration API, asked by those who may not, and by those who may. */
let server: ServerProcess;
let root: AdminClient;
const nobody = { accessKey: 'nobody', secretKey: 'nobody-secret' };
const denied = { accessKey: 'denied', secretKey: 'denied-secret' };
const admin = { accessKey: 'admin', secretKey: 'admin-secret' };
const policy = (...statements: object[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const allowAll = { Effect: 'Allow', Action: ['admin:*'] };

beforeAll(async () => {
  server = await startServerProcess();
  root = adminClient(server, server);
  for (const { accessKey, secretKey } of [nobody, denied, admin]) {
    await mustAdmin({
      method: 'PUT',
      path: 'add-user',
      query: { accessKey },
      sealed: { secretKey, status: 'enabled' },
    });
  }
  const denyAll = policy(allowAll, { Effect: 'Deny', Action: ['admin:*'] });
  await mustAdmin({ method: 'PUT', path: 'add-canned-policy', query: { name: 'all-denied' }, body: denyAll });
  await mustAdmin({ method: 'PUT', path: 'add-canned-policy', query: { name: 'admin-all' }, body: policy(allowAll) });
  for (const [name, user] of [
    ['all-denied', 'denied'],
    ['admin-all', 'admin'],
  ]) {
    await mustAdmin({
      method: 'POST',
      path: 'idp/builtin/policy/attach',
      sealed: { policies: [name], user },
    });
  }
}, 60_000);
afterAll(() => server.stop());

async function mustAdmin(request: AdminRequest): Promise<void> {
  const { status, message } = await root(request);
  if (status >= 300) throw new Error(`${request.path} answers ${status}: ${message}`);
}

/** Something for every route, about somebody else. */
function sample({ method, path, query = [] }: (typeof adminRoutes)[number]): AdminRequest {
  const values = new URLSearchParams();
  for (const key of query) values.set(key, key === 'isGroup' ? 'false' : 'somebody');
  if (path === 'list-service-accounts') values.set('user', 'somebody');
  if (path.endsWith('list-access-keys-bulk')) {
    values.set(path.startsWith('idp/ldap') ? 'userDNs' : 'users', 'somebody');
    values.set('listType', 'all');
  }
  if (path.startsWith('revoke-tokens')) values.set('user', 'somebody');
  const hasBody = method === 'PUT' || method === 'POST';
  return {
    method,
    path: path.replace(/\{[^}]+\}/g, 'builtin'),
    query: values.toString(),
    ...(path.endsWith('add-service-account') && { sealed: { targetUser: 'somebody' } }),
    ...(hasBody && !path.endsWith('add-service-account') && { body: '{}' }),
  };
}

const name = ({ method, path, query = [] }: (typeof adminRoutes)[number]) => `${method} ${path} ${query.join('&')}`;
const routes = adminRoutes.map((route) => [name(route), route] as const);
/** What every account may ask about itself; and a key that is not there looks like one that is not for you. */
const others: Readonly<Record<string, readonly (string | number)[]>> = {
  accountinfo: [200],
  'delete-service-account': [404, 'XMinioInvalidIAMCredentials'],
};

describe.each(routes)('%s', (_name, route) => {
  const request = sample(route);

  test('is not for anonymous callers', async () => {
    const query = request.query as string;
    const wire = { method: request.method, path: `/minio/admin/v3/${request.path}`, body: '', ...(query && { query }) };
    const answer = adminAnswer(await sendSigned(target(), wire, { host: `127.0.0.1:${server.port}` }), '');
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test('is refused to a wrong signature before its body arrives', async () => {
    const query = request.query as string;
    const wire = { method: request.method, path: `/minio/admin/v3/${request.path}`, ...(query && { query }) };
    const { headers } = sign({ ...target(), secretKey: 'not-the-secret' }, { ...wire, body: 'x' });
    const started = await sendSigned(target(), wire, headers);
    expect(adminAnswer(started, '')).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
  });

  test.each([
    ['without a policy', nobody],
    ['whom a policy denies', denied],
  ])('is refused to a user %s', async (_who, user) => {
    const { sealed, ...rest } = request;
    const body = sealed === undefined ? {} : { body: seal(user.secretKey, Buffer.from(JSON.stringify(sealed))) };
    const answer = await adminClient(server, user)({ ...rest, ...body });
    const [status = 403, code = 'AccessDenied'] = others[route.path] ?? [];
    expect(answer.status).toBe(status);
    if (status !== 200) expect(answer.code).toBe(code);
  });
});

const target = () => ({ port: server.port, accessKey: server.accessKey, secretKey: server.secretKey, region: '' });

describe('a user with admin:*', () => {
  const sealed = (value: unknown) => ({ body: seal(admin.secretKey, Buffer.from(JSON.stringify(value))) });
  const requests: readonly (AdminRequest & { readonly status?: number })[] = [
    {
      method: 'PUT',
      path: 'add-user',
      query: { accessKey: 'carol' },
      ...sealed({ secretKey: 'carol-secret', status: 'enabled' }),
    },
    { method: 'GET', path: 'list-users' },
    { method: 'GET', path: 'user-info', query: { accessKey: 'carol' } },
    { method: 'PUT', path: 'set-user-status', query: { accessKey: 'carol', status: 'disabled' } },
    { method: 'PUT', path: 'update-group-members', body: '{"group":"staff","members":["carol"]}' },
    { method: 'GET', path: 'group', query: { group: 'staff' } },
    { method: 'GET', path: 'groups' },
    { method: 'PUT', path: 'set-group-status', query: { group: 'staff', status: 'disabled' } },
    { method: 'PUT', path: 'add-canned-policy', query: { name: 'extra' }, body: policy(allowAll) },
    { method: 'GET', path: 'info-canned-policy', query: { name: 'extra', v: '2' } },
    { method: 'GET', path: 'list-canned-policies' },
    { method: 'POST', path: 'idp/builtin/policy/attach', ...sealed({ policies: ['readonly,extra'], user: 'carol' }) },
    { method: 'POST', path: 'idp/builtin/policy/detach', ...sealed({ policies: ['extra'], user: 'carol' }) },
    {
      method: 'PUT',
      path: 'set-user-or-group-policy',
      query: { policyName: 'extra', userOrGroup: 'staff', isGroup: 'true' },
    },
    { method: 'GET', path: 'idp/builtin/policy-entities', query: { user: 'carol' } },
    {
      method: 'PUT',
      path: 'add-service-account',
      ...sealed({ targetUser: 'carol', accessKey: 'carolkey', secretKey: 'carolkey-secret' }),
    },
    {
      method: 'POST',
      path: 'update-service-account',
      query: { accessKey: 'carolkey' },
      ...sealed({ newStatus: 'off' }),
      status: 204,
    },
    { method: 'GET', path: 'info-service-account', query: { accessKey: 'carolkey' } },
    { method: 'GET', path: 'info-access-key', query: { accessKey: 'carolkey' } },
    { method: 'GET', path: 'list-service-accounts', query: { user: 'carol' } },
    { method: 'GET', path: 'list-access-keys-bulk', query: { listType: 'all', all: 'true' } },
    { method: 'POST', path: 'revoke-tokens/builtin', query: { user: 'carol', fullRevoke: 'true' }, status: 204 },
    { method: 'DELETE', path: 'delete-service-account', query: { accessKey: 'carolkey' }, status: 204 },
    { method: 'GET', path: 'accountinfo' },
    { method: 'GET', path: 'export-iam' },
    { method: 'GET', path: 'export-bucket-metadata', query: { bucket: '' } },
    { method: 'POST', path: 'update', query: { updateURL: 'file:///etc/passwd', type: '2' }, status: 405 },
    { method: 'PUT', path: 'update-group-members', body: '{"group":"staff","members":["carol"],"isRemove":true}' },
    {
      method: 'PUT',
      path: 'set-user-or-group-policy',
      query: { policyName: '', userOrGroup: 'staff', isGroup: 'true' },
    },
    { method: 'PUT', path: 'update-group-members', body: '{"group":"staff","members":[],"isRemove":true}' },
    { method: 'DELETE', path: 'remove-user', query: { accessKey: 'carol' } },
    { method: 'DELETE', path: 'remove-canned-policy', query: { name: 'extra' } },
  ];

  test('may do all of it', async () => {
    const ask = adminClient(server, admin);
    for (const { status = 200, ...request } of requests) {
      const answer = await ask(request);
      expect(answer.status, `${request.method} ${request.path}: ${answer.message}`).toBe(status);
    }
  });

  test('is told that what is absent is absent', async () => {
    const ask = adminClient(server, admin);
    expect(await ask({ method: 'GET', path: 'tier' })).toMatchObject({ status: 501, code: 'NotImplemented' });
    const other = await ask({ method: 'GET', path: 'no-such-thing' });
    expect(other).toMatchObject({ status: 426, code: 'XMinioAdminVersionMismatch' });
    expect(await ask({ method: 'POST', path: 'list-users' })).toMatchObject({ status: 405, code: 'MethodNotAllowed' });
  });
});
