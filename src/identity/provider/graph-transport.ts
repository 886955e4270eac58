/**
 * Calls to Microsoft Graph with the application's own token: fetched by the client-credentials flow, kept until
 * shortly before it ends, fetched once more when Graph refuses it. What Graph asks to wait is waited, by every call.
 */
import { z } from 'zod';
import { limits, type Clock } from '../../base/index.js';
import { ProviderFault, type BoundedFetch, type BoundedRequest, type BoundedResponse } from './bounded-fetch.js';
import type { EntraSettings } from './entra-settings.js';
import { GraphError } from './graph-error.js';

export interface GraphTransportOptions {
  readonly settings: EntraSettings;
  readonly fetch: BoundedFetch;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly sleep: (ms: number) => Promise<void>;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

export interface GraphCall {
  readonly method: 'GET' | 'POST';
  /** Behind `/v1.0/`, or the whole address of a next page. */
  readonly path: string;
  readonly body?: unknown;
  /** The answer may be minutes behind, without which Graph refuses some questions. */
  readonly isEventual?: boolean;
  /** On the monotonic clock: no attempt begins and no wait ends after it. */
  readonly deadlineMs: number;
}

export interface GraphAnswer {
  readonly status: number;
  /** Parsed JSON; null: there was none. */
  readonly body: unknown;
  /** Of an answer that is an error: `Request_ResourceNotFound`. Empty otherwise. */
  readonly errorCode: string;
}

/** A token is not used in its last five minutes. */
const tokenReserveMs = 5 * 60_000;
/** A secret that was refused is not tried with every sign-in. */
const refusedTokenMs = 10_000;
const tokenSecondsMax = 24 * 3600;
const retryAfterMsMax = 60 * 60_000;
const tokenBytesMax = 64 * 1024;

const tokenAnswer = z.object({
  access_token: z.string().min(1).max(32_768),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().min(0),
});
const tokenRefusal = z.object({
  error: z.string().regex(/^[a-z_]{1,64}$/),
  error_codes: z.array(z.number().int().nonnegative()).max(8).optional(),
});
const graphRefusal = z.object({ error: z.object({ code: z.string().regex(/^[A-Za-z_.]{1,128}$/) }) });

/** What the codes of the sign-in service mean for whoever set it up. */
const advice: Readonly<Record<number, string>> = {
  7000215: 'the client secret is wrong: it is the secret value, not the secret id',
  7000222: 'the client secret has expired: create a new one and set client_secret',
  700016: 'there is no application with this client_id in the tenant',
  90002: 'there is no tenant with this azure_tenant_id',
  900023: 'azure_tenant_id is not the id of a tenant',
  7000112: 'the application is disabled',
};

interface Token {
  readonly text: string;
  readonly untilMs: number;
}

export class GraphTransport {
  readonly #options: GraphTransportOptions;
  readonly #api: string;
  #token: Token | null = null;
  #asked: Promise<Token> | null = null;
  #refused: { readonly error: GraphError; readonly untilMs: number } | null = null;
  /** Graph wants no call before. */
  #pausedUntilMs = -Infinity;

  constructor(options: GraphTransportOptions) {
    this.#options = options;
    this.#api = `${options.settings.endpoints.graphUrl}/v1.0/`;
  }

  /** Whether the address of a next page is Graph's own: anything else would be given the token. */
  isOwn(url: string): boolean {
    if (!URL.canParse(url)) return false;
    const { origin, pathname, username, password } = new URL(url);
    const own = new URL(this.#api);
    return origin === own.origin && pathname.startsWith(own.pathname) && username === '' && password === '';
  }

  /** Rejects with GraphError. Every status but those that are dealt with here is the caller's: 2xx, 400, 403, 404. */
  async call(call: GraphCall): Promise<GraphAnswer> {
    let isTokenNew = false;
    for (let attempt = 1; ; attempt++) {
      await this.#waitUntil(this.#pausedUntilMs, call.deadlineMs);
      const token = await this.#tokenFor(call.deadlineMs);
      const response = await this.#send(call, token);
      if (response.status === 401 && !isTokenNew) {
        isTokenNew = true;
        if (this.#token === token) this.#token = null;
        continue;
      }
      if (response.status === 429 || response.status >= 500) {
        const failure = this.#failure(response);
        if (attempt >= limits.graphWaits.attempts) throw failure;
        // Twice as long each time when Graph does not say how long.
        const waitMs = failure.retryAfterMs ?? 500 * 2 ** attempt;
        this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#nowMs() + waitMs);
        if (this.#pausedUntilMs >= call.deadlineMs) throw failure;
        continue;
      }
      if (response.status === 401) throw new GraphError('rejected', 'Microsoft Graph refuses the application token.');
      return answerOf(response);
    }
  }

  /** Permissions that the token has, if it shows them; for a message only: the token is Graph's to read. */
  grantedRoles(): readonly string[] | null {
    try {
      const [, payload = ''] = (this.#token?.text ?? '').split('.');
      const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
      const { roles } = z.object({ roles: z.array(z.string()).optional(), aud: z.string() }).parse(claims);
      return roles ?? [];
    } catch {
      return null;
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  async #waitUntil(ms: number, deadlineMs: number): Promise<void> {
    const waitMs = ms - this.#nowMs();
    if (waitMs <= 0) return;
    if (ms >= deadlineMs) throw new GraphError('unavailable', 'Microsoft Graph asks to wait.', waitMs);
    await this.#options.sleep(waitMs);
    if (this.#options.signal?.aborted === true) throw new GraphError('unavailable', 'The server is stopping.');
  }

  async #send(call: GraphCall, token: Token): Promise<BoundedResponse> {
    const { method, path, body } = call;
    const url = path.startsWith('http') ? path : this.#api + path;
    const headers = {
      authorization: `Bearer ${token.text}`,
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(call.isEventual === true && { consistencylevel: 'eventual' }),
    };
    return this.#exchange(url, call.deadlineMs, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      bytesMax: limits.graph.answerBytes,
    });
  }

  async #exchange(
    url: string,
    deadlineMs: number,
    request: Omit<BoundedRequest, 'timeoutMs'>,
  ): Promise<BoundedResponse> {
    const leftMs = deadlineMs - this.#nowMs();
    const { host } = new URL(url);
    if (leftMs <= 0) throw new GraphError('unavailable', `${host} did not answer in time.`);
    try {
      const timeoutMs = Math.min(leftMs, limits.graphWaits.callMs);
      const { fetch, signal } = this.#options;
      return await fetch(url, { ...request, timeoutMs, ...(signal && { signal }) });
    } catch (error) {
      if (!(error instanceof ProviderFault)) throw error;
      throw new GraphError('unavailable', `${error.message}.`, null, error);
    }
  }

  #failure(response: BoundedResponse): GraphError {
    const { status } = response;
    const text = status === 429 ? 'Microsoft Graph is asked too often' : `Microsoft Graph answers ${status}`;
    return new GraphError('unavailable', `${text}.`, retryAfterMs(response));
  }

  async #tokenFor(deadlineMs: number): Promise<Token> {
    const nowMs = this.#nowMs();
    if (this.#token !== null && this.#token.untilMs > nowMs) return this.#token;
    if (this.#refused !== null && this.#refused.untilMs > nowMs) throw this.#refused.error;
    // One for all who wait for it.
    this.#asked ??= this.#fetchToken(deadlineMs).finally(() => (this.#asked = null));
    return this.#asked;
  }

  async #fetchToken(deadlineMs: number): Promise<Token> {
    const { endpoints, tenantId, clientId, clientSecret } = this.#options.settings;
    const askedMs = this.#nowMs();
    const response = await this.#exchange(`${endpoints.loginUrl}/${tenantId}/oauth2/v2.0/token`, deadlineMs, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: clientId,
        client_secret: clientSecret,
        scope: `${endpoints.graphUrl}/.default`,
      }).toString(),
      bytesMax: tokenBytesMax,
    });
    const body = jsonOf(response.body);
    if (response.status !== 200) throw this.#refusedToken(response, body);
    const parsed = tokenAnswer.safeParse(body);
    if (!parsed.success) throw new GraphError('unavailable', 'The sign-in service of Entra ID gives no usable token.');
    const lifeMs = Math.min(parsed.data.expires_in, tokenSecondsMax) * 1000;
    // One of a few minutes is used for half of them.
    const token = { text: parsed.data.access_token, untilMs: askedMs + Math.max(lifeMs - tokenReserveMs, lifeMs / 2) };
    this.#token = token;
    this.#refused = null;
    return token;
  }

  #refusedToken(response: BoundedResponse, body: unknown): GraphError {
    const { status } = response;
    const parsed = tokenRefusal.safeParse(body);
    if (status === 429 || status >= 500 || !parsed.success) {
      const text = `The sign-in service of Entra ID answers ${status}.`;
      return new GraphError('unavailable', text, retryAfterMs(response));
    }
    const { error, error_codes: codes = [] } = parsed.data;
    const known = codes.map((code) => advice[code]).find((text) => text !== undefined);
    const named = codes.length === 0 ? error : codes.map((code) => `AADSTS${code}`).join(', ');
    const text = `Entra ID refuses this server's application (${named})${known === undefined ? '' : `: ${known}`}.`;
    const refusal = new GraphError('rejected', text);
    this.#refused = { error: refusal, untilMs: this.#nowMs() + refusedTokenMs };
    return refusal;
  }
}

function answerOf({ status, body: bytes }: BoundedResponse): GraphAnswer {
  const body = jsonOf(bytes);
  const parsed = status >= 400 ? graphRefusal.safeParse(body) : null;
  return { status, body, errorCode: parsed?.success === true ? parsed.data.error.code : '' };
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

/** Seconds; Graph sends no dates. */
function retryAfterMs(response: BoundedResponse): number | null {
  const text = response.headers.get('retry-after') ?? '';
  return /^\d{1,6}$/.test(text) ? Math.min(Number(text) * 1000, retryAfterMsMax) : null;
}
