import { beforeEach, describe, expect, it } from 'vitest';
import { Dn } from '../../../../src/identity/provider/ldap-dn.js';
import { directoryFault } from '../../../../src/identity/provider/ldap-fault.js';
import { LdapSync } from '../../../../src/identity/provider/ldap-sync.js';
import { parsePolicy } from '../../../../src/policy/index.js';
import { iamWorld, type IamWorld } from '../../../support/memory-iam.js';

const base = Dn.parse('cn=users,dc=x') as Dn;
const hourMs = 3_600_000;
const statement = { Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::*'] };
const read = parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: [statement] }), 'identity');

/** The directory: groups by DN. */
let people: Map<string, string[]>;
let isDown: boolean;
let asked: number;
let world: IamWorld;
let sync: LdapSync;

beforeEach(async () => {
  people = new Map([
    ['cn=sisko,cn=users,dc=x', ['cn=ops,dc=x']],
    ['cn=dax,cn=users,dc=x', []],
  ]);
  isDown = false;
  asked = 0;
  world = await iamWorld();
  sync = new LdapSync({
    iam: world.iam,
    clock: world.clock,
    intervalMs: hourMs,
    log: (text) => world.lines.push(text),
    directory: {
      isUserDn: (dn) => dn.isWithin(base),
      userByDn: async (dn) => {
        asked++;
        if (isDown) throw directoryFault('unreachable', 'down');
        const parsed = Dn.parse(dn) as Dn;
        const isThere = people.has(parsed.text);
        return isThere ? { dn: parsed, actualDn: dn, login: '', attributes: new Map() } : null;
      },
      groupsOf: async (_login, dn) => people.get(Dn.parse(dn)?.text ?? '') ?? [],
    },
  });
  await world.iam.setPolicy('read', read);
});

async function session(dn: string, groups: readonly string[]): Promise<string> {
  const { accessKey } = await world.iam.createSession({
    ...{ parent: dn, parentSource: 'ldap', expiresMs: world.clock.ms + 24 * hourMs, policy: null, policyNames: [] },
    ...{ claims: new Map([['ldapActualUser', dn]]), groups, revokeType: '', provider: '_' },
  });
  return accessKey;
}

async function accessKey(dn: string): Promise<string> {
  const { accessKey: made } = await world.iam.createAccessKey({
    ...{ parent: dn, parentSource: 'ldap', accessKey: '', secretKey: '', name: '', description: '', policy: null },
    ...{ expiresMs: null, claims: new Map([['ldapActualUser', dn]]), groups: [], provider: '_' },
  });
  return made;
}

const works = (key: string) => world.iam.credentials.lookup(key) !== null;

describe('the sync', () => {
  it('is due once in an hour', async () => {
    await session('cn=sisko,cn=users,dc=x', ['cn=ops,dc=x']);
    expect(await sync.tick()).toBeNull();
    world.clock.ms += hourMs - 1;
    expect(await sync.tick()).toBeNull();
    world.clock.ms += 1;
    expect(await sync.tick()).toEqual({ removed: 0, changed: 0, isWhole: true });
    expect(await sync.tick()).toBeNull();
    expect(asked).toBe(1);
  });

  it('is due when the clock was set back, maybe by years, and then in an hour', async () => {
    await session('cn=sisko,cn=users,dc=x', ['cn=ops,dc=x']);
    world.clock.ms -= 24 * 365 * hourMs;
    expect(await sync.tick()).toEqual({ removed: 0, changed: 0, isWhole: true });
    world.clock.ms += hourMs - 1;
    expect(await sync.tick()).toBeNull();
    world.clock.ms += 1;
    expect(await sync.tick()).toEqual({ removed: 0, changed: 0, isWhole: true });
  });

  it('takes sessions and access keys of those who are gone, and of nobody else', async () => {
    const gone = [await session('cn=quark,cn=users,dc=x', []), await accessKey('cn=quark,cn=users,dc=x')];
    const here = [await session('cn=dax,cn=users,dc=x', []), await accessKey('cn=sisko,cn=users,dc=x')];
    world.clock.ms += hourMs;
    // sisko has a group that its key does not know yet.
    expect(await sync.tick()).toEqual({ removed: 1, changed: 1, isWhole: true });
    expect(gone.map(works)).toEqual([false, false]);
    expect(here.map(works)).toEqual([true, true]);
  });

  it('takes those of entries outside the bases of the settings', async () => {
    const key = await session('cn=sisko,cn=elsewhere,dc=x', []);
    world.clock.ms += hourMs;
    expect(await sync.tick()).toMatchObject({ removed: 1 });
    expect(works(key)).toBe(false);
  });

  it('gives and takes the policies of groups on live sessions', async () => {
    await world.iam.attach({ kind: 'ldap-group', name: 'cn=ops,dc=x' }, ['read']);
    const key = await session('cn=dax,cn=users,dc=x', []);
    const hasRead = () =>
      world.iam.policiesOf(world.iam.credentials.lookup(key)?.principal as never, null).identity.includes(read);
    expect(hasRead()).toBe(false);
    people.set('cn=dax,cn=users,dc=x', ['cn=ops,dc=x']);
    world.clock.ms += hourMs;
    expect(await sync.tick()).toMatchObject({ changed: 1 });
    expect(hasRead()).toBe(true);
    people.set('cn=dax,cn=users,dc=x', []);
    world.clock.ms += hourMs;
    expect(await sync.tick()).toMatchObject({ changed: 1 });
    expect(hasRead()).toBe(false);
  });

  it('takes nothing while the directory is down, and tries again in a minute', async () => {
    const key = await session('cn=quark,cn=users,dc=x', []);
    isDown = true;
    world.clock.ms += hourMs;
    expect(await sync.tick()).toEqual({ removed: 0, changed: 0, isWhole: false });
    expect(works(key)).toBe(true);
    isDown = false;
    world.clock.ms += 59_000;
    expect(await sync.tick()).toBeNull();
    world.clock.ms += 1_000;
    expect(await sync.tick()).toMatchObject({ removed: 1, isWhole: true });
    expect(works(key)).toBe(false);
  });

  it('leaves other accounts alone', async () => {
    const { accessKey: other } = await world.iam.createSession({
      ...{ parent: 'hash', parentSource: 'openid', expiresMs: world.clock.ms + 24 * hourMs, policy: null },
      ...{ policyNames: ['read'], claims: new Map(), groups: [], revokeType: '', provider: '_' },
    });
    world.clock.ms += hourMs;
    expect(await sync.tick()).toEqual({ removed: 0, changed: 0, isWhole: true });
    expect(works(other)).toBe(true);
  });
});
