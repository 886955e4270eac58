import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LdapDirectory, type LdapSettings } from '../../src/identity/provider/ldap-directory.js';
import { Dn } from '../../src/identity/provider/ldap-dn.js';
import { FilterTemplate } from '../../src/identity/provider/ldap-filter.js';
import { resolvedBase } from '../support/ldap-settings.js';
import {
  crowdCount,
  dnOf,
  groupBase,
  lookup,
  people,
  startDirectory,
  userBase,
  type DirectoryServer,
} from '../support/directory.js';

/** A real directory, asked over every kind of connection. */
let slapd: DirectoryServer;
const opened: LdapDirectory[] = [];

beforeAll(async () => {
  slapd = await startDirectory();
});
afterAll(async () => {
  for (const directory of opened) directory.close();
  await slapd.stop();
});

function filter(text: string): FilterTemplate {
  const found = FilterTemplate.parse(text);
  if (found === null) throw new Error(`no filter: ${text}`);
  return found;
}

function directory(changes: Partial<LdapSettings> = {}, operationMs = 8_000): LdapDirectory {
  const made = new LdapDirectory(
    {
      addresses: [{ host: '127.0.0.1', port: slapd.port }],
      srvNames: null,
      transport: { security: 'none', skipVerify: false, authorities: [] },
      lookupBindDn: lookup.dn,
      lookupBindPassword: lookup.password,
      userBases: [resolvedBase(userBase)],
      userFilter: filter('(uid=%s)'),
      userAttributes: ['mail', 'cn'],
      groupBases: [resolvedBase(groupBase)],
      groupFilter: filter('(&(objectClass=groupOfNames)(member=%d))'),
      followsNested: false,
      ...changes,
    },
    {
      clock: { monotonicMs: () => performance.now() },
      random: Math.random,
      operationMs,
      resolveSrv: () => Promise.reject(new Error('no DNS in this test')),
    },
  );
  opened.push(made);
  return made;
}

describe('a connection', () => {
  const secure = (security: 'tls' | 'starttls', skipVerify = false, authorities: readonly string[] = []) => ({
    transport: { security, skipVerify, authorities },
    addresses: [{ host: '127.0.0.1', port: security === 'tls' ? slapd.tlsPort : slapd.port }],
  });

  it('is made over TLS and by StartTLS with the authority that signed the certificate', async () => {
    for (const security of ['tls', 'starttls'] as const) {
      const asked = directory(secure(security, false, [slapd.authority]));
      await asked.check();
      expect((await asked.findUser('sisko'))?.dn.text).toBe(dnOf('sisko'));
      expect(await asked.isPasswordOf(dnOf('sisko'), people.sisko.password)).toBe(true);
      expect(await asked.isPasswordOf(dnOf('sisko'), 'wrong')).toBe(false);
    }
  });

  it('is refused when nobody vouches for the certificate, and made when that is not asked for', async () => {
    for (const security of ['tls', 'starttls'] as const) {
      await expect(directory(secure(security)).check()).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('certificate') as string,
      });
      await expect(directory(secure(security, true)).check()).resolves.toBeUndefined();
    }
  });

  it('is not made to a TLS port in plain, nor with TLS to a plain port', async () => {
    const wrongWay = directory({ addresses: [{ host: '127.0.0.1', port: slapd.tlsPort }] });
    await expect(wrongWay.check()).rejects.toMatchObject({ name: 'DirectoryFault' });
    const other = directory({ ...secure('tls', true), addresses: [{ host: '127.0.0.1', port: slapd.port }] });
    await expect(other.check()).rejects.toMatchObject({ kind: 'unreachable' });
  });

  it('needs a lookup account that the directory takes', async () => {
    await expect(directory({ lookupBindPassword: 'wrong' }).check()).rejects.toMatchObject({ kind: 'lookup-bind' });
    const noSuchBase = directory({ userBases: [resolvedBase(`cn=nowhere,${userBase}`)] });
    await expect(noSuchBase.check()).rejects.toMatchObject({ message: expect.stringContaining('nowhere') as string });
  });

  it('goes to the next server when the first is down, and to the one that comes back', async () => {
    const asked = directory({
      addresses: [
        { host: '127.0.0.1', port: 1 },
        { host: '127.0.0.1', port: slapd.port },
      ],
    });
    expect((await asked.findUser('dax'))?.actualDn).toBe(dnOf('dax'));
    await slapd.down();
    await expect(asked.findUser('dax')).rejects.toMatchObject({ name: 'DirectoryFault' });
    await slapd.start();
    expect((await asked.findUser('dax'))?.actualDn).toBe(dnOf('dax'));
  });

  it('serves many at once with few connections', async () => {
    const asked = directory();
    const users = await Promise.all(
      Array.from({ length: 200 }, (_, index) => asked.findUser(`crowd${index % crowdCount}`)),
    );
    expect(users.map((user) => user?.login)).toEqual(users.map((_, index) => `crowd${index}`));
  });
});

describe('a login name', () => {
  it('is one entry with its attributes', async () => {
    const user = await directory().findUser('obrien');
    expect(user?.dn.text).toBe(`cn=O'Brien\\, Miles \\+ Keiko,${userBase}`);
    expect(user?.login).toBe('obrien');
    expect(Object.fromEntries(user?.attributes ?? [])).toEqual({
      mail: ['obrien@example.com'],
      cn: ["O'Brien, Miles + Keiko"],
    });
  });

  it('is nobody when it is unknown, or two entries', async () => {
    expect(await directory().findUser('morn')).toBeNull();
    expect(await directory().findUser('twin')).toBeNull();
  });

  it('is a value, whatever characters it has', async () => {
    for (const login of ['*', 's*', 'sisko)(uid=*', 'x)(|(uid=sisko', '\\2a', '(', ')', '\\', 'sisko\0', '%d', '%s']) {
      expect(await directory().findUser(login), login).toBeNull();
    }
  });

  it('may be in any writing', async () => {
    const byName = directory({ userFilter: filter('(cn=%s)') });
    const user = await byName.findUser('José Müller 猫');
    expect(user?.dn.text).toBe(`cn=Jos\\c3\\a9 M\\c3\\bcller \\e7\\8c\\ab,${userBase}`);
    expect(user?.dn.readable).toBe(dnOf('jose'));
    expect(await byName.isPasswordOf(user?.actualDn ?? '', people.jose.password)).toBe(true);
  });
});

describe('a DN', () => {
  it('finds its entry in any spelling', async () => {
    const asked = directory();
    for (const spelling of [
      dnOf('obrien'),
      `CN=O'Brien\\2c Miles \\2B Keiko , cn=users , DC=example,DC=com`,
      `cn="O'Brien, Miles + Keiko",${userBase}`,
    ]) {
      expect((await asked.userByDn(spelling))?.dn.text, spelling).toBe(`cn=O'Brien\\, Miles \\+ Keiko,${userBase}`);
    }
    expect((await asked.userByDn('uid=plus+cn=plus,' + userBase))?.dn.text).toBe(`cn=plus+uid=plus,${userBase}`);
    expect((await asked.userByDn(`cn=Jos\\c3\\a9 M\\c3\\bcller \\e7\\8c\\ab,${userBase}`))?.login).toBe('jose');
  });

  it('outside the bases, or of an entry that the filter does not want, is nobody', async () => {
    expect(await directory().userByDn(lookup.dn)).toBeNull();
    expect(await directory().userByDn(`cn=nobody,${userBase}`)).toBeNull();
    expect(await directory().userByDn('not a DN')).toBeNull();
    const sifted = directory({ userFilter: filter('(&(uid=%s)(!(mail=sisko@example.com)))') });
    expect(await sifted.userByDn(dnOf('sisko'))).toBeNull();
    expect(await sifted.userByDn(dnOf('dax'))).not.toBeNull();
  });

  it('of a group is found below the groups', async () => {
    expect((await directory().groupByDn(`CN=ops,${groupBase}`))?.dn.text).toBe(`cn=ops,${groupBase}`);
    expect(await directory().groupByDn(dnOf('sisko'))).toBeNull();
  });
});

describe('groups', () => {
  it('are those whose member the user is, also through others', async () => {
    expect(await directory().groupsOf('sisko', dnOf('sisko'))).toEqual([`cn=ops,${groupBase}`]);
    expect(await directory().groupsOf('dax', dnOf('dax'))).toEqual([`cn=inner,${groupBase}`]);
    expect(await directory({ followsNested: true }).groupsOf('dax', dnOf('dax'))).toEqual(
      ['inner', 'middle', 'outer'].map((name) => `cn=${name},${groupBase}`),
    );
  });

  it('of a name with commas, plus signs and UTF-8 are found', async () => {
    expect(await directory().groupsOf('obrien', dnOf('obrien'))).toEqual([`cn=engineering,${groupBase}`]);
    const [, odd] = await directory().groupsOf('jose', dnOf('jose'));
    expect(odd).toBe(`cn=odd\\, group \\+ \\c3\\bc,${groupBase}`);
    expect(Dn.parse(odd ?? '')?.readable).toBe(`cn=odd\\, group \\+ ü,${groupBase}`);
  });

  it('come in pages: all of more than the directory gives at once', async () => {
    const groups = await directory().groupsOf('quark', dnOf('quark'));
    expect(groups.length).toBe(crowdCount);
    // The same search without pages ends at the limit of the directory.
    const { Client } = await import('ldapts');
    const client = new Client({ url: `ldap://127.0.0.1:${slapd.port}` });
    await client.bind(lookup.dn, lookup.password);
    await expect(client.search(groupBase, { filter: `(member=${dnOf('quark')})` })).rejects.toThrow('Code: 0x4');
    await client.unbind();
  });

  it('do not matter without a filter', async () => {
    expect(await directory({ groupFilter: null, groupBases: [] }).groupsOf('sisko', dnOf('sisko'))).toEqual([]);
  });
});

describe('a password', () => {
  it('that is empty is nobody’s, and the directory is not asked', async () => {
    // The directory itself would say yes (RFC 4513 section 5.1.2).
    const { Client } = await import('ldapts');
    const client = new Client({ url: `ldap://127.0.0.1:${slapd.port}` });
    await expect(client.bind('', '')).resolves.toBeUndefined();
    await client.unbind();
    expect(await directory({ addresses: [] }).isPasswordOf(dnOf('sisko'), '')).toBe(false);
    expect(await directory({ addresses: [] }).isPasswordOf('', 'x')).toBe(false);
  });

  it('of an entry that is not there is not right', async () => {
    expect(await directory().isPasswordOf(`cn=granary-nobody,${userBase}`, 'any')).toBe(false);
  });
});

describe('a directory that does not answer', () => {
  it('is a fault within the time of an operation', async () => {
    const asked = directory({}, 700);
    await asked.findUser('sisko');
    await slapd.pause();
    try {
      const startedMs = performance.now();
      await expect(asked.findUser('sisko')).rejects.toMatchObject({ name: 'DirectoryFault' });
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    } finally {
      slapd.resume();
    }
    expect((await asked.findUser('sisko'))?.login).toBe('sisko');
  });
});
