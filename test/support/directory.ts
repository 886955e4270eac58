/**
 * Debian's slapd as a process of its own on free ports of loopback: plain and StartTLS on one, TLS on the other, with
 * a certificate of an authority that is thrown away. It holds the people and groups of the documents, nested groups,
 * names that have to be escaped, and more entries than it gives at once.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'ldapts';
import { freePort } from './free-port.js';
import { standStill } from './stand-still.js';

const slapd = '/usr/sbin/slapd';
export const suffix = 'dc=example,dc=com';
export const userBase = `cn=users,${suffix}`;
export const groupBase = `cn=groups,${suffix}`;
export const lookup = { dn: `cn=lookup,${suffix}`, password: 'look-up-password' };
const admin = { dn: `cn=admin,${suffix}`, password: 'admin-password' };

/** More than slapd gives at once without paging. */
export const crowdCount = 1100;

export interface Person {
  /** Of the DN below `userBase`, as LDIF has it. */
  readonly rdn: string;
  readonly cn: string;
  readonly uid: string;
  readonly password: string;
}

/** Odd names: the LDIF spelling of each RDN is RFC 4514. */
export const people = {
  sisko: { rdn: 'cn=sisko', cn: 'sisko', uid: 'sisko', password: 'sisko-password' },
  dax: { rdn: 'cn=dax', cn: 'dax', uid: 'dax', password: 'dax-password' },
  quark: { rdn: 'cn=quark', cn: 'quark', uid: 'quark', password: 'quark-password' },
  obrien: {
    rdn: "cn=O'Brien\\, Miles \\+ Keiko",
    cn: "O'Brien, Miles + Keiko",
    uid: 'obrien',
    password: 'obrien-password',
  },
  jose: { rdn: 'cn=José Müller 猫', cn: 'José Müller 猫', uid: 'jose', password: 'jose-password ü' },
  plus: { rdn: 'cn=plus+uid=plus', cn: 'plus', uid: 'plus', password: 'plus-password' },
} as const satisfies Record<string, Person>;

export type PersonName = keyof typeof people;

export function dnOf(name: PersonName): string {
  return `${people[name].rdn},${userBase}`;
}

export interface DirectoryServer {
  readonly port: number;
  readonly tlsPort: number;
  /** PEM of the authority. */
  readonly authority: string;
  readonly authorityFile: string;
  readonly folder: string;
  /** As the administrator of the directory. */
  change<T>(work: (client: Client) => Promise<T>): Promise<T>;
  /** It takes connections and answers nothing, until `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Ends the process; `start` brings it back on the same ports. */
  down(): Promise<void>;
  start(): Promise<void>;
  /** For good, with its folder. */
  stop(): Promise<void>;
}

export async function startDirectory(): Promise<DirectoryServer> {
  const folder = mkdtempSync(join(tmpdir(), 'granary-slapd-'));
  mkdirSync(join(folder, 'db'));
  makeCertificates(folder);
  const configFile = join(folder, 'slapd.conf');
  writeFileSync(configFile, configOf(folder));
  const loaded = spawnSync('/usr/sbin/slapadd', ['-q', '-f', configFile], { input: ldif(), encoding: 'utf8' });
  if (loaded.status !== 0) throw new Error(`slapadd: ${loaded.stderr || (loaded.error?.message ?? '')}`);
  const [port, tlsPort] = [await freePort(), await freePort()];
  let child: ChildProcess | null = null;
  const start = async () => {
    const urls = `ldap://127.0.0.1:${port}/ ldaps://127.0.0.1:${tlsPort}/`;
    child = spawn(slapd, ['-d', '0', '-f', configFile, '-h', urls], { stdio: ['ignore', 'ignore', 'pipe'] });
    await listening(port, child);
  };
  const down = async () => {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGCONT');
    running.kill('SIGKILL');
    await ended;
  };
  const abandon = () => {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', abandon);
  await start();
  const authorityFile = join(folder, 'authority.crt');
  return {
    port,
    tlsPort,
    folder,
    authorityFile,
    authority: readFileSync(authorityFile, 'utf8'),
    async change(work) {
      const client = new Client({ url: `ldap://127.0.0.1:${port}`, timeout: 10_000 });
      try {
        await client.bind(admin.dn, admin.password);
        return await work(client);
      } finally {
        await client.unbind();
      }
    },
    async pause() {
      if (child === null) throw new Error('the directory does not run');
      await standStill(child);
    },
    resume: () => child?.kill('SIGCONT'),
    start,
    down,
    async stop() {
      await down();
      process.off('exit', abandon);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a server needs to ask it, as its environment. */
export function directoryEnvironment(
  address: string,
  changes: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const prefix = 'MINIO_IDENTITY_LDAP_';
  const settings: Record<string, string> = {
    SERVER_ADDR: address,
    LOOKUP_BIND_DN: lookup.dn,
    LOOKUP_BIND_PASSWORD: lookup.password,
    USER_DN_SEARCH_BASE_DN: userBase,
    USER_DN_SEARCH_FILTER: '(&(objectClass=inetOrgPerson)(uid=%s))',
    USER_DN_ATTRIBUTES: 'mail,uid',
    GROUP_SEARCH_BASE_DN: groupBase,
    GROUP_SEARCH_FILTER: '(&(objectClass=groupOfNames)(member=%d))',
    ...changes,
  };
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [prefix + name, value]));
}

function configOf(folder: string): string {
  const schemas = ['core', 'cosine', 'inetorgperson'];
  return [
    ...schemas.map((name) => `include /etc/ldap/schema/${name}.schema`),
    `pidfile ${folder}/slapd.pid`,
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    `TLSCACertificateFile ${folder}/authority.crt`,
    `TLSCertificateFile ${folder}/server.crt`,
    `TLSCertificateKeyFile ${folder}/server.key`,
    'idletimeout 0',
    'database mdb',
    'maxsize 67108864',
    `suffix "${suffix}"`,
    `rootdn "${admin.dn}"`,
    `rootpw ${admin.password}`,
    `directory ${folder}/db`,
    'dbnosync',
    'index objectClass,uid,cn,member eq',
    'access to attrs=userPassword by anonymous auth by * none',
    `access to * by dn.exact="${lookup.dn}" read by * none`,
    // Any number of pages, 500 entries at once.
    'sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited',
    '',
  ].join('\n');
}

function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=Authority of a test'],
    ...['-keyout', 'authority.key', '-out', 'authority.crt'],
  );
  openssl('req', ...newKey, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(join(folder, 'server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'authority.crt', '-CAkey', 'authority.key', '-CAcreateserial'],
    ...['-days', '2', '-extfile', 'server.ext', '-out', 'server.crt'],
  );
}

type Attributes = Readonly<Record<string, string | readonly string[]>>;

/** Everything in Base64: no name has to be looked at. */
function entry(dn: string, attributes: Attributes): string {
  const line = (name: string, value: string) => `${name}:: ${Buffer.from(value).toString('base64')}`;
  const lines = Object.entries(attributes).flatMap(([name, values]) =>
    (typeof values === 'string' ? [values] : values).map((value) => line(name, value)),
  );
  return [line('dn', dn), ...lines, ''].join('\n');
}

/** As slapd wants it to be added. */
export function personEntry({ cn, uid, password }: Pick<Person, 'cn' | 'uid' | 'password'>): Record<string, string> {
  return { objectClass: 'inetOrgPerson', cn, sn: cn, uid, userPassword: password, mail: `${uid}@example.com` };
}

function ldif(): string {
  const container = (name: string) => entry(`cn=${name},${suffix}`, { objectClass: 'organizationalRole', cn: name });
  const group = (name: string, members: readonly string[]) =>
    entry(`cn=${name},${groupBase}`, { objectClass: 'groupOfNames', cn: name.replaceAll('\\', ''), member: members });
  const crowd = Array.from({ length: crowdCount }, (_, index) => `crowd${index}`);
  return [
    entry(suffix, { objectClass: ['dcObject', 'organization'], dc: 'example', o: 'Example' }),
    container('users'),
    container('groups'),
    entry(lookup.dn, {
      objectClass: ['organizationalRole', 'simpleSecurityObject'],
      cn: 'lookup',
      userPassword: lookup.password,
    }),
    ...Object.values(people).map((person) => entry(`${person.rdn},${userBase}`, personEntry(person))),
    // Two of one login name.
    entry(`cn=twin one,${userBase}`, personEntry({ cn: 'twin one', uid: 'twin', password: 'twin-password' })),
    entry(`cn=twin two,${userBase}`, personEntry({ cn: 'twin two', uid: 'twin', password: 'twin-password' })),
    ...crowd.map((name) => entry(`cn=${name},${userBase}`, personEntry({ cn: name, uid: name, password: 'crowd' }))),
    group('ops', [dnOf('sisko')]),
    group('engineering', [dnOf('obrien'), dnOf('jose')]),
    group('odd\\, group \\+ ü', [dnOf('jose')]),
    // dax is in `inner`, which is in `middle`, which is in `outer`, which is in `inner`.
    group('inner', [dnOf('dax'), `cn=outer,${groupBase}`]),
    group('middle', [`cn=inner,${groupBase}`]),
    group('outer', [`cn=middle,${groupBase}`]),
    // quark is in more groups than come at once; none of them has a policy.
    ...crowd.map((name) => group(`of-${name}`, [dnOf('quark')])),
  ].join('\n');
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
  for (const deadline = Date.now() + 20_000; ;) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => {
        resolve(false);
      });
    });
    if (isUp) return;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`slapd did not start: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
