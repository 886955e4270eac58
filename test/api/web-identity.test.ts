/** Accounts of an OpenID provider over the wire: set up by administrators, signed in by the token service. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { accountsOf, allowS3, policyText, type Accounts } from '../support/accounts.js';
import { adminClient, seal, type AdminCredentials } from '../support/admin-client.js';
import { freePort } from '../support/free-port.js';
import { TestOpenIdProvider } from '../support/openid-provider.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { readStsAnswer, stsVersion, type StsAnswer, type TemporaryCredentials } from '../support/sts-client.js';

let op: TestOpenIdProvider;
let server: ServerProcess;
let accounts: Accounts;
let internal: AdminCredentials;
let restarts = 0;

beforeAll(async () => {
  op = await TestOpenIdProvider.start({
    accounts: { ann: { policy: 'reading', team: 'blue', email: 'ann@example.org' }, bob: { policy: 'gone' } },
  });
  server = await startServerProcess({ port: await freePort() });
  accounts = accountsOf(server);
  internal = await accounts.createUser(allowS3('s3:*'));
  const policies = {
    reading: [allowS3(['s3:GetObject', 's3:ListBucket'])],
    team: [allowS3('s3:*', 'arn:aws:s3:::things/${jwt:team}/*')],
    brief: [
      allowS3('s3:*'),
      {
        ...{ Effect: 'Deny', Action: 'sts:AssumeRoleWithWebIdentity' },
        Condition: { NumericGreaterThan: { 'sts:DurationSeconds': '1000' } },
      },
    ],
  };
  for (const [name, statements] of Object.entries(policies)) {
    await accounts.must({ method: 'PUT', path: 'add-canned-policy', query: { name }, body: policyText(...statements) });
  }
  await accounts.s3(accounts.root, { method: 'PUT', path: '/things' });
  await accounts.s3(accounts.root, { method: 'PUT', path: '/things/key', body: 'x' });
}, 60_000);
afterAll(async () => {
  await server.stop();
  await op.stop();
});
afterEach(() => {
  op.misbehaviour = null;
});

const config = (method: string, path: string, text?: string) =>
  adminClient(
    server,
    server,
  )({
    ...{ method, path: `idp-config/${path}` },
    ...(text !== undefined && { body: seal(server.secretKey, Buffer.from(text)) }),
  });
const setting = (text: string) =>
  adminClient(
    server,
    server,
  )({
    ...{ method: 'PUT', path: 'set-config-kv', body: seal(server.secretKey, Buffer.from(text)) },
  });
async function restart(): Promise<void> {
  await accounts.must({ method: 'POST', path: 'service', query: { action: 'restart' } });
  await server.ready(++restarts);
}
async function assume(parameters: Readonly<Record<string, string>>, isForm = false): Promise<StsAnswer> {
  const text = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: stsVersion,
    ...parameters,
  }).toString();
  const answer = await (isForm
    ? fetch(`${server.url}/`, {
        ...{ method: 'POST', body: text, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      })
    : fetch(`${server.url}/?${text}`, { method: 'POST' }));
  return readStsAnswer(answer.status, await answer.text());
}
async function session(
  claims: object,
  parameters: Readonly<Record<string, string>> = {},
): Promise<TemporaryCredentials> {
  const { credentials, text } = await assume({ WebIdentityToken: await op.mint({ ...claims }), ...parameters });
  if (credentials === null) throw new Error(text);
  return credentials;
}
const read = async (signer: AdminCredentials) =>
  (await accounts.s3(signer, { method: 'GET', path: '/things/key' })).status;
const write = async (signer: AdminCredentials, path = '/things/other') =>
  (await accounts.s3(signer, { method: 'PUT', path, body: 'y' })).status;

const directory =
  'server_addr=127.0.0.1:1 server_insecure=on lookup_bind_dn=cn=reader,dc=example lookup_bind_password=secret ' +
  'user_dn_search_base_dn=dc=example user_dn_search_filter=(uid=%s)';

describe('set-ups', () => {
  test('are added, changed, listed, shown without secrets, and removed', async () => {
    const text = `config_url=${op.configUrl} client_id=granary client_secret=${op.clientSecret}`;
    expect(await config('PUT', 'openid/_', text)).toMatchObject({ status: 200 });
    expect(await config('PUT', 'openid/_', text)).toMatchObject({
      ...{ status: 400, code: 'XMinioAdminConfigIDPCfgNameAlreadyExists' },
    });
    expect(await config('POST', 'openid/other', text)).toMatchObject({
      ...{ status: 400, code: 'XMinioAdminConfigIDPCfgNameDoesNotExist' },
    });
    expect((await config('POST', 'openid/_', 'display_name=Ours user_readable_claim=email')).status).toBe(200);
    const info = await (await config('GET', 'openid/_')).json();
    expect(info).toEqual({
      ...{ type: 'openid', name: '_' },
      info: [
        { key: 'client_id', value: 'granary', isCfg: true, isEnv: false },
        { key: 'config_url', value: op.configUrl, isCfg: true, isEnv: false },
        { key: 'display_name', value: 'Ours', isCfg: true, isEnv: false },
        { key: 'enable', value: 'on', isCfg: false, isEnv: false },
        { key: 'user_readable_claim', value: 'email', isCfg: true, isEnv: false },
      ],
    });
    const role = `config_url=${op.configUrl} client_id=by-role role_policy=readonly,reading`;
    expect((await config('PUT', 'openid/role', role)).status).toBe(200);
    expect((await config('PUT', 'openid/temporary', role.replace('by-role', 'third'))).status).toBe(200);
    expect((await config('DELETE', 'openid/temporary')).status).toBe(200);
    expect((await config('DELETE', 'openid/temporary')).code).toBe('XMinioAdminConfigIDPCfgNameDoesNotExist');
    expect(await (await config('GET', 'openid')).json()).toEqual([
      { type: 'openid', name: '_', enabled: true },
      {
        ...{ type: 'openid', name: 'role', enabled: true },
        roleARN: expect.stringMatching(/^arn:minio:iam:::role\/[\w-]{27}$/) as string,
      },
    ]);
  });

  test('that would be the second to take the place of internal accounts are refused, naming the first', async () => {
    const second = await config('PUT', 'openid/second', `config_url=${op.configUrl} client_id=second`);
    expect(second).toMatchObject({ status: 400, code: 'XMinioConfigError' });
    expect(second.message).toContain('Accounts come from identity_openid (OpenID by claim)');
    expect(second.message).toContain('identity_openid:second');
    const ldap = await config('PUT', 'ldap/_', directory);
    expect(ldap).toMatchObject({ status: 400, code: 'XMinioConfigError' });
    expect(ldap.message).toContain('Accounts come from identity_openid (OpenID by claim), which excludes LDAP');
  });

  test.each([
    ['PUT', 'openid/x', 'client_id=granary role_policy=reading config_url=http://h/', 'have the same client_id'],
    ['PUT', 'openid/x', 'client_id=x role_policy=a config_url=ftp://h/', 'http:// or https://'],
    ['PUT', 'openid/x', 'client_id=x role_policy=a,,b config_url=http://h/', 'none of them empty'],
    ['PUT', 'openid/x', 'client_id=x role_policy=a claim_name=groups config_url=http://h/', 'exclude each other'],
    ['PUT', 'openid/x', 'client_id=x role_policy=a vendor=other config_url=http://h/', 'keycloak'],
    ['PUT', 'openid/x', 'client_id=x role_policy=a', 'needs a value for config_url'],
    ['PUT', 'openid/x', 'client_id=x role_policy=a config_url=http://h/\nsite name=evil', 'one line'],
    ['PUT', 'saml/_', 'a=b', 'type of identity provider'],
    ['PUT', 'ldap/other', 'server_addr=x', 'single LDAP'],
  ])('%s %s %s is refused: %s', async (method, path, text, reason) => {
    const answer = await config(method, path, text);
    expect(answer.status).toBe(400);
    expect(answer.message).toContain(reason);
  });
});

describe('with a claim-based provider', () => {
  beforeAll(restart, 60_000);

  test('the start says what is off, and how to keep it', () => {
    expect(server.output()).toContain('1 user of this server and 0 credentials of theirs are off');
    expect(server.output()).toContain('MINIO_IDENTITY_INTERNAL=on keeps them');
    expect(server.output()).toContain('identity_openid is asked without TLS');
    expect(server.output()).toMatch(/"roleArns":\["arn:minio:iam:::role\//);
  });

  test('internal accounts are off and cannot be made; root goes on', async () => {
    const refused = await accounts.s3(internal, { method: 'GET', path: '/things/key' });
    expect(refused).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    expect(await read(accounts.root)).toBe(200);
    const sealed = { secretKey: 'secret-of-new', status: 'enabled' };
    const query = { accessKey: 'newcomer' };
    const added = await accounts.as(accounts.root, { method: 'PUT', path: 'add-user', query, sealed });
    expect(added).toMatchObject({ status: 403, code: 'XMinioIAMActionNotAllowed' });
    expect(added.message).toContain('Accounts come from identity_openid');
    expect(added.message).toContain('MINIO_IDENTITY_INTERNAL=on');
  });

  test('a token that the provider gives a person becomes credentials, by query and by form', async () => {
    const { idToken } = await op.signIn('ann');
    for (const isForm of [false, true]) {
      for (const [action, parameter] of [
        ['AssumeRoleWithWebIdentity', 'WebIdentityToken'],
        ['AssumeRoleWithClientGrants', 'Token'],
      ] as const) {
        const answer = await assume({ Action: action, [parameter]: idToken }, isForm);
        expect(answer.text).toContain(`<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`);
        if (answer.credentials === null) throw new Error(answer.text);
        expect(await read(answer.credentials)).toBe(200);
        expect(await write(answer.credentials)).toBe(403);
      }
    }
  });

  test('DurationSeconds counts whatever the end of the token; without it the token does', async () => {
    const exp = Math.floor(Date.now() / 1000) + 300;
    const day = await session({ policy: 'reading', exp }, { DurationSeconds: '86400' });
    expect(Math.abs(Date.parse(day.expiration) - Date.now() - 86_400_000)).toBeLessThan(60_000);
    const short = await session({ policy: 'reading', exp });
    expect(Date.parse(short.expiration)).toBe(exp * 1000);
  });

  test('an inline policy restricts further', async () => {
    const Policy = policyText(allowS3('s3:GetObject', 'arn:aws:s3:::things/nothing'));
    expect(await read(await session({ policy: 'reading' }, { Policy }))).toBe(403);
  });

  test('claims are variables of policies', async () => {
    const credentials = await session({ policy: 'team', team: 'blue' });
    expect(await write(credentials, '/things/blue/one')).toBe(200);
    expect(await write(credentials, '/things/red/one')).toBe(403);
    const nested = await session({ policy: 'team', team: '*' });
    expect(await write(nested, '/things/red/one')).toBe(403);
  });

  test('a policy can deny the call, by its duration', async () => {
    expect(await write(await session({ policy: 'brief' }, { DurationSeconds: '1000' }))).toBe(200);
    const parameters = { WebIdentityToken: await op.mint({ policy: 'brief' }), DurationSeconds: '1001' };
    expect(await assume(parameters)).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test('of the named policies those that there are count; without any there are no credentials', async () => {
    expect(await read(await session({ policy: ['gone', 'reading'] }))).toBe(200);
    const { idToken } = await op.signIn('bob');
    const refused = await assume({ WebIdentityToken: idToken });
    expect(refused).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
    expect(refused.message).toContain('None of the given policies (`gone`) are defined');
  });

  test('a policy that goes later takes its rights along', async () => {
    const query = { name: 'fleeting' };
    const body = policyText(allowS3('s3:*'));
    await accounts.must({ method: 'PUT', path: 'add-canned-policy', query, body });
    const credentials = await session({ policy: 'fleeting' });
    expect(await read(credentials)).toBe(200);
    await accounts.must({ method: 'DELETE', path: 'remove-canned-policy', query });
    const denied = await accounts.s3(credentials, { method: 'GET', path: '/things/key' });
    expect(denied).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test('thousands of groups leave the session token small, and policies see them all', async () => {
    const groups = Array.from({ length: 1200 }, (_, index) => `group-number-${index}`);
    const token = await op.mint({ policy: 'reading', groups });
    const { credentials, text } = await assume({ WebIdentityToken: token }, true);
    if (credentials === null) throw new Error(text);
    expect(credentials.sessionToken.length).toBeLessThan(16 * 1024);
    expect(await read(credentials)).toBe(200);
  });

  test('access keys outlive the session, follow the account, and are restricted by their own policy', async () => {
    const credentials = await session({ sub: 'keeper', policy: 'readwrite' });
    const [plain, restricted] = [
      await accounts.createKey(credentials),
      await accounts.createKey(credentials, JSON.parse(policyText(allowS3('s3:GetObject'))) as object),
    ];
    expect([await write(plain), await read(restricted), await write(restricted)]).toEqual([200, 200, 403]);
    const own = await accounts.as(credentials, { method: 'GET', path: 'list-service-accounts' });
    const listed = (await own.json()) as { accounts?: unknown };
    expect(JSON.stringify(listed.accounts)).toContain(plain.accessKey);
    const info = await accounts.must({ method: 'GET', path: 'info-access-key', query: { accessKey: plain.accessKey } });
    expect(info).toMatchObject({
      ...{ userProvider: 'openid', userType: 'Service Account' },
      openIDSpecificInfo: { configName: '_', userID: 'keeper', userIDClaim: 'sub', displayNameClaim: 'email' },
    });
    const revoke = { path: 'revoke-tokens/openid', query: { user: 'keeper', fullRevoke: 'true' } };
    expect(await accounts.as(accounts.root, { method: 'POST', ...revoke })).toMatchObject({ status: 204 });
    expect([await read(credentials), await read(plain)]).toEqual([403, 200]);
    // What the provider takes away counts for the keys from the next session on.
    await session({ sub: 'keeper', policy: 'reading' });
    expect([await read(plain), await write(plain)]).toEqual([200, 403]);
    const again = await session({ sub: 'keeper', policy: 'reading' });
    const remove = { path: 'delete-service-account', query: { accessKey: plain.accessKey } };
    expect(await accounts.as(again, { method: 'DELETE', ...remove })).toMatchObject({ status: 204 });
    expect(await read(plain)).toBe(403);
    expect(await read(restricted)).toBe(200);
  });

  test('another account cannot touch them', async () => {
    const owner = await session({ sub: 'owner', policy: 'readwrite' });
    const key = await accounts.createKey(owner);
    const other = await session({ sub: 'other', policy: 'readwrite' });
    const query = { accessKey: key.accessKey };
    const removal = await accounts.as(other, { method: 'DELETE', path: 'delete-service-account', query });
    expect(removal).toMatchObject({ status: 404, code: 'XMinioInvalidIAMCredentials' });
    const target = { sealed: { targetUser: 'owner' } };
    const made = await accounts.as(other, { method: 'PUT', path: 'add-service-account', ...target });
    expect(made).toMatchObject({ status: 403, code: 'AccessDenied' });
    const revoke = { path: 'revoke-tokens/openid', query: { user: 'owner', fullRevoke: 'true' } };
    expect((await accounts.as(other, { method: 'POST', ...revoke })).status).toBe(403);
    expect(await read(owner)).toBe(200);
  });

  test('sessions are revoked by their tag, and by themselves', async () => {
    const tagged = await session({ sub: 'tagged', policy: 'reading' }, { TokenRevokeType: 'laptop' });
    const plain = await session({ sub: 'tagged', policy: 'reading' });
    expect(await accounts.as(tagged, { method: 'POST', path: 'revoke-tokens/openid' })).toMatchObject({ status: 204 });
    expect([await read(tagged), await read(plain)]).toEqual([403, 200]);
    const all = { path: 'revoke-tokens/builtin', query: { fullRevoke: 'true' } };
    expect(await accounts.as(plain, { method: 'POST', ...all })).toMatchObject({ status: 204 });
    expect(await read(plain)).toBe(403);
    const query = { user: 'nobody', fullRevoke: 'true' };
    const unknown = await accounts.as(accounts.root, { method: 'POST', path: 'revoke-tokens/openid', query });
    expect(unknown).toMatchObject({ status: 404, code: 'XMinioAdminNoSuchUser' });
  });

  test('keys and sessions are listed by provider', async () => {
    const credentials = await session({ sub: 'listed', policy: 'reading', email: 'listed@example.org' });
    await accounts.createKey(credentials);
    const list = (query: Readonly<Record<string, string>>, signer: AdminCredentials = accounts.root) =>
      accounts.as(signer, { method: 'GET', path: 'idp/openid/list-access-keys-bulk', query });
    const found = await (await list({ listType: 'all', users: 'listed' })).json();
    expect(found).toMatchObject([
      {
        configName: '_',
        users: [{ ID: 'listed', readableName: 'listed@example.org', serviceAccounts: [{}], stsKeys: [{}] }],
      },
    ]);
    const own = await (await list({ listType: 'sts-only' }, credentials)).json();
    expect(own).toMatchObject([{ users: [{ ID: 'listed', serviceAccounts: null }] }]);
    expect(JSON.stringify(await (await list({ listType: 'all', all: 'true' })).json())).toContain('keeper');
    const all = await (await list({ listType: 'all', all: 'true', allConfigs: 'true' })).json();
    expect(all).toMatchObject([{ configName: '_' }, { configName: 'role', users: [] }]);
    expect(await list({ listType: 'all', configName: 'unknown' })).toMatchObject({ status: 400 });
    expect((await list({ listType: 'all', all: 'true' }, credentials)).status).toBe(403);
    expect((await list({ listType: 'all', users: 'keeper' }, credentials)).status).toBe(403);
  });

  test('a role has the policies of its provider', async () => {
    const items = (await (await config('GET', 'openid')).json()) as unknown as { name: string; roleARN?: string }[];
    const RoleArn = items.find(({ name }) => name === 'role')?.roleARN ?? '';
    const credentials = await session({ aud: 'by-role' }, { RoleArn });
    expect([await read(credentials), await write(credentials)]).toEqual([200, 403]);
    expect(await assume({ WebIdentityToken: await op.mint({ aud: 'by-role' }) })).toMatchObject({ status: 400 });
  });

  test('while the provider is down or lies, tokens of known keys count and nothing else; the server is well', async () => {
    const token = await op.mint({ policy: 'reading' });
    const forged = await op.mint({ policy: 'reading' }, { kid: 'unknown' });
    await op.down();
    try {
      expect((await assume({ WebIdentityToken: token })).status).toBe(200);
      expect(await assume({ WebIdentityToken: forged })).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
    } finally {
      await op.up();
    }
    op.misbehaviour = (_request, response) => Boolean(response.end('{"jwks_uri":"http://127.0.0.1:1/"}'));
    expect((await assume({ WebIdentityToken: forged })).status).toBe(400);
    expect(await read(accounts.root)).toBe(200);
  });

  test('nothing of a token is in the log', () => {
    expect(server.output()).not.toMatch(/eyJ[\w-]{20}/);
    expect(server.output()).not.toContain(op.clientSecret);
  });

  test('internal accounts are kept beside it when the setting says so', async () => {
    expect((await setting('identity internal=on')).status).toBe(200);
    await restart();
    expect(await read(internal)).toBe(200);
    expect(await read(await session({ policy: 'reading' }))).toBe(200);
  }, 60_000);
});

describe('providers that exclude each other, from the environment', () => {
  test('leave root alone, and the start says which to remove', async () => {
    const ldap = directory.split(' ').map((pair) => {
      const at = pair.indexOf('=');
      return [`MINIO_IDENTITY_LDAP_${pair.slice(0, at).toUpperCase()}`, pair.slice(at + 1)];
    });
    const environment = { ...op.environment(), ...(Object.fromEntries(ldap) as Record<string, string>) };
    const other = await startServerProcess({ environment });
    try {
      expect(other.output()).toContain('identity_openid (OpenID by claim) and LDAP exclude each other');
      const text = new URLSearchParams({
        ...{ Action: 'AssumeRoleWithWebIdentity', Version: stsVersion },
        WebIdentityToken: await op.mint({ policy: 'readwrite' }),
      });
      expect((await fetch(`${other.url}/?${text.toString()}`, { method: 'POST' })).status).toBe(400);
      const own = accountsOf(other);
      expect((await own.s3(own.root, { method: 'PUT', path: '/bucket' })).status).toBe(200);
      await expect(own.createUser()).rejects.toThrow('exclude each other');
    } finally {
      await other.stop();
    }
  }, 60_000);
});
