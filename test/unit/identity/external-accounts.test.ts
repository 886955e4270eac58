/** Accounts of elsewhere: what their sessions and access keys may do, and what a refresh or the set-up changes. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  withoutReserved,
  type ExternalRules,
  type NewAccessKey,
  type NewSession,
  type PolicyInfo,
} from '../../../src/identity/index.js';
import { claimsOf } from '../../support/sts-client.js';
import { iamWorld, rootCredentials, type IamWorld } from '../../support/memory-iam.js';

const arn = 'arn:minio:iam:::role/readers';
const rules = {
  areInternalAccountsOn: true,
  isRootOnly: false,
  whyOff: '',
  roles: new Map<string, readonly string[]>([[arn, ['readonly']]]),
  rolePolicies: (roleArn: string): readonly string[] | null => rules.roles.get(roleArn) ?? null,
  tenantOf: () => '',
} satisfies ExternalRules & { roles: Map<string, readonly string[]> };

let world: IamWorld;
let iam: IamWorld['iam'];
beforeEach(async () => {
  Object.assign(rules, { areInternalAccountsOn: true, isRootOnly: false, whyOff: '' });
  rules.roles.set(arn, ['readonly']);
  world = await iamWorld({ rules });
  ({ iam } = world);
});

const session = (change: Partial<NewSession> = {}) =>
  iam.createSession({
    ...{ parent: 'hash-of-ann', parentSource: 'openid', provider: '_', expiresMs: world.clock.ms + 3_600_000 },
    ...{ policy: null, policyNames: ['readwrite'], claims: new Map([['sub', 'ann']]), groups: [], revokeType: '' },
    ...change,
  });
const accessKey = (change: Partial<NewAccessKey> = {}) =>
  iam.createAccessKey({
    ...{ parent: 'hash-of-ann', parentSource: 'openid', provider: '_', accessKey: '', secretKey: '', name: '' },
    ...{ description: '', policy: null, expiresMs: null, claims: new Map(), groups: [] },
    ...change,
  });
function policiesOf(key: string): readonly string[] {
  const found = iam.credentials.lookup(key);
  if (found === null) throw new Error(`${key} is not there`);
  return iam.policiesOf(found.principal, null).identity.map(({ text }) => text);
}
const builtIn = (name: string) => (iam.policy(name) as PolicyInfo).policy.text;
const isDenied = (key: string) => policiesOf(key).length === 1 && policiesOf(key)[0]?.includes('"Deny"') === true;

describe('a role', () => {
  it('has the policies that are set up for it now, for sessions and access keys alike', async () => {
    const made = await session({ roleArn: arn, policyNames: [] });
    const key = await accessKey({ roleArn: arn });
    for (const { accessKey: name } of [made, key]) {
      expect(policiesOf(name)).toEqual([builtIn('readonly')]);
      expect(iam.accessKey(name)).toMatchObject({ roleArn: arn, provider: '_' });
    }
    expect(claimsOf(made.sessionToken).payload).toMatchObject({ roleArn: arn, sub: 'ann' });
    const again = await iamWorld({ store: world.store, clock: world.clock, rules });
    expect(again.iam.accessKey(made.accessKey)).toMatchObject({ roleArn: arn, provider: '_' });
  });

  it('that is not set up any more may do nothing, not even with a policy of its own', async () => {
    const made = await session({ roleArn: arn });
    rules.roles.delete(arn);
    expect(isDenied(made.accessKey)).toBe(true);
  });

  it('is never what a provider claims', async () => {
    const made = await session({ claims: new Map([['roleArn', arn]]) });
    expect(claimsOf(made.sessionToken).payload).not.toHaveProperty('roleArn');
    expect(policiesOf(made.accessKey)).toEqual([builtIn('readwrite')]);
  });
});

describe('policies by name', () => {
  it('that are all gone leave nothing, also where everybody may', async () => {
    const made = await session({ policyNames: ['gone'] });
    expect(isDenied(made.accessKey)).toBe(true);
  });

  it('of a new session count for the access keys of the same account and provider, which are kept apart', async () => {
    await session();
    const [followed, other] = [await accessKey(), await accessKey({ provider: 'other', policyNames: ['readwrite'] })];
    expect(policiesOf(followed.accessKey)).toEqual([builtIn('readwrite')]);
    await session({ policyNames: ['readonly'], groups: ['staff'] });
    expect(policiesOf(followed.accessKey)).toEqual([builtIn('readonly')]);
    expect(iam.accessKey(followed.accessKey)?.groups).toEqual(['staff']);
    expect(policiesOf(other.accessKey)).toEqual([builtIn('readwrite')]);
  });

  it('that did not change cost one record a session', async () => {
    await session();
    await accessKey();
    await session();
    expect(world.store.writes.at(-1)).toHaveLength(1);
  });
});

describe('a refresh', () => {
  it('sees one account for each parent and provider, as its newest session knows it', async () => {
    await session({ policyNames: ['old'], expiresMs: world.clock.ms + 1_000_000 });
    await session({ policyNames: ['new'], groups: ['g'] });
    await session({ provider: 'second' });
    await accessKey();
    await session({ parent: 'cn=ann', parentSource: 'ldap' });
    expect(iam.externalAccounts('openid')).toEqual([
      {
        ...{ account: 'hash-of-ann', source: 'openid', provider: '_', claims: new Map([['sub', 'ann']]) },
        ...{ groups: ['g'], policyNames: ['new'] },
      },
      expect.objectContaining({ provider: 'second' }),
    ]);
    expect(iam.externalAccounts('ldap').map(({ account }) => account)).toEqual(['cn=ann']);
    expect(iam.externalAccounts('plugin')).toEqual([]);
  });

  it('changes sessions and access keys from the next look-up on, and after a start', async () => {
    const made = [await session(), await accessKey()];
    await iam.updateExternal('hash-of-ann', 'openid', { policyNames: ['readonly'], claims: new Map([['a', 'b']]) });
    for (const { accessKey: name } of made) {
      expect(policiesOf(name)).toEqual([builtIn('readonly')]);
      expect(iam.credentials.lookup(name)?.principal).toMatchObject({ claims: new Map([['a', 'b']]) });
    }
    const again = await iamWorld({ store: world.store, clock: world.clock, rules });
    expect(made.map(({ accessKey: name }) => again.iam.accessKey(name)?.policyNames)).toEqual([
      ['readonly'],
      ['readonly'],
    ]);
  });

  it('that finds nothing new writes nothing, and one of another source leaves it alone', async () => {
    const made = await session();
    const before = world.store.writes.length;
    await iam.updateExternal('hash-of-ann', 'openid', { policyNames: ['readwrite'], groups: [] });
    await iam.updateExternal('hash-of-ann', 'ldap', { policyNames: [] });
    expect(await iam.removeExternal('hash-of-ann', 'ldap')).toBe(0);
    expect(world.store.writes.length).toBe(before);
    expect(policiesOf(made.accessKey)).toEqual([builtIn('readwrite')]);
  });

  it('removes all of an account that is gone', async () => {
    const made = [await session(), await session(), await accessKey()];
    const other = await session({ parent: 'hash-of-bob' });
    expect(await iam.removeExternal('hash-of-ann', 'openid')).toBe(3);
    for (const { accessKey: name } of made) expect(iam.credentials.lookup(name)).toBeNull();
    expect(iam.credentials.lookup(other.accessKey)).not.toBeNull();
    expect(iam.parents()).toEqual(['hash-of-bob']);
  });
});

describe('internal accounts', () => {
  it('count for nothing while they are off; root and what is external go on', async () => {
    await iam.setUser('alice', { secretKey: 'secret-of-alice', status: 'enabled' });
    const of = { parent: 'alice', parentSource: 'internal' } as const;
    const internal = ['alice', (await session(of)).accessKey, (await accessKey(of)).accessKey];
    const root = { parent: rootCredentials.accessKey, parentSource: 'root' } as const;
    const others = [rootCredentials.accessKey, (await accessKey(root)).accessKey, (await session()).accessKey];
    Object.assign(rules, { areInternalAccountsOn: false, whyOff: 'Accounts come from elsewhere.' });
    for (const name of internal) expect(iam.credentials.lookup(name)).toBeNull();
    for (const name of others) expect(iam.credentials.lookup(name)).not.toBeNull();
    const refused = { code: 'XMinioIAMActionNotAllowed', status: 403, message: 'Accounts come from elsewhere.' };
    await expect(iam.setUser('bob', { secretKey: 'secret-of-bob', status: 'enabled' })).rejects.toMatchObject(refused);
    await expect(iam.addToGroup('team', ['alice'])).rejects.toMatchObject(refused);
    await expect(accessKey(of)).rejects.toMatchObject(refused);
    await expect(session(of)).rejects.toMatchObject(refused);
    rules.areInternalAccountsOn = true;
    for (const name of internal) expect(iam.credentials.lookup(name)).not.toBeNull();
  });

  it('and external ones are off while set-ups exclude each other', async () => {
    const root = { parent: rootCredentials.accessKey, parentSource: 'root' } as const;
    const made = await session();
    const kept = await accessKey(root);
    Object.assign(rules, { areInternalAccountsOn: false, isRootOnly: true });
    expect(iam.credentials.lookup(made.accessKey)).toBeNull();
    expect(iam.credentials.lookup(kept.accessKey)).not.toBeNull();
    expect(iam.credentials.lookup(rootCredentials.accessKey)).not.toBeNull();
  });
});

describe('claims of a provider', () => {
  it.each([
    ...['accessKey', 'parent', 'roleArn', 'tokenRevokeType', 'sa-policy', 'sessionPolicy', 'sessionPolicy-extracted'],
    ...['ldapUser', 'ldapActualUser', 'ldapUsername', 'ldapAttrib_mail', 'ROLEARN'],
  ])('lose %s', (name) => {
    const claims = new Map([
      ['sub', 'ann'],
      [name, 'mine'],
    ]);
    expect([...withoutReserved(claims)]).toEqual([['sub', 'ann']]);
  });

  it('are the same object when there is nothing to lose', () => {
    const claims = new Map([['sub', 'ann']]);
    expect(withoutReserved(claims)).toBe(claims);
  });
});
