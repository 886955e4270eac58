/**
 * Keycloak's administration API: accounts that it has disabled or removed lose their sessions and access keys here.
 * Whoever it cannot be asked about keeps them, and the log says so.
 */
import {
  allowInsecureRequests,
  clientCredentialsGrant,
  ClientSecretPost,
  Configuration,
  customFetch,
} from 'openid-client';
import { z } from 'zod';
import { limits } from '../../base/index.js';
import type { Iam } from '../iam.js';
import { boundedFetch, ProviderFault, type BoundedResponse } from './bounded-fetch.js';
import { clientFetch } from './client-fetch.js';
import type { OpenIdSettings } from './openid-settings.js';
import { parseJson, type OpenIdDiscovery } from './openid-source.js';

export interface KeycloakPurgeOptions {
  readonly settings: OpenIdSettings;
  readonly discovery: () => Promise<OpenIdDiscovery>;
  readonly iam: Pick<Iam, 'externalAccounts' | 'removeExternal'>;
  readonly authorities: readonly string[];
  /** For what an operator should know; never a secret. */
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly everyMs?: number;
}

/** In one round. */
const faultsMax = 16;

const userSchema = z.looseObject({ enabled: z.boolean() });
const errorSchema = z.looseObject({ error: z.string().optional() });

export class KeycloakPurge {
  readonly #options: KeycloakPurgeOptions;
  #timer: NodeJS.Timeout | null = null;
  #isRunning = false;
  #accessToken = '';

  constructor(options: KeycloakPurgeOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.run(), this.#options.everyMs ?? limits.openId.purgeMs);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Answers how many accounts lost what they had. Never rejects. */
  async run(): Promise<number> {
    if (this.#isRunning) return 0;
    this.#isRunning = true;
    try {
      return await this.#purge();
    } catch (error) {
      this.#complain('accounts of Keycloak could not be checked', error);
      return 0;
    } finally {
      this.#isRunning = false;
    }
  }

  async #purge(): Promise<number> {
    const { iam, settings, log } = this.#options;
    const accounts = iam.externalAccounts('openid').filter(({ provider }) => provider === settings.name);
    if (accounts.length === 0) return 0;
    let removed = 0;
    const faults: unknown[] = [];
    this.#accessToken = await this.#signIn();
    const queue = [...accounts];
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const subject = next.claims.get('sub');
        if (typeof subject !== 'string') continue;
        try {
          if (await this.#isEnabled(subject)) continue;
        } catch (error) {
          // One that cannot be asked about does not shield the others; many mean that none can.
          faults.push(error);
          if (faults.length >= faultsMax) return;
          continue;
        }
        const count = await iam.removeExternal(next.account, 'openid');
        removed++;
        log('an account is disabled at its provider and loses its credentials', { account: next.account, count });
      }
    };
    await Promise.all(Array.from({ length: limits.openId.purgeConcurrency }, work));
    if (faults.length > 0) this.#complain('accounts of Keycloak could not be checked', faults[0]);
    return removed;
  }

  async #isEnabled(subject: string): Promise<boolean> {
    let answer = await this.#ask(subject);
    if (answer.status === 401) {
      this.#accessToken = await this.#signIn();
      answer = await this.#ask(subject);
    }
    const { host } = new URL(this.#options.settings.keycloakAdminUrl);
    const body = answer.body.length === 0 ? {} : parseJson(answer.body);
    if (answer.status === 404) {
      // A wrong realm or address must not take everybody for removed.
      const problem = errorSchema.safeParse(body);
      const isOfUser = problem.success && !/realm|resource/i.test(problem.data.error ?? '');
      if (!isOfUser) throw new ProviderFault(host, 'does not know the realm or the address that is set up');
      return false;
    }
    const user = answer.status === 200 ? userSchema.safeParse(body) : null;
    if (user?.success !== true) throw new ProviderFault(host, `answered ${answer.status} in place of a user`);
    return user.data.enabled;
  }

  #ask(subject: string): Promise<BoundedResponse> {
    const { settings, authorities } = this.#options;
    const base = settings.keycloakAdminUrl.replace(/\/+$/, '');
    const path = `realms/${encodeURIComponent(settings.keycloakRealm)}/users/${encodeURIComponent(subject)}`;
    return boundedFetch(`${base}/${path}`, { authorities, headers: { authorization: `Bearer ${this.#accessToken}` } });
  }

  async #signIn(): Promise<string> {
    const { settings, authorities } = this.#options;
    const { issuer = settings.configUrl, token_endpoint: endpoint } = await this.#options.discovery();
    if (endpoint === undefined) throw new ProviderFault(new URL(settings.configUrl).host, 'names no token endpoint');
    const { clientId, clientSecret } = settings;
    const server = { issuer, token_endpoint: endpoint };
    const client = new Configuration(server, clientId, undefined, ClientSecretPost(clientSecret));
    client[customFetch] = clientFetch(authorities);
    allowInsecureRequests(client);
    const { access_token: token } = await clientCredentialsGrant(client);
    return token;
  }

  #complain(text: string, error: unknown): void {
    const cause = error instanceof Error ? error.message : 'unknown cause';
    this.#options.log(text, { provider: this.#options.settings.name, cause });
  }
}
