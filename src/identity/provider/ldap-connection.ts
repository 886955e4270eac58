/**
 * One connection to a directory: bind and search, one operation after the other, each within its time and its
 * bytes. After a fault the connection is closed; it never connects again by itself, so that nothing is asked on a
 * connection that is bound to nobody.
 */
import { Client, ResultCodeError, type Filter } from 'ldapts';
import type { connect } from 'node:net';
import { Deadline } from '../../base/index.js';
import { directoryFault } from './ldap-fault.js';
import { openLdapStream, type LdapAddress, type LdapStream, type LdapTransport } from './ldap-stream.js';

export interface DirectoryEntry {
  /** As the directory spells it. */
  readonly dn: string;
  /** By names in lower case. */
  readonly attributes: ReadonlyMap<string, readonly Buffer[]>;
}

export interface SearchRequest {
  readonly base: string;
  readonly scope: 'base' | 'sub';
  readonly filter: Filter;
  /** Empty: none of them. */
  readonly attributes: readonly string[];
  /** More of them are a fault; but when `isFirstEnough`, they are simply not asked for. */
  readonly entriesMax: number;
  readonly isFirstEnough?: true;
}

export interface ConnectOptions {
  readonly address: LdapAddress;
  readonly transport: LdapTransport;
  readonly connectMs: number;
  readonly operationMs: number;
}

/** AD gives 1,000 entries at once, OpenLDAP 500. */
const pageEntries = 500;
const searchBytesMax = 64 * 1024 * 1024;
const bindBytesMax = 64 * 1024;

/** Codes of RFC 4511 that say "not this name with this password", however the server words it. */
const refusals: ReadonlySet<number> = new Set([
  // constraintViolation, invalidDNSyntax, noSuchObject, inappropriateAuthentication, invalidCredentials,
  // insufficientAccessRights, unwillingToPerform: also of accounts that are locked, disabled or expired.
  19, 34, 32, 48, 49, 50, 53,
]);
const noSuchObject = 32;

export class DirectoryConnection {
  readonly #client: Client;

  private constructor(
    private readonly stream: LdapStream,
    operationMs: number,
  ) {
    let isTaken = false;
    const give = (): LdapStream => {
      if (isTaken) throw directoryFault('protocol', 'the connection was closed');
      isTaken = true;
      return stream;
    };
    // The address is decided already; the library only wants to see one.
    this.#client = new Client({
      url: 'ldap://directory',
      timeout: operationMs,
      createConnection: give as unknown as typeof connect,
    });
  }

  /** Rejects with `DirectoryFault`. */
  static async open({ address, transport, connectMs, operationMs }: ConnectOptions): Promise<DirectoryConnection> {
    const deadline = new Deadline(connectMs);
    try {
      return new DirectoryConnection(await openLdapStream(address, transport, deadline.signal), operationMs);
    } finally {
      deadline.clear();
    }
  }

  get isOpen(): boolean {
    return !this.stream.destroyed && this.stream.readable;
  }

  set isIdle(isIdle: boolean) {
    this.stream.isIdle = isIdle;
  }

  /**
   * False: not with this password. Requires: a name and a password, since a bind without one of them succeeds and
   * says nothing (RFC 4513 section 5.1.2).
   */
  async bind(dn: string, password: string): Promise<boolean> {
    if (dn === '' || password === '') return false;
    return this.#bind(dn, password);
  }

  /** For the account that looks up, which may have no password: then the directory answers anybody. */
  async bindLookup(dn: string, password: string): Promise<void> {
    if (await this.#bind(dn, password)) return;
    this.close();
    throw directoryFault('lookup-bind', 'the directory refuses lookup_bind_dn with lookup_bind_password');
  }

  async #bind(dn: string, password: string): Promise<boolean> {
    this.stream.budgetBytes = bindBytesMax;
    try {
      await this.#client.bind(dn, password);
      return true;
    } catch (error) {
      if (error instanceof ResultCodeError && refusals.has(error.code)) return false;
      throw this.#fault(error);
    }
  }

  /** An entry that does not exist is not found: that is no fault. */
  async search(request: SearchRequest): Promise<readonly DirectoryEntry[]> {
    const { base, scope, filter, attributes, entriesMax, isFirstEnough = false } = request;
    this.stream.budgetBytes = searchBytesMax;
    const found: DirectoryEntry[] = [];
    const options = {
      scope,
      filter,
      // 1.1: no attributes (RFC 4511 section 4.5.1.8).
      attributes: attributes.length === 0 ? ['1.1'] : [...attributes],
      explicitBufferAttributes: [...attributes],
      ...(isFirstEnough && { sizeLimit: entriesMax }),
      paged: isFirstEnough || scope === 'base' ? false : { pageSize: pageEntries },
    };
    try {
      const pages =
        options.paged === false
          ? [await this.#client.search(base, { ...options, paged: false })]
          : this.#client.searchPaginated(base, { ...options, paged: options.paged });
      for await (const { searchEntries } of pages) {
        for (const entry of searchEntries) {
          if (found.length === entriesMax && isFirstEnough) return found;
          if (found.length === entriesMax) throw directoryFault('too-large', `more than ${entriesMax} entries match`);
          found.push(entryOf(entry));
        }
      }
      return found;
    } catch (error) {
      if (error instanceof ResultCodeError && error.code === noSuchObject) return [];
      throw this.#fault(error);
    }
  }

  close(): void {
    this.stream.destroy();
  }

  /** Whatever it was: an operation may still be under way, so the connection is not to be used again. */
  #fault(error: unknown): Error {
    this.close();
    if (error instanceof ResultCodeError) {
      return directoryFault('refused', `the directory answers with result code ${error.code}`, error);
    }
    if (error instanceof Error && error.name === 'DirectoryFault') return error;
    return directoryFault('protocol', 'the directory did not answer as it should', error);
  }
}

function entryOf({ dn, ...attributes }: Readonly<Record<string, unknown>>): DirectoryEntry {
  return {
    dn: typeof dn === 'string' ? dn : '',
    attributes: new Map(
      Object.entries(attributes).map(([name, value]) => [
        name.toLowerCase(),
        (Array.isArray(value) ? value : [value]).map((one) => Buffer.from(one as Buffer | string)),
      ]),
    ),
  };
}
