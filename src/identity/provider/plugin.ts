/**
 * The identity plugin: a web service of the operator's that is shown a token and says whose it is. It is asked once
 * for each call of the security token service, and nothing but its plain yes becomes credentials.
 */
import { limits, Refusal, type Clock } from '../../base/index.js';
import type { ExternalIdentity, IdentityErrorCode, IdentityProof, IdentityProvider } from '../external-identity.js';
import { boundedFetch, ProviderFault, type BoundedFetch, type BoundedResponse } from './bounded-fetch.js';
import { roleIdOf } from '../role-arn.js';
import { CallGate, GateFull } from './call-gate.js';
import { CallMeter, type CallStatistics } from './call-meter.js';
import { readGrant, readReason, type PluginGrant } from './plugin-reply.js';

export interface IdentityPluginOptions {
  readonly url: string;
  /** Sent as it is in the Authorization header; empty: none. */
  readonly authToken: string;
  readonly roleArn: string;
  readonly rolePolicies: readonly string[];
  /** Whether there is a policy of that name. */
  readonly hasPolicy: (name: string) => boolean;
  /** Somebody else decides what accounts may: policies of this server need not exist. */
  readonly arePoliciesElsewhere: boolean;
  readonly authorities: readonly string[];
  readonly clock: Clock;
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly fetch?: BoundedFetch;
}

const bounds = limits.identityPlugin;

export class IdentityPlugin implements IdentityProvider {
  readonly #options: IdentityPluginOptions;
  readonly #fetch: BoundedFetch;
  readonly #gate: CallGate;
  readonly #meter = new CallMeter();
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #isReachable: boolean | null = null;

  constructor(options: IdentityPluginOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? boundedFetch;
    this.#gate = new CallGate(bounds, options.clock);
  }

  /** Looks now and each minute whether somebody is there, for the log: calls are made whatever comes of it. */
  start(): void {
    void this.check();
    this.#timer = setInterval(() => void this.check(), bounds.checkEveryMs);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#closing.abort();
  }

  statistics(): CallStatistics {
    return this.#meter.statistics(this.#options.clock.nowMs());
  }

  /** Null: it was not looked yet. */
  get isReachable(): boolean | null {
    return this.#isReachable;
  }

  async identify({ parameters, durationSeconds }: IdentityProof): Promise<ExternalIdentity> {
    const { roleArn, rolePolicies, hasPolicy, arePoliciesElsewhere, clock } = this.#options;
    const asked = parameters.get('RoleArn') ?? '';
    if (asked !== '' && roleIdOf(asked) !== roleIdOf(roleArn)) {
      throw refusal('InvalidParameterValue', 'RoleArn is not the role of the identity plugin.');
    }
    if (!arePoliciesElsewhere && !rolePolicies.some(hasPolicy)) {
      const names = rolePolicies.join(',');
      throw refusal('InvalidParameterValue', `None of the policies of the role (\`${names}\`) are defined.`);
    }
    const token = parameters.get('Token') ?? '';
    if (token.length > bounds.tokenCharsMax) {
      throw refusal('InvalidParameterValue', `Token has ${bounds.tokenCharsMax} characters at most.`);
    }
    const { user, validSeconds, claims } = await this.#ask(token);
    const account = `custom:${user}`;
    const groups = claims.get('groups');
    return {
      ...{ account, source: 'plugin', subject: account, roleArn, provider: '_', policyNames: [] },
      groups: [groups ?? []].flat().filter((group): group is string => typeof group === 'string'),
      claims: new Map([...claims, ['sub', account]]),
      expiresMs: clock.nowMs() + Math.min(validSeconds, durationSeconds ?? validSeconds) * 1000,
    };
  }

  /** HEAD, as each minute. Resolves whatever happens. */
  async check(): Promise<void> {
    const { url, authorities } = this.#options;
    try {
      const { timeoutMs, replyBytesMax: bytesMax } = bounds;
      const signal = this.#closing.signal;
      await this.#fetch(url, { method: 'HEAD', headers: this.#headers(), timeoutMs, bytesMax, authorities, signal });
      this.#reached(true, '');
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#reached(false, error instanceof ProviderFault ? error.message : '');
    }
  }

  #reached(isReachable: boolean, cause: string): void {
    const wasReachable = this.#isReachable;
    this.#isReachable = isReachable;
    if (!isReachable && wasReachable !== false) this.#options.log('the identity plugin cannot be reached', { cause });
    if (isReachable && wasReachable === false) this.#options.log('the identity plugin can be reached again', {});
  }

  async #ask(token: string): Promise<PluginGrant> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    let response: BoundedResponse;
    try {
      response = await this.#gate.run((timeoutMs) => this.#post(token, timeoutMs));
    } catch (error) {
      this.#meter.failed(clock.nowMs());
      // Like any other crowd: who asks may come again.
      if (error instanceof GateFull) throw new Refusal('ServerBusy', undefined, undefined, error);
      const reason = error instanceof ProviderFault ? error.reason : 'could not be asked';
      throw refusal('InternalError', `The identity plugin ${reason}.`, error);
    }
    const { status, body } = response;
    if (status === 403) {
      this.#meter.answered(clock.nowMs(), clock.monotonicMs() - startedMs);
      throw refusal('AccessDenied', readReason(body) || 'The identity plugin refused the token.');
    }
    const grant = status === 200 ? readGrant(body) : null;
    if (grant === null) {
      this.#meter.failed(clock.nowMs());
      const what = status === 200 ? 'with what is no grant' : `with status ${status}`;
      throw refusal('InternalError', `The identity plugin answered ${what}.`);
    }
    this.#meter.answered(clock.nowMs(), clock.monotonicMs() - startedMs);
    return grant;
  }

  #post(token: string, timeoutMs: number): Promise<BoundedResponse> {
    const { url, authorities } = this.#options;
    const target = new URL(url);
    target.searchParams.append('token', token);
    return this.#fetch(target.href, {
      method: 'POST',
      headers: this.#headers(),
      body: '',
      timeoutMs,
      bytesMax: bounds.replyBytesMax,
      authorities,
      signal: this.#closing.signal,
    });
  }

  #headers(): Record<string, string> {
    const { authToken } = this.#options;
    return authToken === '' ? {} : { authorization: authToken };
  }
}

function refusal(code: IdentityErrorCode, message: string, cause?: unknown): Refusal<IdentityErrorCode> {
  return new Refusal(code, message, undefined, cause);
}
