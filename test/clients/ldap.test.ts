import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { Attribute, Change } from 'ldapts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminClient, seal, type AdminClient, type AdminCredentials } from '../support/admin-client.js';
import {
  directoryEnvironment,
  dnOf,
  groupBase,
  people,
  lookup,
  startDirectory,
  userBase,
  type DirectoryServer,
  type PersonName,
} from '../support/directory.js';
import { freePort } from '../support/free-port.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { formOf, readStsAnswer, type StsAnswer, type TemporaryCredentials } from '../support/sts-client.js';
import { send } from '../support/wire.js';

/** The server beside a real directory, as its documents describe it, and as an attacker would have it. */
const root = dirname(dirname(import.meta.dirname));
let slapd: DirectoryServer;
let server: ServerProcess;
let admin: AdminClient;

beforeAll(async () => {
  slapd = await startDirectory();
  server = await startServerProcess({
    environment: directoryEnvironment(`127.0.0.1:${slapd.port}`, {
      SERVER_INSECURE: 'on',
      SYNC_INTERVAL: '1s',
      GROUP_SEARCH_NESTED: 'on',
    }),
  });
  admin = adminClient(server, server);
}, 90_000);
afterAll(async () => {
  await server.stop();
  await slapd.stop();
});

async function login(login: string, password: string, more: Record<string, string> = {}): Promise<StsAnswer> {
  const response = await fetch(`${server.url}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: formOf({ Action: 'AssumeRoleWithLDAPIdentity', LDAPUsername: login, LDAPPassword: password, ...more }),
  });
  return readStsAnswer(response.status, await response.text());
}

async function session(name: PersonName, more: Record<string, string> = {}): Promise<TemporaryCredentials> {
  const { credentials, text } = await login(people[name].uid, people[name].password, more);
  if (credentials === null) throw new Error(text);
  return credentials;
}

async function s3(signer: AdminCredentials, method: string, path: string): Promise<number> {
  return (await send({ port: server.port, region: server.region, ...signer }, { method, path })).status;
}

async function change(op: 'attach' | 'detach', body: Record<string, unknown>) {
  return admin({ method: 'POST', path: `idp/ldap/policy/${op}`, sealed: body });
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await what());) {
    if (Date.now() > deadline) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe('policies by DN', () => {
  it('are attached as the documents say, and tell who may what', async () => {
    const steps = [
      { policies: ['consoleAdmin'], user: `cn=sisko,${userBase}` },
      { policies: ['readwrite,diagnostics'], user: `cn=dax,${userBase}` },
      { policies: ['consoleAdmin'], group: `cn=ops,${groupBase}` },
      { policies: ['diagnostics'], group: `cn=engineering,${groupBase}` },
    ];
    for (const step of steps) expect((await change('attach', step)).status).toBe(200);
    const sisko = await session('sisko');
    expect(await s3(sisko, 'PUT', '/promenade')).toBe(200);
    expect((await adminClient(server, sisko)({ method: 'GET', path: 'info' })).status).toBe(200);
    const dax = await session('dax');
    expect(await s3(dax, 'PUT', '/symbionts')).toBe(200);
    expect((await adminClient(server, dax)({ method: 'GET', path: 'info' })).status).toBe(200);
    expect((await adminClient(server, dax)({ method: 'GET', path: 'list-users' })).code).toBe('AccessDenied');
    // By the group alone.
    const obrien = await session('obrien');
    expect(await s3(obrien, 'GET', '/promenade')).toBe(403);
    expect((await adminClient(server, obrien)({ method: 'GET', path: 'info' })).status).toBe(200);
  });

  it('of which somebody has none let nobody in', async () => {
    const { status, code, message } = await login('quark', people.quark.password);
    expect({ status, code }).toEqual({ status: 400, code: 'InvalidParameterValue' });
    expect(message).toContain(`expecting a policy to be set for user "${dnOf('quark')}"`);
  });

  it('count by attachment, never by name', async () => {
    const policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] }],
    };
    for (const name of ['quark', 'cn=quark']) {
      await admin({ method: 'PUT', path: 'add-canned-policy', query: { name }, body: JSON.stringify(policy) });
    }
    expect((await login('quark', people.quark.password)).code).toBe('InvalidParameterValue');
  });

  it('are attached in any spelling or by login name, once, and only to who is there', async () => {
    const dn = `CN=O'Brien\\2c Miles \\2B Keiko, cn=users,dc=example,DC=com`;
    expect((await change('attach', { policies: ['readonly'], user: dn })).status).toBe(200);
    expect((await change('attach', { policies: ['readonly'], user: 'obrien' })).code).toBe(
      'XMinioAdminPolicyChangeAlreadyApplied',
    );
    expect((await change('attach', { policies: ['readonly'], user: 'morn' })).code).toBe('XMinioAdminNoSuchUser');
    expect((await change('attach', { policies: ['no-such'], user: 'obrien' })).code).toBe('XMinioAdminNoSuchPolicy');
    expect((await change('attach', { policies: ['readonly'], group: `cn=none,${groupBase}` })).code).toBe(
      'XMinioAdminNoSuchGroup',
    );
    const query = { user: 'obrien' };
    const found = await (await admin({ method: 'GET', path: 'idp/ldap/policy-entities', query })).json();
    expect(found['userMappings']).toEqual([
      {
        user: dnOf('obrien'),
        policies: ['readonly'],
        memberOfMappings: [{ group: `cn=engineering,${groupBase}`, policies: ['diagnostics'] }],
      },
    ]);
    expect((await change('detach', { policies: ['readonly'], user: dnOf('obrien') })).status).toBe(200);
  });

  it('of groups of groups count', async () => {
    await change('attach', { policies: ['consoleAdmin'], group: `cn=outer,${groupBase}` });
    const dax = await session('dax');
    expect((await adminClient(server, dax)({ method: 'GET', path: 'list-users' })).status).toBe(200);
    await change('detach', { policies: ['consoleAdmin'], group: `cn=outer,${groupBase}` });
    expect((await adminClient(server, dax)({ method: 'GET', path: 'list-users' })).code).toBe('AccessDenied');
  });
});

describe('accounts of this server', () => {
  it('are off, which whoever adds one is told; root works', async () => {
    const added = await admin({
      ...{ method: 'PUT', path: 'add-user', query: { accessKey: 'ann' } },
      sealed: { secretKey: 'secret-of-ann', status: 'enabled' },
    });
    expect(added.code).toBe('XMinioIAMActionNotAllowed');
    expect(added.message).toContain('LDAP');
    expect((await admin({ method: 'GET', path: 'info' })).status).toBe(200);
  });

  it('are listed as people of the directory that have policies', async () => {
    const users = await (await admin({ method: 'GET', path: 'list-users' })).json();
    expect(Object.keys(users).sort()).toEqual([dnOf('dax'), dnOf('sisko')]);
    const info = await (await admin({ method: 'GET', path: 'user-info', query: { accessKey: 'sisko' } })).json();
    expect(info).toMatchObject({ policyName: 'consoleAdmin', memberOf: [`cn=ops,${groupBase}`], status: '' });
  });
});

describe('access keys', () => {
  const add = (path: string, sealed: Record<string, unknown>, as = admin) => as({ method: 'PUT', path, sealed });

  it('hang from a DN, be it named or a login name, and are listed', async () => {
    const made = { accessKey: 'DAXKEYONE', secretKey: 'secret-of-dax-1' };
    expect(
      (await add('add-service-account', { targetUser: dnOf('dax').toUpperCase().replace('CN=DAX', 'CN=dax'), ...made }))
        .status,
    ).toBe(200);
    expect(await s3(made, 'GET', '/')).toBe(200);
    const other = { accessKey: 'DAXKEYTWO', secretKey: 'secret-of-dax-2' };
    expect((await add('idp/ldap/add-service-account', { targetUser: 'dax', ...other })).status).toBe(200);
    const query = { userDNs: 'dax', listType: 'svcacc-only' };
    const listed = await (await admin({ method: 'GET', path: 'idp/ldap/list-access-keys-bulk', query })).json();
    expect(listed).toMatchObject({
      [dnOf('dax')]: { serviceAccounts: [{ accessKey: 'DAXKEYONE' }, { accessKey: 'DAXKEYTWO' }], stsKeys: null },
    });
    const info = await (
      await admin({ method: 'GET', path: 'info-access-key', query: { accessKey: 'DAXKEYTWO' } })
    ).json();
    expect(info).toMatchObject({
      parentUser: dnOf('dax'),
      userProvider: 'ldap',
      ldapSpecificInfo: { username: 'dax' },
    });
  });

  it('of others are for those who may', async () => {
    const dax = adminClient(server, await session('dax'));
    expect((await add('add-service-account', { targetUser: 'sisko' }, dax)).code).toBe('AccessDenied');
    expect((await add('idp/ldap/add-service-account', { targetUser: 'morn' }, dax)).code).toBe('AccessDenied');
    expect((await add('idp/ldap/add-service-account', {}, dax)).status).toBe(200);
    expect((await add('idp/ldap/add-service-account', { targetUser: 'morn' })).code).toBe('XMinioAdminNoSuchUser');
    const query = { userDNs: 'sisko', listType: 'all' };
    expect((await dax({ method: 'GET', path: 'idp/ldap/list-access-keys-bulk', query })).code).toBe('AccessDenied');
  });

  it('stay when sessions are revoked', async () => {
    const tagged = await session('dax', { TokenRevokeType: 'nightly' });
    const plain = await session('dax');
    const revoke = (query: Record<string, string>) => admin({ method: 'POST', path: 'revoke-tokens/ldap', query });
    expect((await revoke({ user: 'dax', tokenRevokeType: 'nightly' })).status).toBe(204);
    expect(await s3(tagged, 'GET', '/')).toBe(403);
    expect(await s3(plain, 'GET', '/')).toBe(200);
    expect((await revoke({ user: dnOf('dax'), fullRevoke: 'true' })).status).toBe(204);
    expect(await s3(plain, 'GET', '/')).toBe(403);
    expect(await s3({ accessKey: 'DAXKEYONE', secretKey: 'secret-of-dax-1' }, 'GET', '/')).toBe(200);
    expect((await revoke({ user: 'morn', fullRevoke: 'true' })).code).toBe('XMinioAdminNoSuchUser');
  });
});

describe('who may not', () => {
  it('has one answer, whatever is wrong', async () => {
    const answers = [
      await login('sisko', 'wrong'),
      await login('morn', 'wrong'),
      await login('twin', 'twin-password'),
      await login('*', people.sisko.password),
      await login('sisko)(uid=*', people.sisko.password),
    ];
    const kinds = answers.map(({ status, code, message }) => `${status} ${code} ${message}`);
    expect(new Set(kinds)).toEqual(new Set(['403 AccessDenied The user name or the password is not right.']));
  });

  it('does not get in without a password', async () => {
    expect((await login('sisko', '')).code).toBe('MissingParameter');
  });

  it('is let try ten times, whatever X-Forwarded-For says', async () => {
    const tries = Array.from({ length: 14 }, async (_, index) => {
      const response = await fetch(`${server.url}/`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-forwarded-for': `192.0.2.${index}`,
          'x-real-ip': `192.0.2.${index}`,
        },
        body: formOf({ Action: 'AssumeRoleWithLDAPIdentity', LDAPUsername: 'jose', LDAPPassword: `guess ${index}` }),
      });
      return readStsAnswer(response.status, await response.text());
    });
    const codes = (await Promise.all(tries)).map(({ code }) => code);
    expect(codes.filter((code) => code === 'AccessDenied').length).toBe(10);
    expect(codes.filter((code) => code === 'Throttling').length).toBe(4);
    expect(await login('jose', people.jose.password)).toMatchObject({ status: 429, code: 'Throttling' });
  });

  it('leaves no password in what the server says', () => {
    for (const { password } of Object.values(people)) expect(server.output()).not.toContain(password);
    expect(server.output()).not.toContain('look-up-password');
  });
});

describe('an archive of accounts', () => {
  it('has mappings and access keys of the directory, and brings them back under one spelling', async () => {
    const key = { accessKey: 'SISKOKEY', secretKey: 'secret-of-sisko' };
    await admin({ method: 'PUT', path: 'add-service-account', sealed: { targetUser: 'sisko', ...key } });
    const archive = (await admin({ method: 'GET', path: 'export-iam' })).body;
    const mapped = { policies: ['consoleAdmin'], user: 'sisko' };
    const grouped = { policies: ['consoleAdmin'], group: `cn=ops,${groupBase}` };
    expect((await change('detach', mapped)).status).toBe(200);
    expect((await change('detach', grouped)).status).toBe(200);
    await admin({ method: 'DELETE', path: 'delete-service-account', query: { accessKey: key.accessKey } });
    expect(await s3(key, 'GET', '/')).toBe(403);
    const imported = await (await admin({ method: 'PUT', path: 'import-iam-v2', body: archive })).json();
    expect(imported['failed']).toEqual({});
    expect((await change('attach', mapped)).code).toBe('XMinioAdminPolicyChangeAlreadyApplied');
    expect((await change('attach', grouped)).code).toBe('XMinioAdminPolicyChangeAlreadyApplied');
    expect(await s3(key, 'GET', '/')).toBe(200);
  });
});

describe('a set-up that is stored', () => {
  it('is taken when the directory answers, and counts from the next start', async () => {
    const other = await startServerProcess({ driveCount: 1, port: await freePort() });
    try {
      const asked = adminClient(other, other);
      const set = (method: string, words: string) =>
        asked({ method, path: 'idp-config/ldap/_', body: seal(other.secretKey, Buffer.from(words)) });
      const words = (password: string, base = userBase) =>
        `server_addr=127.0.0.1:${slapd.port} server_insecure=on lookup_bind_dn=${lookup.dn} ` +
        `lookup_bind_password=${password} user_dn_search_base_dn=${base} user_dn_search_filter=(uid=%s)`;
      const wrong = [
        [words('wrong'), 'LDAP Lookup Bind Error'],
        [words(lookup.password, `cn=nowhere,${userBase}`), 'Search Parameters Misconfigured'],
        [words(lookup.password).replace(`:${slapd.port}`, ':1'), 'LDAP Server Connection Error'],
      ] as const;
      for (const [text, title] of wrong) {
        const answer = await set('PUT', text);
        expect(answer.code).toBe('XMinioAdminConfigLDAPValidation');
        expect(answer.message).toContain(title);
        expect(answer.message).not.toContain(lookup.password);
      }
      expect((await set('PUT', words(lookup.password).replace('%s', 'x'))).code).toBe('XMinioConfigError');
      expect((await asked({ method: 'GET', path: 'idp/ldap/policy-entities' })).code).toBe('XMinioLDAPNotEnabled');
      expect((await set('PUT', words(lookup.password))).status).toBe(200);
      const shown = await asked({ method: 'GET', path: 'idp-config/ldap/_' });
      expect((await shown.opened()).toString()).not.toContain(lookup.password);
      // The second that accounts would come from.
      const second = await asked({
        ...{ method: 'PUT', path: 'idp-config/openid/_' },
        body: seal(other.secretKey, Buffer.from('config_url=http://127.0.0.1:1/ client_id=granary')),
      });
      expect(second.status).toBe(400);
      expect(second.message).toContain('LDAP');
      await asked({ method: 'POST', path: 'service', query: { action: 'restart', type: '2' } });
      await other.ready(1);
      const user = `cn=sisko,${userBase}`;
      const attach = { method: 'POST', path: 'idp/ldap/policy/attach', sealed: { policies: ['readonly'], user } };
      expect((await asked(attach)).status).toBe(200);
    } finally {
      await other.stop();
    }
  }, 90_000);
});

describe('the example', () => {
  it('signs in and prints the buckets and the credentials', async () => {
    const child = spawn(
      'npm',
      ['run', '--silent', 'example:ldap', '--', '-u', 'sisko', '-p', people.sisko.password, '-sts-ep', server.url],
      { cwd: root },
    );
    let printed = '';
    child.stdout.on('data', (data: Buffer) => (printed += data.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(0);
    const found = JSON.parse(printed.slice(printed.indexOf('{\n'))) as { buckets: string[]; credentials: object };
    expect(found.buckets).toEqual(['promenade', 'symbionts']);
    expect(found.credentials).toMatchObject({ SignerType: 1, AccessKeyID: expect.any(String) as string });
  });
});

describe('what the directory does', () => {
  it('reaches live sessions: a group that is left takes its policies along', async () => {
    const obrien = adminClient(server, await session('obrien'));
    expect((await obrien({ method: 'GET', path: 'info' })).status).toBe(200);
    const member = new Attribute({ type: 'member', values: [dnOf('obrien')] });
    const edit = (operation: 'add' | 'delete') =>
      slapd.change((client) =>
        client.modify(`cn=engineering,${groupBase}`, new Change({ operation, modification: member })),
      );
    await edit('delete');
    await until(async () => (await obrien({ method: 'GET', path: 'info' })).code === 'AccessDenied');
    await edit('add');
    await until(async () => (await obrien({ method: 'GET', path: 'info' })).status === 200);
  });

  it('takes credentials of who is removed, and nobody else’s', async () => {
    const dax = await session('dax');
    const sisko = await session('sisko');
    const key = { accessKey: 'DAXKEYONE', secretKey: 'secret-of-dax-1' };
    await slapd.change((client) => client.del(dnOf('dax')));
    await until(async () => (await s3(dax, 'GET', '/')) === 403 && (await s3(key, 'GET', '/')) === 403);
    expect(await s3(sisko, 'GET', '/')).toBe(200);
    // What is attached to it can still be taken off.
    expect((await change('detach', { policies: ['readwrite'], user: dnOf('dax') })).status).toBe(200);
  });

  it('when it is down, refuses logins within the time and takes nothing from anybody', async () => {
    const sisko = await session('sisko');
    await slapd.down();
    const startedMs = Date.now();
    expect(await login('sisko', people.sisko.password)).toMatchObject({ status: 500, code: 'InternalError' });
    expect(Date.now() - startedMs).toBeLessThan(10_000);
    expect((await change('attach', { policies: ['readonly'], user: 'jose' })).code).toBe('XMinioLDAPUnavailable');
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await s3(sisko, 'GET', '/')).toBe(200);
    expect((await admin({ method: 'GET', path: 'info' })).status).toBe(200);
    await slapd.start();
    expect((await login('sisko', people.sisko.password)).status).toBe(200);
  });

  it('when it hangs, refuses logins within the time while everything else is served', async () => {
    await slapd.pause();
    try {
      const startedMs = Date.now();
      const pending = login('sisko', people.sisko.password);
      const served = Date.now();
      expect((await admin({ method: 'GET', path: 'groups' })).status).toBe(200);
      expect(Date.now() - served).toBeLessThan(2_000);
      expect(await pending).toMatchObject({ status: 500, code: 'InternalError' });
      expect(Date.now() - startedMs).toBeLessThan(20_000);
    } finally {
      slapd.resume();
    }
  }, 40_000);
});
