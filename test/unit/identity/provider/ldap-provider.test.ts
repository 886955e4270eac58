import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { IdentityProof } from '../../../../src/identity/index.js';
import { LdapAttempts } from '../../../../src/identity/provider/ldap-attempts.js';
import type { DirectoryUser } from '../../../../src/identity/provider/ldap-directory.js';
import { Dn } from '../../../../src/identity/provider/ldap-dn.js';
import { directoryFault, type DirectoryFaultKind } from '../../../../src/identity/provider/ldap-fault.js';
import { FailurePace } from '../../../../src/identity/provider/ldap-pace.js';
import { LdapProvider } from '../../../../src/identity/provider/ldap-provider.js';
import { resolvedBase } from '../../../support/ldap-settings.js';

const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
const sisko: DirectoryUser = {
  dn: Dn.parse('cn=sisko,cn=users,dc=x') as Dn,
  actualDn: 'CN=sisko,cn=users,dc=x',
  login: 'sisko',
  attributes: new Map([['mail', ['sisko@example.com']]]),
};

/** What was asked of the directory, in order. */
let asked: string[];
let groups: string[];
let hasPolicy: boolean;
let fault: DirectoryFaultKind | null;
let passwordMs: number;
let lines: string[];
let provider: LdapProvider;

beforeEach(() => {
  asked = [];
  groups = ['cn=ops,dc=x'];
  hasPolicy = true;
  fault = null;
  passwordMs = 0;
  lines = [];
  const ask = async (what: string): Promise<void> => {
    asked.push(what);
    if (fault !== null) throw directoryFault(fault, 'down, for the test');
  };
  provider = new LdapProvider({
    directory: {
      settings: { userBases: [resolvedBase('cn=users,dc=x')] } as never,
      findUser: async (login) => {
        await ask(`find ${login}`);
        return login === 'sisko' ? sisko : null;
      },
      isPasswordOf: async (dn, password) => {
        await ask(`bind ${dn}`);
        if (dn === sisko.actualDn) await new Promise((resolve) => setTimeout(resolve, passwordMs));
        return dn === sisko.actualDn && password === 'right';
      },
      groupsOf: async (login, dn) => {
        await ask(`groups ${login} ${dn}`);
        return groups;
      },
    },
    attempts: new LdapAttempts({ clock, random: randomBytes }),
    hasPolicy: () => hasPolicy,
    clock,
    log: (text, fields) => lines.push(`${text} ${JSON.stringify(fields)}`),
    pace: new FailurePace(clock),
  });
});

function proof(login: string, password: string, changes: Partial<IdentityProof> = {}): IdentityProof {
  return {
    parameters: new Map([
      ['LDAPUsername', login],
      ['LDAPPassword', password],
    ]),
    durationSeconds: null,
    remoteAddress: '192.0.2.7',
    secure: true,
    ...changes,
  };
}

async function refusal(login: string, password: string): Promise<{ code: string; message: string; ms: number }> {
  const startedMs = performance.now();
  try {
    await provider.identify(proof(login, password));
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message, ms: performance.now() - startedMs };
  }
  throw new Error('it was let in');
}

describe('a login', () => {
  it('is an account under its normalised DN with the claims of the protocol', async () => {
    const identity = await provider.identify(proof('sisko', 'right', { durationSeconds: 900 }));
    expect(identity).toMatchObject({ account: 'cn=sisko,cn=users,dc=x', source: 'ldap', groups, policyNames: [] });
    expect(Object.fromEntries(identity.claims)).toEqual({
      ldapUser: 'cn=sisko,cn=users,dc=x',
      ldapActualUser: 'CN=sisko,cn=users,dc=x',
      ldapUsername: 'sisko',
      ldapAttrib_mail: ['sisko@example.com'],
    });
    expect(identity.expiresMs - Date.now()).toBeGreaterThan(890_000);
    expect(identity.expiresMs - Date.now()).toBeLessThan(901_000);
    expect(asked).toEqual(['find sisko', `bind ${sisko.actualDn}`, `groups sisko ${sisko.actualDn}`]);
  });

  it('without a policy of the user or a group is refused', async () => {
    hasPolicy = false;
    expect(await refusal('sisko', 'right')).toMatchObject({
      code: 'InvalidParameterValue',
      message: expect.stringContaining('expecting a policy to be set for user') as string,
    });
  });

  it.each([
    ['', 'right'],
    ['  ', 'right'],
    ['sisko', ''],
  ])('of %j with %j is refused before the directory is asked', async (login, password) => {
    expect(await refusal(login, password)).toMatchObject({ code: 'MissingParameter' });
    expect(asked).toEqual([]);
  });

  it.each([
    ['a'.repeat(257), 'right'],
    ['sisko\0', 'right'],
    ['sisko\n', 'right'],
    ['sisko', 'p'.repeat(1025)],
  ])('that is malformed is refused before the directory is asked', async (login, password) => {
    expect(await refusal(login, password)).toMatchObject({ code: 'InvalidParameterValue' });
    expect(asked).toEqual([]);
  });
});

describe('whoever fails', () => {
  it('learns nothing: one answer, and a bind for a name that nobody has', async () => {
    const wrong = await refusal('sisko', 'wrong');
    const unknown = await refusal('quark', 'wrong');
    expect({ ...unknown, ms: 0 }).toEqual({ ...wrong, ms: 0 });
    expect(wrong.code).toBe('AccessDenied');
    expect(asked.filter((what) => what.startsWith('bind'))).toEqual([
      `bind ${sisko.actualDn}`,
      'bind cn=granary-nobody,cn=users,dc=x',
    ]);
  });

  it('takes as long with an unknown name as with a password that is slow to compare', async () => {
    passwordMs = 330;
    const differences: number[] = [];
    // The machine may do something else for a moment, but hardly each time.
    for (let round = 0; round < 3; round++) {
      const wrong = await refusal('sisko', 'wrong');
      const unknown = await refusal('quark', 'wrong');
      expect(wrong.ms).toBeGreaterThan(passwordMs);
      differences.push(Math.abs(wrong.ms - unknown.ms));
    }
    expect(Math.min(...differences)).toBeLessThan(60);
  });

  it('often is refused before the directory is asked, right password or not', async () => {
    const failed = await Promise.all(Array.from({ length: 12 }, () => refusal('sisko', 'wrong')));
    expect(failed.filter(({ code }) => code === 'AccessDenied').length).toBe(10);
    expect(failed.filter(({ code }) => code === 'Throttling').length).toBe(2);
    const before = asked.length;
    expect(await refusal('sisko', 'right')).toMatchObject({ code: 'Throttling' });
    expect(asked.length).toBe(before);
    // Not a word about whether the name exists either.
    const unknown = await Promise.all(Array.from({ length: 12 }, () => refusal('quark', 'wrong')));
    expect(unknown.map(({ code }) => code).sort()).toEqual(failed.map(({ code }) => code).sort());
  });
});

describe('a directory that cannot be asked', () => {
  it.each([
    ['unreachable', 'InternalError'],
    ['protocol', 'InternalError'],
    ['lookup-bind', 'InternalError'],
    ['refused', 'InternalError'],
    ['too-large', 'InternalError'],
    ['busy', 'ServiceUnavailable'],
  ] as const)('%s lets nobody in, and is nobody’s failed login', async (kind, code) => {
    fault = kind;
    for (let count = 0; count < 15; count++) {
      const { code: answered, message } = await refusal('sisko', 'right');
      expect(answered).toBe(code);
      expect(message).not.toContain('down, for the test');
    }
    fault = null;
    expect(await provider.identify(proof('sisko', 'right'))).toMatchObject({ source: 'ldap' });
    expect(lines.join()).toContain(kind);
    expect(lines.join()).not.toContain('right"');
  });

  it('for the groups alone lets nobody in: what they deny would be allowed', async () => {
    groups = null as never;
    const { groupsOf } = { groupsOf: () => Promise.reject(directoryFault('too-large', 'more than 10000 groups')) };
    const strict = new LdapProvider({
      directory: {
        settings: { userBases: [] } as never,
        findUser: async () => sisko,
        isPasswordOf: async () => true,
        groupsOf,
      },
      attempts: new LdapAttempts({ clock, random: randomBytes }),
      hasPolicy: () => true,
      clock,
      log: () => undefined,
    });
    await expect(strict.identify(proof('sisko', 'right'))).rejects.toMatchObject({ code: 'InternalError' });
  });
});
