/** The rules of accounts, one by one. */
import { inspect } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { createIam, type NewAccessKey, type NewSession, type Principal } from '../../../src/identity/index.js';
import { kernels } from '../../../src/native/index.js';
import { parsePolicy, type PolicySet } from '../../../src/policy/index.js';
import { iamWorld, rootCredentials, type IamWorld } from '../../support/memory-iam.js';

const getOnly = (kind: 'identity' | 'session') =>
  parsePolicy(
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::*'] }],
    }),
    kind,
  );
const emptyPolicy = () => parsePolicy('{"Version":"2012-10-17","Statement":[]}', 'session');

let world: IamWorld;
let { iam } = {} as IamWorld;

beforeEach(async () => {
  world = await iamWorld();
  ({ iam } = world);
});

const addUser = (name: string, secretKey = 'secret-of-user') => iam.setUser(name, { secretKey, status: 'enabled' });
const newKey = (change: Partial<NewAccessKey> = {}): NewAccessKey => ({
  parent: 'alice',
  parentSource: 'internal',
  accessKey: '',
  secretKey: '',
  name: '',
  description: '',
  policy: null,
  expiresMs: null,
  claims: new Map(),
  groups: [],
  ...change,
});
const newSession = (change: Partial<NewSession> = {}): NewSession => ({
  parent: 'alice',
  parentSource: 'internal',
  expiresMs: world.clock.ms + 3_600_000,
  policy: null,
  policyNames: [],
  claims: new Map(),
  groups: [],
  revokeType: '',
  ...change,
});
function principalOf(accessKey: string): Principal {
  const found = iam.credentials.lookup(accessKey);
  if (found === null) throw new Error(`${accessKey} is not there`);
  return found.principal;
}
const policiesOf = (accessKey: string): PolicySet => iam.policiesOf(principalOf(accessKey), null);
const identityTexts = (accessKey: string): string[] => policiesOf(accessKey).identity.map(({ text }) => text);
const builtIn = (name: string): string => iam.policy(name)?.policy.text ?? '';
const isDeny = (texts: readonly string[]): boolean => texts.length === 1 && texts[0]?.includes('"Deny"') === true;

describe('users', () => {
  it('are found by their key until they are disabled or removed', async () => {
    await addUser('alice');
    expect(iam.credentials.lookup('alice')).toMatchObject({ accessKey: 'alice', secretKey: 'secret-of-user' });
    expect(principalOf('alice')).toMatchObject({ kind: 'user', account: 'alice', source: 'internal' });
    await iam.setUserStatus('alice', 'disabled');
    expect(iam.credentials.lookup('alice')).toBeNull();
    expect(iam.user('alice')?.status).toBe('disabled');
    await iam.setUserStatus('alice', 'enabled');
    expect(iam.credentials.lookup('alice')).not.toBeNull();
    await iam.removeUser('alice');
    expect(iam.credentials.lookup('alice')).toBeNull();
    expect(iam.user('alice')).toBeNull();
  });

  it('keep policies and groups when they are set again', async () => {
    await addUser('alice');
    await iam.addToGroup('team', ['alice']);
    await iam.attach({ kind: 'user', name: 'alice' }, ['readonly']);
    await addUser('alice', 'another-secret');
    expect(iam.user('alice')).toMatchObject({ policies: ['readonly'], groups: ['team'] });
    expect(iam.credentials.lookup('alice')?.secretKey).toBe('another-secret');
  });

  it.each([
    ['al', 'XMinioAdminInvalidAccessKey', 400],
    ['a=b', 'XMinioAdminInvalidAccessKey', 400],
    ['a,b', 'XMinioAdminInvalidAccessKey', 400],
    [' alice', 'XMinioInvalidResource', 400],
    ['alice\n', 'XMinioInvalidResource', 400],
    ['ali\u0000ce', 'XMinioInvalidResource', 400],
    ['ali\ud800ce', 'XMinioInvalidResource', 400],
    ['a'.repeat(801), 'XMinioInvalidResource', 400],
    ['rootuser', 'XMinioInvalidIAMCredentials', 403],
  ])('may not be called %j', async (name, code, status) => {
    await expect(addUser(name)).rejects.toMatchObject({ code, status });
    expect(iam.users()).toEqual([]);
  });

  it('have a secret of 8 characters at least', async () => {
    await expect(addUser('alice', 'short77')).rejects.toMatchObject({ code: 'XMinioAdminInvalidSecretKey' });
  });

  it('cannot take the name of an access key or a session', async () => {
    await addUser('alice');
    const key = await iam.createAccessKey(newKey());
    const session = await iam.createSession(newSession());
    for (const { accessKey } of [key, session]) {
      await expect(addUser(accessKey)).rejects.toMatchObject({ code: 'XMinioInvalidIAMCredentials', status: 403 });
    }
  });

  it('that are not there are refused', async () => {
    await expect(iam.removeUser('nobody')).rejects.toMatchObject({ code: 'XMinioAdminNoSuchUser', status: 404 });
    await expect(iam.setUserStatus('nobody', 'enabled')).rejects.toMatchObject({ code: 'XMinioAdminNoSuchUser' });
    await expect(iam.setUserStatus('rootuser', 'disabled')).rejects.toMatchObject({
      code: 'XMinioIAMActionNotAllowed',
      status: 403,
    });
  });

  it('go with their keys, sessions, mapping and memberships, and do not come back with the name', async () => {
    await addUser('alice');
    await addUser('bob');
    await iam.addToGroup('team', ['alice', 'bob']);
    await iam.attach({ kind: 'user', name: 'alice' }, ['readwrite']);
    const key = await iam.createAccessKey(newKey());
    const session = await iam.createSession(newSession());
    const other = await iam.createAccessKey(newKey({ parent: 'bob' }));
    await iam.removeUser('alice');
    expect(iam.credentials.lookup(key.accessKey)).toBeNull();
    expect(iam.credentials.lookup(session.accessKey)).toBeNull();
    expect(iam.credentials.lookup(other.accessKey)).not.toBeNull();
    expect(iam.group('team')?.members).toEqual(['bob']);
    expect(iam.parents()).toEqual(['bob']);
    expect([...world.store.records.keys()].filter((name) => /alice|AAAA/.test(name))).toEqual([]);
    await addUser('alice');
    expect(iam.user('alice')).toMatchObject({ policies: [], groups: [] });
    expect(policiesOf('alice').identity).toEqual([]);
  });
});

describe('root', () => {
  it('is found, is nobody else, and its secret is not printed', () => {
    const root = iam.credentials.lookup('rootuser');
    expect(root?.secretKey).toBe(rootCredentials.secretKey);
    expect(policiesOf('rootuser')).toMatchObject({ isRoot: true, session: [] });
    expect(inspect(root, { depth: 9, showHidden: true }) + JSON.stringify(root)).not.toContain('root-secret');
  });

  it('has access keys with all its rights, unless a policy restricts them', async () => {
    const plain = await iam.createAccessKey(newKey({ parent: 'rootuser', parentSource: 'root' }));
    const policy = getOnly('session');
    const restricted = await iam.createAccessKey(newKey({ parent: 'rootuser', parentSource: 'root', policy }));
    expect(policiesOf(plain.accessKey)).toMatchObject({ isRoot: true, session: [] });
    expect(policiesOf(restricted.accessKey)).toMatchObject({ isRoot: false, session: [policy] });
    expect(policiesOf(restricted.accessKey).identity).toHaveLength(1);
    const session = await iam.createSession(newSession({ parent: 'rootuser', parentSource: 'root', policy }));
    expect(policiesOf(session.accessKey).isRoot).toBe(false);
  });

  it('is only the account of that name: no other parent gets its rights', async () => {
    await expect(iam.createAccessKey(newKey({ parent: 'alice', parentSource: 'root' }))).rejects.toMatchObject({
      code: 'XMinioAdminNoSuchUser',
    });
  });
});

describe('groups', () => {
  it('give their policies to members, from the next request on', async () => {
    await addUser('alice');
    await iam.addToGroup('team', ['alice']);
    expect(policiesOf('alice').identity).toEqual([]);
    await iam.attach({ kind: 'group', name: 'team' }, ['readonly']);
    expect(identityTexts('alice')).toEqual([builtIn('readonly')]);
    expect(principalOf('alice')).toMatchObject({ groups: ['team'] });
    await iam.removeFromGroup('team', ['alice']);
    expect(policiesOf('alice').identity).toEqual([]);
    expect(principalOf('alice')).toMatchObject({ groups: [] });
  });

  it('that are disabled take all policies off their members', async () => {
    await addUser('alice');
    await iam.attach({ kind: 'user', name: 'alice' }, ['readwrite']);
    await iam.addToGroup('team', ['alice']);
    await iam.setGroupStatus('team', 'disabled');
    expect(policiesOf('alice').identity).toEqual([]);
    await iam.setGroupStatus('team', 'enabled');
    expect(identityTexts('alice')).toEqual([builtIn('readwrite')]);
  });

  it('never apply to external accounts, whatever their claims say', async () => {
    await addUser('alice');
    await iam.addToGroup('admins', ['alice']);
    await iam.attach({ kind: 'group', name: 'admins' }, ['consoleAdmin']);
    for (const parentSource of ['openid', 'ldap', 'plugin', 'certificate'] as const) {
      for (const parent of ['stranger', 'alice']) {
        const session = await iam.createSession(newSession({ parent, parentSource, groups: ['admins'] }));
        expect(isDeny(identityTexts(session.accessKey))).toBe(true);
        expect(policiesOf(session.accessKey).isRoot).toBe(false);
      }
    }
  });

  it('are removed only when they are empty, with their mapping', async () => {
    await addUser('alice');
    await iam.addToGroup('team', ['alice']);
    await iam.attach({ kind: 'group', name: 'team' }, ['readonly']);
    await expect(iam.removeFromGroup('team', [])).rejects.toMatchObject({ code: 'XMinioAdminGroupNotEmpty' });
    await iam.removeFromGroup('team', ['alice']);
    await iam.removeFromGroup('team', []);
    expect(iam.group('team')).toBeNull();
    await iam.addToGroup('team', ['alice']);
    expect(iam.group('team')).toMatchObject({ members: ['alice'], policies: [], status: 'enabled' });
  });

  it('take users only', async () => {
    await addUser('alice');
    const { accessKey } = await iam.createAccessKey(newKey());
    await expect(iam.addToGroup('team', ['nobody'])).rejects.toMatchObject({ code: 'XMinioAdminNoSuchUser' });
    await expect(iam.addToGroup('team', [accessKey])).rejects.toMatchObject({ code: 'XMinioIAMActionNotAllowed' });
    await expect(iam.addToGroup('team', ['rootuser'])).rejects.toMatchObject({ code: 'XMinioIAMActionNotAllowed' });
    await expect(iam.addToGroup('a,b', ['alice'])).rejects.toMatchObject({ code: 'XMinioInvalidGroupName' });
    await expect(iam.addToGroup('', ['alice'])).rejects.toMatchObject({ code: 'XMinioInvalidGroupName' });
    await expect(iam.removeFromGroup('none', [])).rejects.toMatchObject({ code: 'XMinioAdminNoSuchGroup' });
    await expect(iam.setGroupStatus('none', 'enabled')).rejects.toMatchObject({ code: 'XMinioAdminNoSuchGroup' });
    expect(iam.groups()).toEqual([]);
  });
});

describe('policies', () => {
  it('have the built-in ones, which can be overridden and not removed', async () => {
    expect(iam.policies().map(({ name }) => name)).toEqual(
      expect.arrayContaining(['consoleAdmin', 'diagnostics', 'readonly', 'readwrite', 'writeonly']),
    );
    await expect(iam.removePolicy('readonly')).rejects.toMatchObject({ code: 'XMinioIAMActionNotAllowed' });
    const before = builtIn('readonly');
    await iam.setPolicy('readonly', getOnly('identity'));
    expect(builtIn('readonly')).toBe(getOnly('identity').text);
    await iam.removePolicy('readonly');
    expect(builtIn('readonly')).toBe(before);
  });

  it('in use are not removed; sessions that name them do not hold them', async () => {
    await addUser('alice');
    await iam.setPolicy('mine', getOnly('identity'));
    await iam.createSession(newSession({ parent: 'sub', parentSource: 'openid', policyNames: ['mine'] }));
    for (const holder of [
      { kind: 'user', name: 'alice' },
      { kind: 'ldap-group', name: 'cn=x,dc=y' },
    ] as const) {
      await iam.attach(holder, ['mine']);
      await expect(iam.removePolicy('mine')).rejects.toMatchObject({ code: 'XMinioIAMPolicyInUse' });
      await iam.detach(holder, ['mine']);
    }
    await iam.removePolicy('mine');
    await expect(iam.removePolicy('mine')).rejects.toMatchObject({ code: 'XMinioAdminNoSuchPolicy', status: 404 });
  });

  it('change for everybody who has them at once', async () => {
    await addUser('alice');
    await iam.setPolicy('mine', getOnly('identity'));
    await iam.attach({ kind: 'user', name: 'alice' }, ['mine']);
    const before = identityTexts('alice');
    await iam.setPolicy('mine', parsePolicy(builtIn('writeonly'), 'identity'));
    expect(identityTexts('alice')).not.toEqual(before);
  });

  it('may not be called with a comma or nothing', async () => {
    await expect(iam.setPolicy('a,b', getOnly('identity'))).rejects.toMatchObject({ code: 'PolicyInvalidName' });
    await expect(iam.setPolicy('', getOnly('identity'))).rejects.toMatchObject({ code: 'PolicyInvalidName' });
    await expect(iam.setPolicy(' a', getOnly('identity'))).rejects.toMatchObject({ code: 'XMinioInvalidResource' });
  });
});

describe('attachments', () => {
  const alice = { kind: 'user', name: 'alice' } as const;

  it('say what changed, and refuse when nothing would', async () => {
    await addUser('alice');
    expect((await iam.attach(alice, ['readonly', 'writeonly'])).changed).toEqual(['readonly', 'writeonly']);
    expect((await iam.attach(alice, ['readonly', 'diagnostics'])).changed).toEqual(['diagnostics']);
    await expect(iam.attach(alice, ['readonly'])).rejects.toMatchObject({
      code: 'XMinioAdminPolicyChangeAlreadyApplied',
      status: 400,
    });
    expect((await iam.detach(alice, ['readonly', 'readwrite'])).changed).toEqual(['readonly']);
    await expect(iam.detach(alice, ['readonly'])).rejects.toMatchObject({
      code: 'XMinioAdminPolicyChangeAlreadyApplied',
    });
    expect(iam.user('alice')?.policies).toEqual(['writeonly', 'diagnostics']);
    await iam.setPolicies(alice, ['readwrite']);
    expect(iam.user('alice')?.policies).toEqual(['readwrite']);
    await iam.setPolicies(alice, []);
    expect(iam.user('alice')?.policies).toEqual([]);
  });

  it('need both ends', async () => {
    await addUser('alice');
    const { accessKey } = await iam.createAccessKey(newKey());
    await expect(iam.attach(alice, ['none'])).rejects.toMatchObject({ code: 'XMinioAdminNoSuchPolicy' });
    await expect(iam.detach(alice, ['none'])).rejects.toMatchObject({ code: 'XMinioAdminNoSuchPolicy' });
    await expect(iam.attach({ kind: 'user', name: 'bob' }, ['readonly'])).rejects.toMatchObject({
      code: 'XMinioAdminNoSuchUser',
    });
    await expect(iam.attach({ kind: 'group', name: 'g' }, ['readonly'])).rejects.toMatchObject({
      code: 'XMinioAdminNoSuchGroup',
    });
    for (const name of ['rootuser', accessKey]) {
      await expect(iam.attach({ kind: 'user', name }, ['readonly'])).rejects.toMatchObject({
        code: 'XMinioIAMActionNotAllowed',
      });
    }
  });

  it('are listed by user, group and policy', async () => {
    await addUser('alice');
    await addUser('bob');
    await iam.addToGroup('team', ['alice']);
    await iam.attach(alice, ['writeonly', 'readonly']);
    await iam.attach({ kind: 'group', name: 'team' }, ['readonly']);
    await iam.attach({ kind: 'ldap-user', name: 'cn=x' }, ['readonly']);
    const query = { users: [], groups: [], policies: [], directory: 'internal' } as const;
    const memberOf = [{ group: 'team', policies: ['readonly'] }];
    expect(iam.entities(query)).toEqual({
      users: [{ user: 'alice', policies: ['readonly', 'writeonly'], groups: memberOf }],
      groups: memberOf,
      policies: [
        { policy: 'readonly', users: ['alice'], groups: ['team'] },
        { policy: 'writeonly', users: ['alice'], groups: [] },
      ],
    });
    expect(iam.entities({ ...query, users: ['bob', 'alice'] }).users.map(({ user }) => user)).toEqual(['alice']);
    expect(iam.entities({ ...query, policies: ['writeonly'] })).toMatchObject({ users: [], groups: [] });
    expect(iam.entities({ ...query, directory: 'ldap' })).toMatchObject({
      users: [{ user: 'cn=x', policies: ['readonly'] }],
      groups: [],
    });
  });
});

describe('access keys', () => {
  beforeEach(async () => {
    await addUser('alice');
    await iam.attach({ kind: 'user', name: 'alice' }, ['readwrite']);
  });

  it('have the rights of their parent', async () => {
    const made = await iam.createAccessKey(newKey({ name: 'ci', description: 'for builds' }));
    expect(made.accessKey).toMatch(/^[0-9A-Z]{20}$/);
    expect(made.secretKey).toMatch(/^[0-9A-Za-z+]{40}$/);
    expect(made).toMatchObject({ sessionToken: '', expiresMs: null });
    expect(principalOf(made.accessKey)).toMatchObject({ kind: 'service-account', account: 'alice' });
    expect(identityTexts(made.accessKey)).toEqual([builtIn('readwrite')]);
    expect(iam.accessKey(made.accessKey)).toMatchObject({ name: 'ci', parent: 'alice', kind: 'service-account' });
    expect(iam.accessKeysOf('alice').map(({ accessKey }) => accessKey)).toEqual([made.accessKey]);
    await iam.detach({ kind: 'user', name: 'alice' }, ['readwrite']);
    expect(identityTexts(made.accessKey)).toEqual([]);
  });

  it('with a policy are held to it; one that says nothing inherits', async () => {
    const policy = getOnly('session');
    const restricted = await iam.createAccessKey(newKey({ policy }));
    expect(policiesOf(restricted.accessKey).session).toEqual([policy]);
    const inherits = await iam.createAccessKey(newKey({ policy: emptyPolicy() }));
    expect(policiesOf(inherits.accessKey).session).toEqual([]);
    expect(iam.accessKey(inherits.accessKey)?.policy).toBeNull();
  });

  it('keep what a change does not name: a new description does not widen rights', async () => {
    const policy = getOnly('session');
    const { accessKey } = await iam.createAccessKey(newKey({ policy, expiresMs: world.clock.ms + 9e6 }));
    await iam.updateAccessKey(accessKey, { description: 'x' });
    expect(iam.accessKey(accessKey)).toMatchObject({ description: 'x', policy, expiresMs: world.clock.ms + 9e6 });
    await iam.updateAccessKey(accessKey, { secretKey: 'another-secret', name: 'n2' });
    expect(policiesOf(accessKey).session).toEqual([policy]);
    expect(iam.credentials.lookup(accessKey)?.secretKey).toBe('another-secret');
    await iam.updateAccessKey(accessKey, { policy: null, expiresMs: null });
    expect(policiesOf(accessKey).session).toEqual([]);
    expect(iam.accessKey(accessKey)?.expiresMs).toBeNull();
    await iam.updateAccessKey(accessKey, { status: 'disabled' });
    expect(iam.credentials.lookup(accessKey)).toBeNull();
  });

  it('expire, and can be prolonged', async () => {
    const { accessKey } = await iam.createAccessKey(newKey({ expiresMs: world.clock.ms + 1000 }));
    world.clock.ms += 999;
    expect(iam.credentials.lookup(accessKey)).not.toBeNull();
    world.clock.ms += 1;
    expect(iam.credentials.lookup(accessKey)).toBeNull();
    await iam.updateAccessKey(accessKey, { expiresMs: world.clock.ms + 1000 });
    expect(iam.credentials.lookup(accessKey)).not.toBeNull();
    await expect(iam.updateAccessKey(accessKey, { expiresMs: world.clock.ms })).rejects.toMatchObject({
      code: 'XMinioInvalidResource',
    });
  });

  it.each<[Partial<NewAccessKey>, string]>([
    [{ accessKey: 'mykey' }, 'XMinioAdminNoSecretKey'],
    [{ secretKey: 'some-secret' }, 'XMinioAdminNoAccessKey'],
    [{ accessKey: 'my', secretKey: 'some-secret' }, 'XMinioAdminInvalidAccessKey'],
    [{ accessKey: 'x'.repeat(21), secretKey: 'some-secret' }, 'XMinioAdminInvalidAccessKey'],
    [{ accessKey: 'mykey', secretKey: 'short77' }, 'XMinioAdminInvalidSecretKey'],
    [{ accessKey: 'mykey', secretKey: 's'.repeat(41) }, 'XMinioAdminInvalidSecretKey'],
    [{ accessKey: 'rootuser', secretKey: 'some-secret' }, 'XMinioInvalidIAMCredentials'],
    [{ accessKey: 'alice', secretKey: 'some-secret' }, 'XMinioInvalidIAMCredentials'],
    [{ accessKey: 'site-replicator-0', secretKey: 'some-secret' }, 'XMinioInvalidIAMCredentials'],
    [{ name: '1st' }, 'XMinioInvalidResource'],
    [{ name: 'n'.repeat(33) }, 'XMinioInvalidResource'],
    [{ description: 'ü'.repeat(129) }, 'XMinioInvalidResource'],
    [{ expiresMs: 1 }, 'XMinioInvalidResource'],
    [{ parent: 'nobody' }, 'XMinioAdminNoSuchUser'],
  ])('refuse %j', async (change, code) => {
    await expect(iam.createAccessKey(newKey(change))).rejects.toMatchObject({ code });
    expect(iam.accessKeysOf('alice')).toEqual([]);
  });

  it('are not made twice, and do not hang from one another', async () => {
    const pair = { accessKey: 'mykey', secretKey: 'some-secret' };
    await iam.createAccessKey(newKey(pair));
    await expect(iam.createAccessKey(newKey(pair))).rejects.toMatchObject({ code: 'XMinioInvalidIAMCredentials' });
    await expect(iam.createAccessKey(newKey({ parent: 'mykey' }))).rejects.toMatchObject({
      code: 'XMinioIAMServiceAccountNotAllowed',
    });
  });

  it('refuse a policy of more than 4096 bytes', async () => {
    const resources = Array.from({ length: 200 }, (_, index) => `arn:aws:s3:::bucket-number-${index}/*`);
    const text = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['s3:*'], Resource: resources }] };
    const policy = parsePolicy(JSON.stringify(text), 'session');
    await expect(iam.createAccessKey(newKey({ policy }))).rejects.toMatchObject({
      code: 'XMinioIAMServiceAccountSessionPolicyTooLarge',
    });
  });

  it('that are not there are refused alike, and sessions are not changed as access keys', async () => {
    const session = await iam.createSession(newSession());
    for (const accessKey of ['nothing', 'alice', session.accessKey]) {
      await expect(iam.updateAccessKey(accessKey, { name: 'x' })).rejects.toMatchObject({
        code: 'XMinioInvalidIAMCredentials',
        status: 404,
      });
    }
    await expect(iam.removeAccessKey('nothing')).rejects.toMatchObject({ status: 404 });
  });

  it('of a disabled parent may do nothing, not even what everybody may', async () => {
    const { accessKey } = await iam.createAccessKey(newKey());
    const session = await iam.createSession(newSession());
    await iam.setUserStatus('alice', 'disabled');
    expect(isDeny(identityTexts(accessKey))).toBe(true);
    expect(isDeny(identityTexts(session.accessKey))).toBe(true);
    await iam.setUserStatus('alice', 'enabled');
    expect(identityTexts(accessKey)).toEqual([builtIn('readwrite')]);
  });

  it('show no secret where they are printed', async () => {
    const { accessKey, secretKey } = await iam.createAccessKey(newKey());
    const session = await iam.createSession(newSession());
    const printed = [accessKey, session.accessKey, 'alice'].map((name) => {
      const found = iam.credentials.lookup(name);
      return (
        inspect(found, { depth: 9, showHidden: true }) + JSON.stringify(found) + JSON.stringify(iam.accessKey(name))
      );
    });
    for (const secret of [secretKey, session.secretKey, session.sessionToken, 'secret-of-user']) {
      expect(printed.join()).not.toContain(secret);
    }
  });
});

describe('sessions', () => {
  beforeEach(() => addUser('alice'));

  const claimsOf = (token: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

  it('carry a token with the claims of their kind', async () => {
    const policy = getOnly('session');
    const made = await iam.createSession(newSession({ policy, revokeType: 'laptop' }));
    expect(JSON.parse(Buffer.from(made.sessionToken.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'HS512',
      typ: 'JWT',
    });
    expect(claimsOf(made.sessionToken)).toEqual({
      accessKey: made.accessKey,
      exp: (made.expiresMs ?? 0) / 1000,
      parent: 'alice',
      sessionPolicy: Buffer.from(policy.text).toString('base64'),
      tokenRevokeType: 'laptop',
    });
    expect(iam.credentials.lookup(made.accessKey)?.sessionToken).toBe(made.sessionToken);
    expect(policiesOf(made.accessKey).session).toEqual([policy]);
  });

  it('take no claim from a provider in place of one of their own', async () => {
    const claims = new Map<string, string>([
      ['accessKey', 'forged'],
      ['exp', '99999999999'],
      ['sub', 'me'],
    ]);
    const made = await iam.createSession(newSession({ parent: 'hash', parentSource: 'openid', claims }));
    expect(claimsOf(made.sessionToken)).toEqual({
      accessKey: made.accessKey,
      exp: (made.expiresMs ?? 0) / 1000,
      sub: 'me',
    });
  });

  it('keep large sets of claims out of the token, and hold them all the same', async () => {
    const claims = new Map([['groups', Array.from({ length: 5000 }, (_, index) => `group-${index}`)]]);
    const made = await iam.createSession(newSession({ parent: 'hash', parentSource: 'openid', claims }));
    expect(made.sessionToken.length).toBeLessThan(1000);
    expect(principalOf(made.accessKey)).toMatchObject({ claims });
  });

  it('have the policies that their provider named, and those attached to the external account', async () => {
    await iam.attach({ kind: 'external', name: 'hash' }, ['writeonly']);
    const made = await iam.createSession(
      newSession({ parent: 'hash', parentSource: 'openid', policyNames: ['readonly', 'not-there'] }),
    );
    expect(identityTexts(made.accessKey)).toEqual([builtIn('readonly'), builtIn('writeonly')]);
    const key = await iam.createAccessKey(newKey({ parent: 'hash', parentSource: 'openid' }));
    expect(identityTexts(key.accessKey)).toEqual([builtIn('readonly'), builtIn('writeonly')]);
  });

  it('of internal accounts have the policies of the account, whatever was named', async () => {
    const made = await iam.createSession(newSession({ policyNames: ['consoleAdmin'], groups: ['admins'] }));
    expect(identityTexts(made.accessKey)).toEqual([]);
    expect(principalOf(made.accessKey)).toMatchObject({ groups: [] });
  });

  it('of a directory have the policies of its entries', async () => {
    await iam.attach({ kind: 'ldap-user', name: 'uid=x,dc=y' }, ['readonly']);
    await iam.attach({ kind: 'ldap-group', name: 'cn=g,dc=y' }, ['writeonly']);
    const made = await iam.createSession(
      newSession({ parent: 'uid=x,dc=y', parentSource: 'ldap', groups: ['cn=g,dc=y', 'cn=h,dc=y'] }),
    );
    expect(identityTexts(made.accessKey)).toEqual([builtIn('readonly'), builtIn('writeonly')]);
  });

  it('end by themselves, and are swept from the store', async () => {
    const made = await iam.createSession(newSession({ expiresMs: world.clock.ms + 900_000 }));
    const key = await iam.createAccessKey(newKey({ expiresMs: world.clock.ms + 900_000 }));
    world.clock.ms += 900_000;
    expect(iam.credentials.lookup(made.accessKey)).toBeNull();
    expect(iam.accessKey(made.accessKey)).toBeNull();
    expect(iam.accessKeysOf('alice').map(({ accessKey }) => accessKey)).toEqual([key.accessKey]);
    expect(await world.sweep()).toBe(1);
    expect([...world.store.records.keys()].some((name) => name.includes(made.accessKey))).toBe(false);
    expect([...world.store.records.keys()].some((name) => name.includes(key.accessKey))).toBe(true);
  });

  it('are refused, but stay in the store, when the clock was set forward: it may be put right', async () => {
    const made = await iam.createSession(newSession({ expiresMs: world.clock.ms + 900_000 }));
    const isStored = () => [...world.store.records.keys()].some((name) => name.includes(made.accessKey));
    world.clock.setMs = 900_000;
    expect(iam.credentials.lookup(made.accessKey)).toBeNull();
    expect(await world.sweep()).toBe(0);
    world.clock.setMs = 0;
    expect(iam.credentials.lookup(made.accessKey)).not.toBeNull();
    world.clock.ms += 24 * 3_600_000 - 1;
    expect(await world.sweep()).toBe(0);
    world.clock.ms += 1;
    expect(await world.sweep()).toBe(1);
    expect(isStored()).toBe(false);
  });

  it('are tried again and again while the store takes nothing, which is said once', async () => {
    await iam.createSession(newSession({ expiresMs: world.clock.ms + 900_000 }));
    world.clock.ms += 900_000;
    const { store, clock } = world;
    const lines: string[] = [];
    let tries = 0;
    store.failure = new Error('no write quorum');
    store.beforeWrite = () => void tries++;
    const other = await createIam({ store, clock, rootCredentials, log: (text) => void lines.push(text), sweepMs: 1 });
    try {
      await expect.poll(() => tries).toBeGreaterThan(5);
      expect(lines).toEqual(['sessions that are over could not be removed; they are refused all the same']);
    } finally {
      other.close();
    }
  });

  it('are revoked by tag or all together; access keys stay', async () => {
    const tagged = await iam.createSession(newSession({ revokeType: 'laptop' }));
    const plain = await iam.createSession(newSession());
    const key = await iam.createAccessKey(newKey());
    expect(await iam.revokeSessions('alice', 'phone')).toBe(0);
    expect(await iam.revokeSessions('alice', 'laptop')).toBe(1);
    expect(iam.credentials.lookup(tagged.accessKey)).toBeNull();
    expect(iam.credentials.lookup(plain.accessKey)).not.toBeNull();
    expect(await iam.revokeSessions('alice', null)).toBe(1);
    expect(iam.credentials.lookup(plain.accessKey)).toBeNull();
    expect(iam.credentials.lookup(key.accessKey)).not.toBeNull();
  });

  it('are refused for a derived parent, a missing one, and an end that has passed', async () => {
    const { accessKey } = await iam.createAccessKey(newKey());
    await expect(iam.createSession(newSession({ parent: accessKey }))).rejects.toMatchObject({
      code: 'XMinioIAMServiceAccountNotAllowed',
    });
    await expect(iam.createSession(newSession({ parent: 'nobody' }))).rejects.toMatchObject({
      code: 'XMinioAdminNoSuchUser',
    });
    for (const expiresMs of [world.clock.ms, 0, NaN]) {
      await expect(iam.createSession(newSession({ expiresMs }))).rejects.toMatchObject({
        code: 'XMinioInvalidResource',
      });
    }
  });

  it('do not outlive a parent that is removed while they are made', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let isFirst = true;
    world.store.beforeWrite = () => {
      if (!isFirst) return undefined;
      isFirst = false;
      return held;
    };
    const making = iam.createSession(newSession());
    await Promise.resolve();
    await iam.removeUser('alice');
    release();
    await expect(making).rejects.toMatchObject({ code: 'XMinioAdminNoSuchUser' });
    expect(iam.parents()).toEqual([]);
    expect([...world.store.records.keys()]).toEqual(['iam/seal']);
  });
});

describe('changes', () => {
  it('are the same records, whoever computes their HMAC', async () => {
    await addUser('alice');
    const native = { mac: (key: Uint8Array, message: Uint8Array) => kernels.hmacSha256(key, message) };
    const again = await iamWorld({ store: world.store, clock: world.clock, ...native });
    expect(again.iam.user('alice')).toEqual(iam.user('alice'));
    await again.iam.setUser('bob', { secretKey: 'secret-of-bob', status: 'enabled' });
    const third = await iamWorld({ store: world.store, clock: world.clock });
    expect(third.iam.users().map(({ name }) => name)).toEqual(['alice', 'bob']);
  });

  it('that the store refuses are not made', async () => {
    await addUser('alice');
    world.store.failure = new Error('SlowDownWrite');
    await expect(addUser('bob')).rejects.toThrow('SlowDownWrite');
    await expect(iam.attach({ kind: 'user', name: 'alice' }, ['readonly'])).rejects.toThrow('SlowDownWrite');
    await expect(iam.removeUser('alice')).rejects.toThrow('SlowDownWrite');
    expect(iam.user('bob')).toBeNull();
    expect(iam.user('alice')?.policies).toEqual([]);
    world.store.failure = null;
    await addUser('bob');
    expect(iam.user('bob')).not.toBeNull();
  });

  it('at the same time do not undo one another', async () => {
    await addUser('alice');
    const policies = ['readonly', 'readwrite', 'writeonly', 'diagnostics'];
    await Promise.all(policies.map((policy) => iam.attach({ kind: 'user', name: 'alice' }, [policy])));
    await Promise.all(['g1', 'g2', 'g3'].map((group) => iam.addToGroup(group, ['alice'])));
    expect(iam.user('alice')).toMatchObject({ policies, groups: ['g1', 'g2', 'g3'] });
  });
});
