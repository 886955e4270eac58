/**
 * Microsoft Entra ID behind an OpenID provider: whose token it is, which groups the user is in, and what groups are
 * called. The provider verifies the token; this asks the directory.
 */
import { Refusal, limits, type Clock } from '../../base/index.js';
import type { IdentityErrorCode } from '../external-identity.js';
import { IamRefusal } from '../iam-refusal.js';
import type { BoundedFetch } from './bounded-fetch.js';
import { isObjectId, type EntraSettings } from './entra-settings.js';
import { entraAudiences, entraIssuers, objectIdOf, refuseForeignToken, type TokenClaims } from './entra-token.js';
import { GraphDirectory, type GraphUser } from './graph-directory.js';
import { GraphError } from './graph-error.js';
import { GraphTransport } from './graph-transport.js';

export interface EntraMember {
  readonly objectId: string;
  /** Object ids; sorted. */
  readonly groups: readonly string[];
}

/** Groups by the names that people know them by. */
export interface GroupDirectory {
  readonly tenantId: string;
  /**
   * The id of a group that is named by its name or by its id. Throws XMinioAdminNoSuchGroup for none,
   * XMinioAdminInvalidArgument for several of one name, XMinioIdentityProviderFault when the directory does not say.
   */
  groupId(nameOrId: string): Promise<string>;
  /** Names of those ids that are groups of the tenant. Throws XMinioIdentityProviderFault. */
  groupNames(ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

export interface EntraOptions {
  readonly settings: EntraSettings;
  readonly fetch: BoundedFetch;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly sleep: (ms: number) => Promise<void>;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
  /** For what an operator should know; never a secret. */
  readonly log: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
}

export class Entra implements GroupDirectory {
  readonly provider: string;
  readonly tenantId: string;
  /** Beside what the discovery document says. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly #options: EntraOptions;
  readonly #directory: GraphDirectory;
  readonly #asked = new Map<string, Promise<GraphUser>>();

  constructor(options: EntraOptions) {
    const { settings, fetch, clock, sleep, signal } = options;
    this.#options = options;
    this.provider = settings.provider;
    this.tenantId = settings.tenantId.toLowerCase();
    this.issuers = entraIssuers(settings);
    this.audiences = entraAudiences(settings);
    this.#directory = new GraphDirectory(
      new GraphTransport({ settings, fetch, clock, sleep, ...(signal && { signal }) }),
    );
  }

  /** With claims that nobody has verified yet; throws Refusal for a token that cannot be. */
  refuseForeign(claims: TokenClaims): void {
    refuseForeignToken(claims, this.#options.settings);
  }

  /** Requires: the token was verified. Rejects with a Refusal whose text the client reads. */
  async signIn(claims: TokenClaims): Promise<EntraMember> {
    const objectId = objectIdOf(claims, this.#options.settings);
    const user = await this.#forSignIn(this.user(objectId));
    switch (user.state) {
      case 'gone':
        throw refusal('AccessDenied', 'The user does not exist in the Entra ID tenant.');
      case 'disabled':
        throw refusal('AccessDenied', 'The user is disabled in Entra ID.');
      case 'enabled':
        return { objectId, groups: user.groups };
    }
  }

  /** Rejects with GraphError. Those who ask at the same time get one answer. */
  user(objectId: string): Promise<GraphUser> {
    const running = this.#asked.get(objectId);
    if (running !== undefined) return running;
    const asked = this.#directory.user(objectId, this.#deadlineMs()).finally(() => {
      this.#asked.delete(objectId);
    });
    this.#asked.set(objectId, asked);
    return asked;
  }

  async groupId(nameOrId: string): Promise<string> {
    if (isObjectId(nameOrId)) {
      const id = nameOrId.toLowerCase();
      const names = await this.groupNames([id]);
      if (!names.has(id)) throw noSuchGroup(nameOrId);
      return id;
    }
    const found = await this.#forAdmin(this.#directory.groupsNamed(nameOrId, this.#deadlineMs()));
    const [first, ...others] = found;
    if (first === undefined) throw noSuchGroup(nameOrId);
    if (others.length > 0) {
      const ids = found.slice(0, 8).map(({ id }) => id);
      throw new IamRefusal(
        'XMinioAdminInvalidArgument',
        `${found.length} groups of Entra ID are called "${nameOrId}": name one by its object id (${ids.join(', ')}${found.length > 8 ? ', …' : ''}).`,
      );
    }
    return first.id;
  }

  groupNames(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (ids.length === 0) return Promise.resolve(new Map());
    return this.#forAdmin(this.#directory.groupNames(ids, this.#deadlineMs()));
  }

  #deadlineMs(): number {
    return this.#options.clock.monotonicMs() + limits.graphWaits.signInMs;
  }

  async #forSignIn<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      this.#options.log('a sign-in with Entra ID failed: the groups of the user cannot be looked up', {
        provider: this.provider,
        err: error,
      });
      throw refusal('InternalError', `The groups of the user cannot be looked up: ${error.message}`, error);
    }
  }

  async #forAdmin<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      throw new IamRefusal('XMinioIdentityProviderFault', error.message);
    }
  }
}

function noSuchGroup(name: string): IamRefusal {
  return new IamRefusal('XMinioAdminNoSuchGroup', `There is no group "${name}" in Entra ID.`);
}

function refusal(code: IdentityErrorCode, message: string, cause?: unknown): Refusal<IdentityErrorCode> {
  return new Refusal<IdentityErrorCode>(code, message, {}, cause);
}
