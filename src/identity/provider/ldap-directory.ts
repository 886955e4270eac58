/**
 * A directory as this server asks it: who is behind a login name or a DN, is this the password, which groups. Main
 * thread; nothing here waits longer than the limits below. Rejects with `DirectoryFault`, never guesses.
 */
import { PresenceFilter, type Filter } from 'ldapts';
import type { Clock } from '../../base/index.js';
import { decodeGuid, decodeSid } from './active-directory.js';
import { DirectoryConnection, type DirectoryEntry, type SearchRequest } from './ldap-connection.js';
import { Dn } from './ldap-dn.js';
import { directoryFault, DirectoryFault } from './ldap-fault.js';
import type { FilterTemplate } from './ldap-filter.js';
import { LdapPool } from './ldap-pool.js';
import { LdapServers, type SrvRecord } from './ldap-servers.js';
import type { LdapAddress, LdapTransport } from './ldap-stream.js';

export interface SearchBase {
  /** As in the settings: the directory is asked with it. */
  readonly text: string;
  readonly dn: Dn;
}

export interface LdapSettings {
  readonly addresses: readonly LdapAddress[];
  /** Null: the addresses are it. */
  readonly srvNames: readonly string[] | null;
  readonly transport: LdapTransport;
  readonly lookupBindDn: string;
  readonly lookupBindPassword: string;
  readonly userBases: readonly SearchBase[];
  readonly userFilter: FilterTemplate;
  readonly userAttributes: readonly string[];
  readonly groupBases: readonly SearchBase[];
  /** Null: groups do not matter. */
  readonly groupFilter: FilterTemplate | null;
  /** Groups of groups are asked for one by one: for directories whose filters cannot say it. */
  readonly followsNested: boolean;
}

export interface DirectoryParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: () => number;
  readonly resolveSrv: (name: string) => Promise<readonly SrvRecord[]>;
  /** Of each operation. */
  readonly operationMs?: number;
}

export interface DirectoryUser {
  readonly dn: Dn;
  /** As the directory spells it. */
  readonly actualDn: string;
  /** Empty when the entry does not say, or has several. */
  readonly login: string;
  /** Those of the settings that it has, under the names of the settings. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
}

export interface DirectoryGroup {
  readonly dn: Dn;
  readonly actualDn: string;
}

/** Beyond the time of a TCP and TLS connection over a slow line nobody is there. */
const connectMs = 5_000;
const operationMsUsual = 8_000;
const pool = { connectionsMax: 8, waitersMax: 1024, waitMs: 10_000, idleMs: 60_000 } as const;
/** Of one user; AD's own limit of a token is 1,015. */
const groupsMax = 10_000;
/** Ranges of one attribute (AD gives 1,500 values at once). */
const rangesMax = 64;
const valueCharsMax = 4096;
const valuesMax = 1000;

const everything = new PresenceFilter({ attribute: 'objectClass' });

export class LdapDirectory {
  readonly #servers: LdapServers;
  /** Bound as the account that looks up. */
  readonly #searchers: LdapPool;
  /** Bound as whoever came last: for passwords only, nothing is ever searched on these. */
  readonly #verifiers: LdapPool;
  readonly #operationMs: number;

  constructor(
    readonly settings: LdapSettings,
    parts: DirectoryParts,
  ) {
    const { addresses, srvNames } = settings;
    this.#operationMs = parts.operationMs ?? operationMsUsual;
    this.#servers = new LdapServers({ ...parts, addresses, srvNames });
    this.#searchers = new LdapPool({ ...pool, open: () => this.#openSearcher() });
    this.#verifiers = new LdapPool({ ...pool, open: () => this.#open() });
  }

  /** Null: none, or more than one: then nobody can say whose password it is. */
  async findUser(login: string): Promise<DirectoryUser | null> {
    const { userBases, userFilter } = this.settings;
    const filter = userFilter.with({ login, dn: null });
    return this.#searchers.use(async (connection) => {
      const found = new Map<string, DirectoryUser>();
      for (const base of userBases) {
        // Two are enough to know that it is not one.
        const entries = await connection.search({
          ...this.#userRequest(base.text, filter, 'sub'),
          entriesMax: 2,
          isFirstEnough: true,
        });
        for (const entry of entries) {
          const user = await this.#userOf(connection, entry);
          if (user === null) return null;
          found.set(user.dn.text, user);
        }
      }
      const [only] = found.values();
      return found.size === 1 && only !== undefined ? only : null;
    });
  }

  /** A user of the settings' bases and filter; null when there is none of that name. */
  async userByDn(dn: string): Promise<DirectoryUser | null> {
    const parsed = Dn.parse(dn);
    if (parsed === null || !this.isUserDn(parsed)) return null;
    const filter = this.settings.userFilter.with({ login: null, dn });
    return this.#searchers.use(async (connection) => {
      const [entry] = await connection.search({ ...this.#userRequest(dn, filter, 'base'), entriesMax: 1 });
      return entry === undefined ? null : this.#userOf(connection, entry);
    });
  }

  /** An entry below one of the groups' bases. */
  async groupByDn(dn: string): Promise<DirectoryGroup | null> {
    const parsed = Dn.parse(dn);
    if (parsed === null || !this.isGroupDn(parsed)) return null;
    const [entry] = await this.#search({ base: dn, scope: 'base', filter: everything, attributes: [], entriesMax: 1 });
    const found = entry === undefined ? null : Dn.parse(entry.dn);
    return entry === undefined || found === null ? null : { dn: found, actualDn: entry.dn };
  }

  isUserDn(dn: Dn): boolean {
    return this.settings.userBases.some((base) => dn.isWithin(base.dn));
  }

  isGroupDn(dn: Dn): boolean {
    return this.settings.groupBases.some((base) => dn.isWithin(base.dn));
  }

  /** Normalised, in order. All of them: with some missing, what they deny would be allowed. */
  async groupsOf(login: string, actualDn: string): Promise<readonly string[]> {
    const { groupFilter, groupBases, followsNested } = this.settings;
    if (groupFilter === null) return [];
    // It would find none, and what those deny would be allowed.
    if (login === '' && groupFilter.hasLogin) {
      throw directoryFault('refused', `the login name of ${actualDn} is not known, which group_search_filter needs`);
    }
    return this.#searchers.use(async (connection) => {
      const names = new Set<string>();
      let asked: readonly string[] = [actualDn];
      while (asked.length > 0) {
        const found: string[] = [];
        for (const member of asked) {
          const filter = groupFilter.with({ login, dn: member });
          for (const { text } of groupBases) {
            const request = { base: text, scope: 'sub', filter, attributes: [], entriesMax: groupsMax } as const;
            for (const { dn } of await connection.search(request)) {
              const group = Dn.parse(dn);
              // What has no name here has no policy either. A circle of groups ends where it is known.
              if (group === null || names.has(group.text)) continue;
              if (names.size === groupsMax) throw directoryFault('too-large', `more than ${groupsMax} groups`);
              names.add(group.text);
              found.push(dn);
            }
          }
        }
        asked = followsNested && groupFilter.hasDn ? found : [];
      }
      return [...names].sort();
    });
  }

  /** Whether the directory takes the password. The empty one it would take from everybody: that is refused here. */
  async isPasswordOf(actualDn: string, password: string): Promise<boolean> {
    if (actualDn === '' || password === '') return false;
    return this.#verifiers.use((connection) => connection.bind(actualDn, password));
  }

  /** What setting it up must find: a server, the account that looks up, and every base. */
  async check(): Promise<void> {
    const { userBases, groupBases } = this.settings;
    await this.#searchers.use(async (connection) => {
      for (const { text } of [...userBases, ...groupBases]) {
        const request = { base: text, scope: 'base', filter: everything, attributes: [], entriesMax: 1 } as const;
        if ((await connection.search(request)).length === 1) continue;
        throw directoryFault('refused', `there is no entry "${text}", or the lookup account may not read it`);
      }
    });
  }

  close(): void {
    this.#searchers.close();
    this.#verifiers.close();
  }

  #search(request: SearchRequest): Promise<readonly DirectoryEntry[]> {
    return this.#searchers.use((connection) => connection.search(request));
  }

  #userRequest(base: string, filter: Filter, scope: 'base' | 'sub') {
    const { userAttributes, userFilter } = this.settings;
    const login = userFilter.loginAttribute;
    const isAsked = login === null || userAttributes.some((name) => name.toLowerCase() === login.toLowerCase());
    return { base, scope, filter, attributes: isAsked ? userAttributes : [...userAttributes, login] } as const;
  }

  async #userOf(connection: DirectoryConnection, entry: DirectoryEntry): Promise<DirectoryUser | null> {
    const dn = Dn.parse(entry.dn);
    if (dn === null) return null;
    const attributes = new Map<string, readonly string[]>();
    for (const name of this.settings.userAttributes) {
      const values = await this.#valuesOf(connection, entry, name.toLowerCase());
      if (values.length > 0) attributes.set(name, values);
    }
    const logins = entry.attributes.get(this.settings.userFilter.loginAttribute?.toLowerCase() ?? '') ?? [];
    const login = logins.length === 1 ? (logins[0]?.toString() ?? '') : '';
    return { dn, actualDn: entry.dn, login, attributes };
  }

  /** AD hands out many values in ranges: `memberOf;range=0-1499`, then on from 1500 until `…-*`. */
  async #valuesOf(connection: DirectoryConnection, entry: DirectoryEntry, name: string): Promise<readonly string[]> {
    const values: string[] = [];
    const take = (raw: readonly Buffer[]): void => {
      values.push(...raw.map((value) => textOfValue(name, value)));
      if (values.length > valuesMax * rangesMax) throw directoryFault('too-large', `${name} has too many values`);
    };
    take(entry.attributes.get(name) ?? []);
    let range = rangeOf(entry, name);
    for (let count = 0; range !== null; count++) {
      take(range.values);
      if (range.next === null) break;
      if (count === rangesMax) throw directoryFault('too-large', `${name} comes in too many ranges`);
      const [more] = await connection.search({
        base: entry.dn,
        scope: 'base',
        filter: everything,
        attributes: [`${name};range=${range.next}-*`],
        entriesMax: 1,
      });
      range = more === undefined ? null : rangeOf(more, name);
    }
    return [...new Set(values)].filter((value) => value !== '' && value.length <= valueCharsMax).slice(0, valuesMax);
  }

  async #openSearcher(): Promise<DirectoryConnection> {
    const connection = await this.#open();
    const { lookupBindDn, lookupBindPassword } = this.settings;
    await connection.bindLookup(lookupBindDn, lookupBindPassword);
    return connection;
  }

  /** The first server that takes the connection. */
  async #open(): Promise<DirectoryConnection> {
    let failure: unknown = null;
    for (const address of await this.#servers.inOrder()) {
      try {
        const { transport } = this.settings;
        const operationMs = this.#operationMs;
        const connection = await DirectoryConnection.open({ address, transport, connectMs, operationMs });
        this.#servers.worked(address);
        return connection;
      } catch (error) {
        this.#servers.failed(address);
        failure = error;
      }
    }
    const cause = failure instanceof DirectoryFault ? failure.message : 'there is no address';
    throw directoryFault('unreachable', `no server of the directory can be reached: ${cause}`, failure);
  }
}

interface Range {
  readonly values: readonly Buffer[];
  /** Null: this was the last. */
  readonly next: number | null;
}

function rangeOf({ attributes }: DirectoryEntry, name: string): Range | null {
  for (const [key, values] of attributes) {
    if (!key.startsWith(`${name};range=`) || values.length === 0) continue;
    const end = /;range=\d+-(\d+|\*)$/.exec(key)?.[1];
    if (end === undefined) continue;
    return { values, next: end === '*' ? null : Number(end) + 1 };
  }
  return null;
}

function textOfValue(name: string, value: Buffer): string {
  if (name === 'objectsid' || name === 'sidhistory') return decodeSid(value) ?? '';
  if (name === 'objectguid') return decodeGuid(value) ?? '';
  const text = value.toString();
  // Photos and certificates are nothing that a policy could compare with.
  return Buffer.from(text).equals(value) ? text : '';
}
