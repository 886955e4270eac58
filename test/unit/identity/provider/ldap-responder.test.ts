import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LdapDirectory, type LdapSettings } from '../../../../src/identity/provider/ldap-directory.js';
import { FilterTemplate } from '../../../../src/identity/provider/ldap-filter.js';
import { LdapServers } from '../../../../src/identity/provider/ldap-servers.js';
import { resolvedBase } from '../../../support/ldap-settings.js';
import {
  answering,
  entryMessage,
  message,
  result,
  startResponder,
  tlv,
  type LdapResponder,
} from '../../../support/ldap-responder.js';

const base = 'DC=example,DC=com';
const sisko = `CN=Sisko,OU=Users,${base}`;
const opened: LdapDirectory[] = [];
let responder: LdapResponder;

beforeEach(async () => {
  responder = await startResponder(answering(() => []));
});
afterEach(async () => {
  for (const directory of opened.splice(0)) directory.close();
  await responder.close();
});

const filter = (text: string) => FilterTemplate.parse(text) as FilterTemplate;

function directory(changes: Partial<LdapSettings> = {}): LdapDirectory {
  const made = new LdapDirectory(
    {
      addresses: [{ host: '127.0.0.1', port: responder.port }],
      srvNames: null,
      transport: { security: 'none', skipVerify: false, authorities: [] },
      lookupBindDn: 'granary@example.com',
      lookupBindPassword: 'secret',
      userBases: [resolvedBase(base)],
      userFilter: filter('(sAMAccountName=%s)'),
      userAttributes: ['memberOf', 'objectSid', 'objectGUID'],
      groupBases: [resolvedBase(base)],
      groupFilter: filter('(member:1.2.840.113556.1.4.1941:=%d)'),
      followsNested: false,
      ...changes,
    },
    {
      clock: { monotonicMs: () => performance.now() },
      random: () => 0,
      resolveSrv: () => Promise.reject(new Error('no DNS')),
      operationMs: 500,
    },
  );
  opened.push(made);
  return made;
}

describe('Active Directory', () => {
  const group = (index: number) => `CN=group ${index},${base}`;
  const groups = Array.from({ length: 3700 }, (_, index) => group(index));

  it('hands out many values in ranges, which are read to their end', async () => {
    responder.answer = answering(({ attributes }) => {
      const from = Number(/;range=(\d+)-\*/.exec(attributes.join())?.[1] ?? 0);
      const values = groups.slice(from, from + 1500);
      const isLast = from + values.length === groups.length;
      const range = `memberOf;range=${from}-${isLast ? '*' : from + values.length - 1}`;
      return [{ dn: sisko, attributes: { sAMAccountName: ['sisko'], memberOf: [], [range]: values } }];
    });
    const user = await directory().findUser('sisko');
    // As many as policies may see of one attribute.
    expect(user?.attributes.get('memberOf')?.length).toBe(1000);
    const asked = responder.requests.filter(({ tag }) => tag === 0x63).map(({ attributes }) => attributes.join());
    expect(asked.slice(1)).toEqual(['memberof;range=1500-*', 'memberof;range=3000-*']);
  });

  it('that hands out ranges without end is a fault', async () => {
    responder.answer = answering(({ attributes }) => {
      const from = Number(/;range=(\d+)-\*/.exec(attributes.join())?.[1] ?? 0);
      return [{ dn: sisko, attributes: { [`memberOf;range=${from}-${from}`]: [group(from)] } }];
    });
    await expect(directory().findUser('sisko')).rejects.toMatchObject({ kind: 'too-large' });
  });

  it('names objects in bytes, which are shown as people write them', async () => {
    const objectSid = Buffer.from('010500000000000515000000a065cf7e784b9b5fe77c8770091c0100', 'hex');
    const objectGUID = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
    responder.answer = answering(() => [
      { dn: sisko, attributes: { objectSid: [objectSid], objectGUID: [objectGUID] } },
    ]);
    const user = await directory().findUser('sisko');
    expect(user?.attributes.get('objectSid')).toEqual(['S-1-5-21-2127521184-1604012920-1887927527-72713']);
    expect(user?.attributes.get('objectGUID')).toEqual(['03020100-0504-0706-0809-0a0b0c0d0e0f']);
  });

  it('follows nested groups by its rule, with the DN as it spells it', async () => {
    responder.answer = answering(() => [{ dn: group(1), attributes: {} }]);
    expect(await directory().groupsOf('sisko', sisko)).toEqual(['cn=group 1,dc=example,dc=com']);
    const asked = responder.requests.at(-1)?.bytes.toString('latin1') ?? '';
    expect(asked).toContain('1.2.840.113556.1.4.1941');
    expect(asked).toContain(sisko);
  });

  it('takes a lookup account by another name than a DN', async () => {
    await directory().findUser('sisko');
    expect(responder.requests[0]?.bytes.toString('latin1')).toContain('granary@example.com');
  });
});

describe('SRV records', () => {
  const record = (name: string, priority: number, weight = 1) => ({ name, port: 636, priority, weight });
  const servers = (
    resolveSrv: (name: string) => Promise<ReturnType<typeof record>[]>,
    clock = { monotonicMs: () => 0 },
  ) => new LdapServers({ addresses: [], srvNames: ['_ldaps._tcp.example.com'], resolveSrv, clock, random: () => 0.99 });

  it('are tried by priority and weight, and those that failed last', async () => {
    const found = servers(async () => [
      record('c.example.com', 20),
      record('a.example.com.', 10, 0),
      record('b.example.com', 10, 9),
    ]);
    expect((await found.inOrder()).map(({ host }) => host)).toEqual([
      'b.example.com',
      'a.example.com',
      'c.example.com',
    ]);
    found.failed({ host: 'b.example.com', port: 636 });
    expect((await found.inOrder()).map(({ host }) => host)).toEqual([
      'a.example.com',
      'c.example.com',
      'b.example.com',
    ]);
  });

  it('of before count while DNS is down', async () => {
    let isDown = false;
    let nowMs = 0;
    const found = servers(
      async () => {
        if (isDown) throw new Error('SERVFAIL');
        return [record('a.example.com', 1)];
      },
      { monotonicMs: () => nowMs },
    );
    expect((await found.inOrder()).length).toBe(1);
    isDown = true;
    nowMs = 3_600_000;
    expect((await found.inOrder()).length).toBe(1);
    await expect(servers(() => Promise.reject(new Error('SERVFAIL'))).inOrder()).rejects.toMatchObject({
      kind: 'unreachable',
    });
    await expect(servers(async () => [record('.', 0)]).inOrder()).rejects.toMatchObject({ kind: 'unreachable' });
  });
});

describe('a directory that lies', () => {
  const bound = (id: number) => message(id, result(0x61, 0));
  const lie = (bytes: (id: number) => Buffer) => {
    responder.answer = ({ id, tag }, socket) => socket.write(tag === 0x60 ? bound(id) : bytes(id));
  };

  it.each<[string, (id: number) => Buffer]>([
    ['text', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a length of four gigabytes', () => Buffer.from('3084ffffffff', 'hex')],
    ['a length of the indefinite form', () => Buffer.from('3080020101', 'hex')],
    ['a tag of several bytes', () => Buffer.from('3f810001', 'hex')],
    // The library would read on from there for ever.
    ['an element longer than the one around it', (id) => message(id, Buffer.from('640a0401783084000fffff', 'hex'))],
    ['an entry of nothing', (id) => message(id, tlv(0x64))],
    [
      'nesting without end',
      (id) =>
        message(
          id,
          Array.from({ length: 40 }).reduce<Buffer>((inner) => tlv(0x30, inner), tlv(0x04)),
        ),
    ],
    ['the end of another search', (id) => message(id + 1, result(0x65, 0))],
    ['an answer to a bind', (id) => message(id, result(0x61, 0))],
    ['nothing', () => Buffer.alloc(0)],
  ])('with %s lets nobody in, in time', async (_what, bytes) => {
    lie(bytes);
    const startedMs = performance.now();
    const found = await directory()
      .findUser('sisko')
      .catch((error: unknown) => error);
    // Nobody, or a fault: never an account.
    expect(found === null || (found as Error).name === 'DirectoryFault').toBe(true);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('with more than was asked for is cut off', async () => {
    responder.answer = ({ id, tag }, socket) => {
      if (tag === 0x60) socket.write(bound(id));
      // Half a MiB of values in each of 200 entries.
      else
        for (let count = 0; count < 2000; count++)
          socket.write(entryMessage(id, { dn: `CN=${count},${base}`, attributes: { x: ['v'.repeat(60_000)] } }));
    };
    await expect(directory().groupsOf('sisko', sisko)).rejects.toMatchObject({ name: 'DirectoryFault' });
  });

  it.each([1, 2, 8, 13, 51, 52, 80])(
    'with result code %i to a bind of a user is a fault, not a wrong password',
    async (code) => {
      responder.answer = ({ id }, socket) => socket.write(message(id, result(0x61, code)));
      await expect(directory().isPasswordOf(sisko, 'any')).rejects.toMatchObject({ kind: 'refused' });
    },
  );

  it.each([19, 32, 48, 49, 50, 53])('with result code %i to a bind says that it is not right', async (code) => {
    responder.answer = ({ id }, socket) => socket.write(message(id, result(0x61, code)));
    expect(await directory().isPasswordOf(sisko, 'any')).toBe(false);
  });

  it('that refers elsewhere, or breaks off, gives nothing', async () => {
    responder.answer = ({ id, tag }, socket) => socket.write(tag === 0x60 ? bound(id) : message(id, result(0x65, 10)));
    await expect(directory().findUser('sisko')).rejects.toMatchObject({ kind: 'refused' });
    responder.answer = ({ id, tag }, socket) => {
      if (tag === 0x60) socket.write(bound(id));
      else socket.end(entryMessage(id, { dn: sisko, attributes: {} }));
    };
    await expect(directory().findUser('sisko')).rejects.toMatchObject({ kind: 'protocol' });
    // Only some of the groups (sizeLimitExceeded): with the others missing, what they deny would be allowed.
    responder.answer = ({ id, tag }, socket) => {
      if (tag === 0x60) socket.write(bound(id));
      else socket.write(Buffer.concat([entryMessage(id, { dn: sisko, attributes: {} }), message(id, result(0x65, 4))]));
    };
    await expect(directory().groupsOf('sisko', sisko)).rejects.toMatchObject({ kind: 'refused' });
  });
});

describe('StartTLS', () => {
  const starting = { transport: { security: 'starttls', skipVerify: true, authorities: [] } } as const;

  it.each<[string, (id: number) => Buffer]>([
    ['refuses', (id) => message(id, result(0x78, 2))],
    ['answers with something else', (id) => message(id, result(0x61, 0))],
    [
      'says more than yes, which would be read as if it were encrypted',
      (id) => Buffer.concat([message(id, result(0x78, 0)), message(id + 1, result(0x61, 0))]),
    ],
    ['says no word of the protocol', () => Buffer.from('500 what?\r\n')],
  ])('that the directory %s ends before the password is sent', async (_what, bytes) => {
    responder.answer = ({ id }, socket) => socket.write(bytes(id));
    await expect(directory(starting).findUser('sisko')).rejects.toMatchObject({ name: 'DirectoryFault' });
    expect(responder.requests.map(({ tag }) => tag)).toEqual([0x77]);
  });
});
