import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  boundedFetch,
  Entra,
  EntraMemberships,
  EntraTenant,
  internalOnly,
  type EntraMember,
  type ExternalRules,
  type MembershipRecords,
  type PolicyInfo,
} from '../../../src/identity/index.js';
import { parsePolicy } from '../../../src/policy/index.js';
import { startGraph, type DirectoryGroup, type DirectoryUser, type GraphServer } from '../../support/graph.js';
import { iamWorld, type IamWorld } from '../../support/memory-iam.js';
import { claimsOf } from '../../support/sts-client.js';

/** Sessions and access keys of users of Entra ID, and what becomes of them as the directory changes. */
const minute = 60_000;

class MemoryRecords implements MembershipRecords {
  readonly values = new Map<string, Uint8Array>();
  writes = 0;
  load = async (visit: (name: string, value: Uint8Array) => void): Promise<void> => {
    for (const [name, value] of this.values) visit(name, value);
  };
  write: MembershipRecords['write'] = async (changes) => {
    this.writes++;
    for (const { name, value } of changes) {
      if (value === null) this.values.delete(name);
      else this.values.set(name, value);
    }
  };
}

let graph: GraphServer;
let world: IamWorld;
let iam: IamWorld['iam'];
let records: MemoryRecords;
let memberships: EntraMemberships;
let tenant: EntraTenant;
let random: number;
let lines: string[];
const rules: ExternalRules = { ...internalOnly, tenantOf: (provider) => (provider === '_' ? setUpTenant : '') };
/** That is set up for the provider now. */
let setUpTenant: string;
let alice: DirectoryUser;
let staff: DirectoryGroup;

beforeEach(async () => {
  graph = await startGraph();
  setUpTenant = graph.tenantId;
  alice = graph.addUser('alice');
  staff = graph.addGroup('staff', alice);
  world = await iamWorld({ rules });
  ({ iam } = world);
  records = new MemoryRecords();
  lines = [];
  random = 0;
  await start();
});
afterEach(async () => {
  await memberships.close();
  await graph.close();
});

/** As after a restart, on what is stored. */
async function start(): Promise<void> {
  const { tenantId, clientId, clientSecret, url } = graph;
  const note = (text: string, fields: Readonly<Record<string, unknown>> = {}) => {
    const { err } = fields;
    lines.push(
      `${text} ${JSON.stringify(fields)} ${err instanceof Error ? `${err.message} ${String(err.stack)}` : ''}`,
    );
  };
  const entra = new Entra({
    settings: { provider: '_', tenantId, clientId, clientSecret, endpoints: { loginUrl: url, graphUrl: url } },
    fetch: boundedFetch,
    clock: world.clock,
    sleep: async (ms) => {
      world.clock.ms += ms;
    },
    log: note,
  });
  memberships = new EntraMemberships({
    ...{ iam, records, directories: new Map([['_', entra]]), clock: world.clock },
    random: () => random,
    log: { info: note, warn: note },
  });
  await memberships.open();
  tenant = new EntraTenant({ entra, memberships, iam });
}

const account = (user: DirectoryUser) => `account-of-${user.name}`;
const policyText = (name: string) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: `arn:aws:s3:::${name}/*` }],
  });
const setPolicy = (name: string) => iam.setPolicy(name, parsePolicy(policyText(name), 'identity'));

/** As an OpenID provider does with a token that it has verified. */
async function signIn(user: DirectoryUser, claims: Record<string, unknown> = {}, lifeMs = 86_400_000) {
  const member = await tenant.signIn(account(user), { oid: user.id, tid: graph.tenantId, ...claims });
  return iam.createSession({
    ...{ parent: account(user), parentSource: 'openid', provider: '_', policy: null, policyNames: [], groups: ['own'] },
    ...{ revokeType: '', expiresMs: world.clock.ms + lifeMs },
    claims: new Map([['sub', user.name], ...member.claims]),
  });
}
async function accessKeyOf(user: DirectoryUser, session: string): Promise<string> {
  const { claims, groups } = iam.accessKey(session) ?? { claims: new Map<string, string>(), groups: [] };
  const made = await iam.createAccessKey({
    ...{ parent: account(user), parentSource: 'openid', provider: '_', accessKey: '', secretKey: '', name: '' },
    ...{ description: '', policy: null, expiresMs: null, claims, groups },
  });
  return made.accessKey;
}
function policiesOf(accessKey: string): readonly string[] | null {
  const found = iam.credentials.lookup(accessKey);
  if (found === null) return null;
  const texts = new Map(iam.policies().map(({ name, policy }) => [policy.text, name]));
  return iam.policiesOf(found.principal, null).identity.map(({ text }) => texts.get(text) ?? 'nothing');
}
async function pass(minutes: number): Promise<void> {
  world.clock.ms += minutes * minute;
  await memberships.refreshDue();
}

describe('policies', () => {
  test('apply by the id of a group, over two levels, and by attachment; all of them', async () => {
    const middle = graph.addGroup('middle', staff);
    const outer = graph.addGroup('outer', middle);
    await setPolicy(outer.id);
    await setPolicy('attached');
    await iam.attach({ kind: 'entra-group', name: middle.id }, ['attached', 'readonly']);
    const { accessKey } = await signIn(alice);
    expect(policiesOf(accessKey)?.toSorted()).toEqual([outer.id, 'attached', 'readonly'].toSorted());
    const member = await tenant.signIn(account(alice), { oid: alice.id });
    expect(member.policyNames.toSorted()).toEqual([outer.id, 'attached', 'readonly'].toSorted());
  });

  test('that come later apply at once, and those that go do not', async () => {
    const { accessKey } = await signIn(alice);
    expect(policiesOf(accessKey)).toEqual(['nothing']);
    await setPolicy(staff.id);
    expect(policiesOf(accessKey)).toEqual([staff.id]);
    await iam.removePolicy(staff.id);
    expect(policiesOf(accessKey)).toEqual(['nothing']);
  });

  test('of a group hold no policy of nobody: one that is attached stays', async () => {
    await setPolicy('attached');
    await iam.attach({ kind: 'entra-group', name: staff.id }, ['attached']);
    await expect(iam.removePolicy('attached')).rejects.toMatchObject({ code: 'XMinioIAMPolicyInUse' });
    const again = await iamWorld({ store: world.store, clock: world.clock, rules });
    expect(again.iam.entities({ users: [], groups: [staff.id], policies: [], directory: 'entra' }).groups).toEqual([
      { group: staff.id, policies: ['attached'] },
    ]);
  });

  test('never apply by a claim that somebody else than Entra ID gave, nor to accounts of another kind', async () => {
    await setPolicy(staff.id);
    const claims = new Map<string, string | readonly string[]>([['azure_groups', [staff.id]]]);
    const made = await iam.createSession({
      ...{ parent: 'tls:mallory', parentSource: 'certificate', policy: null, policyNames: [], groups: [staff.id] },
      ...{ revokeType: '', expiresMs: world.clock.ms + 3_600_000, claims },
    });
    expect(policiesOf(made.accessKey)).toEqual(['nothing']);
    const tid = graph.tenantId;
    for (const [provider, named] of [
      ['', null],
      ['other', tid],
      ['_', crypto.randomUUID()],
      ['_', null],
      ['', tid],
    ] as const) {
      const foreign = new Map(claims);
      if (named !== null) foreign.set('tid', named);
      const other = await iam.createSession({
        ...{ parent: 'hash', parentSource: 'openid', policy: null, policyNames: [], groups: [], claims: foreign },
        ...{ revokeType: '', expiresMs: world.clock.ms + 3_600_000, provider },
      });
      expect(policiesOf(other.accessKey)).toEqual(['nothing']);
    }
    const byGroups = await iam.createSession({
      ...{ parent: 'hash', parentSource: 'openid', policy: null, policyNames: [], groups: [staff.id] },
      ...{ revokeType: '', expiresMs: world.clock.ms + 3_600_000, claims: new Map([['groups', [staff.id]]]) },
    });
    expect(policiesOf(byGroups.accessKey)).toEqual(['nothing']);
  });

  test('nobody without: the reason is told', async () => {
    expect((await tenant.signIn(account(alice), { oid: alice.id })).whyNoPolicy).toContain('None of the 1 groups');
    staff.members.clear();
    const member = await tenant.signIn(account(alice), { oid: alice.id });
    expect(member).toMatchObject({ policyNames: [], whyNoPolicy: expect.stringContaining('in no group') as unknown });
  });
});

describe('a session token', () => {
  test('has the groups of up to 200, and leaves more with the stored session', async () => {
    for (let at = graph.groups.size; at < 200; at++) graph.addGroup(`group ${at}`, alice);
    const small = claimsOf((await signIn(alice)).sessionToken).payload;
    expect(small['azure_groups']).toHaveLength(200);
    const last = graph.addGroup('one more', alice);
    await setPolicy(last.id);
    const { accessKey, sessionToken } = await signIn(alice);
    expect(claimsOf(sessionToken).payload).toMatchObject({ sub: 'alice', oid: alice.id });
    expect(claimsOf(sessionToken).payload).not.toHaveProperty('azure_groups');
    expect(sessionToken.length).toBeLessThan(1024);
    expect(policiesOf(accessKey)).toEqual([last.id]);
  });
});

describe('the refresh', () => {
  test.each([
    [0, 30],
    [0.5, 60],
    [0.999999, 90],
  ])('comes between 30 and 90 minutes after the sign-in: at %f, after %i', async (at, minutes) => {
    random = at;
    await setPolicy(staff.id);
    const { accessKey } = await signIn(alice);
    const { length } = graph.calls;
    staff.members.clear();
    await pass(minutes - 0.01);
    expect(graph.calls).toHaveLength(length);
    expect(policiesOf(accessKey)).toEqual([staff.id]);
    await pass(0.01);
    expect(graph.calls.length).toBeGreaterThan(length);
    expect(policiesOf(accessKey)).toEqual(['nothing']);
  });

  test('acts on sessions and access keys alike, each keeping its other claims, and goes on', async () => {
    const other = graph.addGroup('other');
    await setPolicy(staff.id);
    await setPolicy(other.id);
    const session = await signIn(alice);
    const key = await accessKeyOf(alice, session.accessKey);
    const second = await signIn(alice);
    await iam.updateExternal('nobody', 'openid', { claimChanges: new Map([['azure_groups', []]]) });
    staff.members.clear();
    other.members.add(alice.id);
    await pass(30);
    for (const name of [session.accessKey, second.accessKey, key]) {
      expect(policiesOf(name)).toEqual([other.id]);
      expect(iam.accessKey(name)?.claims.get('sub')).toBe('alice');
      // Those of the token are its own.
      expect(iam.accessKey(name)?.groups).toEqual(['own']);
    }
    other.members.clear();
    await pass(30);
    expect(policiesOf(key)).toEqual(['nothing']);
  });

  test('writes nothing to accounts that stay as they are', async () => {
    await signIn(alice);
    const { length } = world.store.writes;
    await pass(30);
    expect(world.store.writes).toHaveLength(length);
  });

  test('a sign-in tells the account’s other keys what it learned', async () => {
    await setPolicy(staff.id);
    const key = await accessKeyOf(alice, (await signIn(alice)).accessKey);
    expect(policiesOf(key)).toEqual([staff.id]);
    staff.members.clear();
    await signIn(alice);
    expect(policiesOf(key)).toEqual(['nothing']);
  });

  test.each([
    ['gone', () => graph.users.delete(alice.id)],
    ['disabled', () => (alice.accountEnabled = false)],
  ])('ends sessions and access keys of a user who is %s, and nobody else’s', async (state, change) => {
    const bob = graph.addUser('bob');
    staff.members.add(bob.id);
    await setPolicy(staff.id);
    const session = await signIn(alice);
    const key = await accessKeyOf(alice, session.accessKey);
    const ofBob = await signIn(bob);
    change();
    await pass(30);
    expect([policiesOf(session.accessKey), policiesOf(key)]).toEqual([null, null]);
    expect(policiesOf(ofBob.accessKey)).toEqual([staff.id]);
    expect([...records.values.keys()]).toEqual([`entra/${account(bob)}`]);
    expect(lines.join()).toContain(`a user is ${state}`);
    await expect(signIn(alice)).rejects.toMatchObject({ code: 'AccessDenied' });
  });

  test('forgets accounts that have no keys any more', async () => {
    await signIn(alice);
    await iam.revokeSessions(account(alice), null);
    const { length } = graph.calls;
    await pass(30);
    expect(graph.calls).toHaveLength(length);
    expect(records.values.size).toBe(0);
  });

  test('is due when it was, after a restart', async () => {
    await setPolicy(staff.id);
    const { accessKey } = await signIn(alice);
    staff.members.clear();
    await pass(29);
    await memberships.close();
    await start();
    const { length } = graph.calls;
    await pass(0.9);
    expect(graph.calls).toHaveLength(length);
    await pass(0.1);
    expect(policiesOf(accessKey)).toEqual(['nothing']);
    // And after one at which it was overdue for long.
    staff.members.add(alice.id);
    world.clock.ms += 300 * minute;
    await memberships.close();
    await start();
    await memberships.refreshDue();
    expect(policiesOf(accessKey)).toEqual([staff.id]);
  });

  test('is not put off by years when the clock was ahead by them and is put right', async () => {
    await setPolicy(staff.id);
    world.clock.setMs = 500_000 * minute;
    const { accessKey } = await signIn(alice, {}, 1_000_000 * minute);
    world.clock.setMs = 0;
    staff.members.clear();
    await memberships.refreshDue();
    expect(policiesOf(accessKey)).toEqual(['nothing']);
  });

  test('makes up for a record that is lost or of another release', async () => {
    await setPolicy(staff.id);
    const { accessKey } = await signIn(alice);
    staff.members.clear();
    for (const value of [null, Buffer.from('{"v":2}'), Buffer.from('not JSON')]) {
      if (value === null) records.values.clear();
      else records.values.set(`entra/${account(alice)}`, value);
      staff.members.add(alice.id);
      await start();
      await memberships.refreshDue();
      expect(policiesOf(accessKey)).toEqual([staff.id]);
      staff.members.clear();
      await start();
      await pass(30);
      expect(policiesOf(accessKey)).toEqual(['nothing']);
    }
  });

  test('leaves accounts alone whose tenant is not set up any more; they have no rights by groups, which is said', async () => {
    await setPolicy(staff.id);
    const { accessKey } = await signIn(alice);
    expect(policiesOf(accessKey)).toEqual([staff.id]);
    setUpTenant = '';
    const fresh = await iamWorld({ store: world.store, clock: world.clock, rules });
    const found = fresh.iam.credentials.lookup(accessKey);
    if (found === null) throw new Error('it is not there');
    expect(fresh.iam.policiesOf(found.principal, null).identity.map(({ text }) => text)).toEqual([
      expect.stringContaining('"Deny"') as unknown,
    ]);
    Object.assign(graph, { tenantId: '00000000-0000-4000-8000-000000000000' });
    await start();
    const { length } = graph.calls;
    await pass(300);
    expect(graph.calls).toHaveLength(length);
    expect(lines.join()).toMatch(/no rights by their groups.*"accounts":1/);
  });
});

describe('while Graph is away or wants to be left alone', () => {
  test('accounts keep their groups, one line tells, and it goes on by itself', async () => {
    await setPolicy(staff.id);
    const { accessKey } = await signIn(alice);
    staff.members.clear();
    graph.mischief.failing = Infinity;
    for (let round = 0; round < 20; round++) await pass(round === 0 ? 30 : 5);
    expect(policiesOf(accessKey)).toEqual([staff.id]);
    expect(lines.filter((line) => line.includes('cannot be looked up'))).toHaveLength(1);
    graph.mischief.failing = 0;
    await pass(5);
    expect(policiesOf(accessKey)).toEqual(['nothing']);
    expect(lines.filter((line) => line.includes('looked up again'))).toHaveLength(1);
  });

  test('nobody is asked for until it says', async () => {
    for (let at = 0; at < 8; at++) await signIn(graph.addUser(`user${at}`));
    Object.assign(graph.mischief, { throttled: Infinity, retryAfter: 1200 });
    const { length } = graph.calls;
    await pass(30);
    const asked = graph.calls.length - length;
    expect(asked).toBeLessThanOrEqual(8);
    await pass(10);
    expect(graph.calls.length - length).toBe(asked);
    graph.mischief.throttled = 0;
    await pass(10);
    expect(graph.calls.length - length).toBeGreaterThanOrEqual(asked + 8);
  });

  test('one account that cannot be looked up does not hold up the others', async () => {
    await setPolicy(staff.id);
    const bob = graph.addUser('bob');
    staff.members.add(bob.id);
    const ofAlice = await signIn(alice);
    const ofBob = await signIn(bob);
    staff.members.clear();
    // Longest overdue, and always in the way.
    const stored = JSON.parse(String(Buffer.from(records.values.get(`entra/${account(alice)}`) ?? []))) as object;
    records.values.set(`entra/${account(alice)}`, Buffer.from(JSON.stringify({ ...stored, dueMs: 0 })));
    await start();
    graph.mischief.endlessPages = true;
    graph.mischief.tooManyGroups = true;
    await memberships.refreshDue();
    graph.mischief.tooManyGroups = false;
    await pass(30);
    expect(policiesOf(ofBob.accessKey)).toEqual(['nothing']);
    expect(policiesOf(ofAlice.accessKey)).toEqual(['nothing']);
  });

  test('a sign-in is refused, and never taken for one without groups', async () => {
    graph.mischief.failing = Infinity;
    await expect(signIn(alice)).rejects.toMatchObject({
      code: 'InternalError',
      message: expect.stringContaining('cannot be looked up') as unknown,
    });
    graph.mischief.failing = 0;
    graph.granted.delete('Group.Read.All');
    await expect(signIn(alice)).rejects.toMatchObject({
      code: 'InternalError',
      message: expect.stringContaining('Group.Read.All') as unknown,
    });
    graph.clientSecret = 'changed~over.there';
    await start();
    graph.clientSecret = 'changed~once.more';
    await expect(signIn(alice)).rejects.toMatchObject({ code: 'InternalError' });
    expect(lines.join()).not.toMatch(/changed~|graph~secret/);
  });
});

test('sign-ins of one user at the same time are one question, and the next is another', async () => {
  await Promise.all(Array.from({ length: 20 }, () => signIn(alice)));
  expect(graph.calls).toHaveLength(2);
  await signIn(alice);
  expect(graph.calls).toHaveLength(4);
  graph.mischief.failing = 6;
  const failed = await Promise.allSettled([signIn(alice), signIn(alice)]);
  expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  graph.mischief.failing = 0;
  expect(await signIn(alice)).toHaveProperty('accessKey');
});

describe('a token', () => {
  const refused = (text: string) => ({
    code: 'InvalidParameterValue',
    message: expect.stringContaining(text) as unknown,
  });

  test('for Graph is answered with the scope to ask for', () => {
    for (const audience of [
      ...['00000003-0000-0000-c000-000000000000', 'https://graph.microsoft.com', 'https://graph.microsoft.com/'],
      ...['https://graph.microsoft.us', 'https://graph.windows.net', graph.url],
    ]) {
      for (const aud of [audience, [audience, 'other']]) {
        expect(() => tenant.refuseForeign({ aud }), audience).toThrow(/openid profile.*api:\/\/.*Expose an API/);
      }
    }
    expect(() => tenant.refuseForeign({ aud: graph.clientId })).not.toThrow();
    expect(() => tenant.refuseForeign({})).not.toThrow();
  });

  test('without an object id is answered with the scope to ask for', async () => {
    for (const oid of [undefined, '', 17, 'alice', '../groups', ['00000000-0000-4000-8000-000000000000']]) {
      await expect(tenant.signIn('account', { oid })).rejects.toMatchObject(refused('"openid profile"'));
    }
    expect(graph.calls).toEqual([]);
  });

  test('of another tenant, of an application, of nobody', async () => {
    const { id: oid } = alice;
    await expect(tenant.signIn('account', { oid, tid: crypto.randomUUID() })).rejects.toMatchObject(refused('tenant'));
    await expect(tenant.signIn('account', { oid, idtyp: 'app' })).rejects.toMatchObject(refused('application'));
    expect(graph.calls).toEqual([]);
    await expect(tenant.signIn('account', { oid: crypto.randomUUID() })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
  });

  test('of either version is of this tenant', () => {
    expect(tenant.issuers).toEqual(
      expect.arrayContaining([`${graph.url}/${graph.tenantId}/v2.0`, `https://sts.windows.net/${graph.tenantId}/`]),
    );
    expect(tenant.audiences).toEqual([graph.clientId, `api://${graph.clientId}`]);
  });
});

test('groups by the thousand, and many sessions, are refreshed in pieces', async () => {
  await setPolicy(staff.id);
  const many = Array.from({ length: 6000 }, () => crypto.randomUUID()).sort();
  const member: EntraMember = { objectId: alice.id, groups: [staff.id, ...many] };
  const sessions = [];
  for (let at = 0; at < 8; at++) sessions.push(await signIn(alice));
  await memberships.signedIn(account(alice), { provider: '_', tenantId: graph.tenantId }, member);
  for (const { accessKey } of sessions) {
    expect(iam.accessKey(accessKey)?.claims.get('azure_groups')).toHaveLength(6001);
    expect(policiesOf(accessKey)).toEqual([staff.id]);
  }
  for (const changes of world.store.writes) {
    const bytes = changes.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
    expect(bytes).toBeLessThan(2 * 1024 * 1024);
  }
  expect((iam.policy(staff.id) as PolicyInfo).name).toBe(staff.id);
});
