/**
 * Signing in with an OpenID provider, by the authorization-code flow with PKCE:
 *
 *     GET  /oauth/providers       what there is to sign in with
 *     GET  /oauth/login?idp=NAME  off to the provider; `next=/path` is where to go afterwards
 *     GET  /oauth_callback        back from it: a session, and who it is for
 *     GET  /oauth/session         who is signed in
 *     POST /oauth/logout          nobody any more
 *
 * The credentials come from AssumeRoleWithWebIdentity, as any client's do. The browser keeps a sealed cookie that
 * names them; the secret stays here.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { CustomFetch } from 'openid-client';
import { z } from 'zod';
import { limits, Refusal, type Clock } from '../base/index.js';
import type { ExchangeHandler, ExchangeRequest, ExchangeResponse, HeaderPairs } from '../exchange/index.js';
import type { Credential, CredentialStore, RecordSeal } from '../identity/index.js';
import type { Logger, RequestObserver } from '../telemetry/index.js';
import { CodeFlow, errorWord } from './code-flow.js';
import { cookieOf, setCookie } from './cookies.js';
import { AssumeRefused, describeLoginError, loginError } from './login-error.js';
import type { AssumeOutcome, AssumeRequest, LoginProvider } from './login-provider.js';
import { callbackPath, loginPageElsewhere, loginPath, redirectUriFor } from './redirect-uri.js';
import { SealedValues } from './sealed-values.js';
import { UsedStates } from './used-states.js';

export interface LoginServiceOptions {
  readonly providers: readonly LoginProvider[];
  /** The address that people open, without a slash at the end; empty: it is not set. */
  readonly pagesUrl: string;
  /** How long sessions last; null: as long as the provider's access token, half a day at the most. */
  readonly sessionSeconds: number | null;
  readonly seal: RecordSeal;
  readonly credentials: CredentialStore;
  /** AssumeRoleWithWebIdentity with these parameters. */
  readonly assume: (parameters: ReadonlyMap<string, string>, request: AssumeRequest) => Promise<AssumeOutcome>;
  /** Ends temporary credentials. */
  readonly endSession: (accessKey: string) => Promise<void>;
  readonly fetch: CustomFetch;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: RequestObserver;
}

const pendingSchema = z.strictObject({
  provider: z.string(),
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  next: z.string(),
});

const sessionSchema = z.strictObject({ provider: z.string(), accessKey: z.string(), isSecure: z.boolean() });

type Pending = z.infer<typeof pendingSchema>;
type Session = z.infer<typeof sessionSchema>;

interface Route {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly handle: (request: ExchangeRequest) => Promise<ExchangeResponse> | ExchangeResponse;
}

/** Nothing of these answers is for caches, frames or other pages. */
const commonHeaders: HeaderPairs = [
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['Referrer-Policy', 'no-referrer'],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
];

const routePaths: readonly string[] = ['/oauth/providers', loginPath, callbackPath, '/oauth/session', '/oauth/logout'];

/** A bucket may be called `oauth`: what is signed, or names anything but these paths, is S3's. */
export function isLoginRequest({ rawPath, rawQuery, headers }: ExchangeRequest): boolean {
  if (!routePaths.includes(rawPath) || headers.has('authorization')) return false;
  return !/(?:^|&)(?:X-Amz-|Signature=|AWSAccessKeyId=)/i.test(rawQuery);
}

export function createLoginService(options: LoginServiceOptions): ExchangeHandler {
  const service = new LoginService(options);
  return (request) => service.handle(request);
}

class LoginService {
  readonly #options: LoginServiceOptions;
  readonly #flow: CodeFlow;
  readonly #pending: SealedValues<Pending>;
  readonly #sessions: SealedValues<Session>;
  readonly #used: UsedStates;
  readonly #routes: ReadonlyMap<string, Route>;
  #exchanges = 0;

  constructor(options: LoginServiceOptions) {
    const { seal, clock, log } = options;
    this.#options = options;
    this.#flow = new CodeFlow(options.fetch, (text, fields) => {
      log.warn(text, { ...fields });
    });
    this.#pending = new SealedValues('console/login', pendingSchema, seal, clock);
    this.#sessions = new SealedValues('console/session', sessionSchema, seal, clock);
    this.#used = new UsedStates(limits.login.usedMax, clock);
    this.#routes = new Map<string, Route>([
      ['/oauth/providers', { name: 'ConsoleLoginProviders', method: 'GET', handle: (request) => this.#list(request) }],
      [loginPath, { name: 'ConsoleLogin', method: 'GET', handle: (request) => this.#begin(request) }],
      [callbackPath, { name: 'ConsoleLoginCallback', method: 'GET', handle: (request) => this.#comeBack(request) }],
      ['/oauth/session', { name: 'ConsoleSession', method: 'GET', handle: (request) => this.#show(request) }],
      ['/oauth/logout', { name: 'ConsoleLogout', method: 'POST', handle: (request) => this.#end(request) }],
    ]);
  }

  async handle(request: ExchangeRequest): Promise<ExchangeResponse> {
    const startedMs = this.#options.clock.monotonicMs();
    // The front cannot tell any more once the client has left.
    void request.remoteAddress;
    const route = this.#routes.get(request.rawPath);
    let errorCode: string | null = null;
    let response: ExchangeResponse;
    try {
      if (route === undefined || route.method !== request.method) throw loginError('MethodNotAllowed');
      response = await route.handle(request);
    } catch (error) {
      const { status, code, message } = describeLoginError(error);
      errorCode = code;
      if (!(error instanceof Refusal)) {
        this.#options.log.error('a login failed', { requestId: request.id, err: error });
      }
      const isCallback = request.rawPath === callbackPath;
      response = jsonAnswer(status, { code, message, requestId: request.id }, [
        ...(isCallback ? this.#forgetLogin(request) : []),
        ...(status === 405 ? [['Allow', route?.method ?? 'GET'] as const] : []),
        ...(status === 503 ? [['Retry-After', '10'] as const] : []),
      ]);
    }
    response = { ...response, headers: [['x-amz-request-id', request.id], ...commonHeaders, ...response.headers] };
    this.#observe(request, route?.name ?? null, response, errorCode, startedMs);
    return response;
  }

  #observe(
    request: ExchangeRequest,
    operation: string | null,
    { status, headers, body }: ExchangeResponse,
    errorCode: string | null,
    startedMs: number,
  ): void {
    const durationMs = this.#options.clock.monotonicMs() - startedMs;
    const record = {
      ...{ requestId: request.id, operation, bucket: '', method: request.method, rawPath: request.rawPath },
      ...{ status: request.isAborted() ? 499 : status, errorCode, bytesReceived: 0, durationMs },
      ...{ timeToFirstByteMs: durationMs, remoteAddress: request.remoteAddress, accessKey: null, account: null },
      bytesSent: body.kind === 'bytes' ? body.bytes.length : 0,
      claims: new Map(),
      userAgent: request.headers.get('user-agent') ?? null,
    };
    this.#options.observer.observe(record, request, headers);
  }

  #list(request: ExchangeRequest): ExchangeResponse {
    parametersOf(request, []);
    const providers = this.#options.providers.map(({ name, displayName }) => ({
      name,
      displayName: displayName === '' ? (name === '_' ? 'OpenID' : name) : displayName,
      loginUrl: `${loginPath}?idp=${encodeURIComponent(name)}`,
    }));
    return jsonAnswer(200, { providers });
  }

  async #begin(request: ExchangeRequest): Promise<ExchangeResponse> {
    const { idp = '', next = '' } = parametersOf(request, ['idp', 'next', 'moved']);
    if (next !== '' && !isOwnPath(next)) throw loginError('InvalidParameter', 'next is not a path of this server.');
    const provider = this.#provider(idp);
    const redirectUri = redirectUriFor(provider, this.#options.pagesUrl, request);
    const elsewhere = loginPageElsewhere(redirectUri, request, request.rawQuery);
    if (elsewhere !== null) return redirect(elsewhere.href);
    const checks = this.#flow.newChecks();
    const url = await this.#flow.authorizationUrl(provider, redirectUri, checks);
    const cookie = await this.#pending.write(
      { provider: provider.name, ...checks, redirectUri: redirectUri.href, next },
      this.#options.clock.nowMs() + limits.login.lifeMs,
    );
    return redirect(url.href, [
      setCookie('granary-login', cookie, {
        isSecure: redirectUri.protocol === 'https:',
        maxAgeSeconds: limits.login.lifeMs / 1000,
      }),
    ]);
  }

  async #comeBack(request: ExchangeRequest): Promise<ExchangeResponse> {
    const { state = '', error, error_description: description } = callbackParameters(request);
    const cookie = cookieOf(request, 'granary-login');
    const found = cookie === null ? null : this.#pending.read(cookie);
    if (found === null || !isSame(found.value.state, state)) throw loginError('InvalidLogin');
    if (!this.#used.use(found.value.state, found.expiresMs)) throw loginError('InvalidLogin');
    const pending = found.value;
    const provider = this.#provider(pending.provider);
    if (error !== undefined) throw providerError(error, description ?? '');
    const redirectUri = new URL(pending.redirectUri);
    const { accessKey, expiresMs } = await this.#assume(request, provider, redirectUri, pending);
    const credential = this.#options.credentials.lookup(accessKey);
    if (credential === null) throw loginError('InternalError');
    const isSecure = redirectUri.protocol === 'https:';
    const session = await this.#sessions.write({ provider: provider.name, accessKey, isSecure }, expiresMs);
    const maxAgeSeconds = Math.floor((expiresMs - this.#options.clock.nowMs()) / 1000);
    const cookies = [
      ...this.#forgetLogin(request),
      setCookie('granary-session', session, { isSecure, maxAgeSeconds: Math.max(maxAgeSeconds, 0) }),
    ];
    if (pending.next !== '') return redirect(pending.next, cookies);
    return jsonAnswer(200, principalOf(credential, provider, expiresMs), cookies);
  }

  async #assume(request: ExchangeRequest, provider: LoginProvider, redirectUri: URL, pending: Pending) {
    if (this.#exchanges >= limits.login.exchangesMax) throw loginError('TooManyLogins');
    this.#exchanges++;
    try {
      const tokens = await this.#flow.exchange(provider, redirectUri, request.rawQuery, pending);
      const { idToken, accessToken, accessSeconds } = tokens;
      const seconds = this.#options.sessionSeconds ?? Math.min(accessSeconds ?? 0, limits.login.sessionSecondsMax);
      const parameters = new Map([
        ['WebIdentityToken', idToken],
        ['DurationSeconds', String(Math.max(Math.floor(seconds), limits.sessionSeconds.min))],
      ]);
      if (provider.sendsAccessToken) parameters.set('WebIdentityAccessToken', accessToken);
      if (provider.roleArn !== '') parameters.set('RoleArn', provider.roleArn);
      const { id, remoteAddress, secure, headers } = request;
      const userAgent = headers.get('user-agent') ?? '';
      const outcome = await this.#options.assume(parameters, { id, remoteAddress, secure, userAgent });
      if (outcome.isGranted) return outcome;
      throw new AssumeRefused(outcome.status, outcome.code, outcome.message);
    } finally {
      this.#exchanges--;
    }
  }

  #show(request: ExchangeRequest): ExchangeResponse {
    parametersOf(request, []);
    const found = this.#sessionOf(request);
    if (found === null) throw loginError('NoSession');
    return jsonAnswer(200, principalOf(found.credential, found.provider, found.expiresMs));
  }

  async #end(request: ExchangeRequest): Promise<ExchangeResponse> {
    parametersOf(request, []);
    if (!isFromOwnPage(request)) throw loginError('AccessDenied', 'Only a page of this server may do that.');
    const found = this.#sessionOf(request);
    let logoutUrl: string | null = null;
    if (found !== null) {
      await this.#options.endSession(found.session.accessKey);
      // The session is over whether the provider can be reached or not.
      logoutUrl = await this.#flow.endSessionUrl(found.provider, this.#options.pagesUrl).catch((error: unknown) => {
        if (error instanceof Refusal) return null;
        throw error;
      });
    }
    const forgotten = { maxAgeSeconds: 0, isSecure: found?.session.isSecure ?? request.secure };
    return jsonAnswer(200, { logoutUrl }, [setCookie('granary-session', '', forgotten)]);
  }

  /** Null: nobody is signed in, or the credentials are over, ended or without their account. */
  #sessionOf(request: ExchangeRequest) {
    const cookie = cookieOf(request, 'granary-session');
    const found = cookie === null ? null : this.#sessions.read(cookie);
    if (found === null) return null;
    const credential = this.#options.credentials.lookup(found.value.accessKey);
    const provider = this.#options.providers.find(({ name }) => name === found.value.provider);
    if (credential === null || provider === undefined) return null;
    return { session: found.value, expiresMs: found.expiresMs, credential, provider };
  }

  /** Without a name: the only one, or the one without a name. */
  #provider(name: string): LoginProvider {
    const { providers } = this.#options;
    const only = providers.length === 1 ? providers[0] : undefined;
    const wanted = name === '' ? '_' : name;
    const found = providers.find((one) => one.name === wanted) ?? (name === '' ? only : undefined);
    if (found !== undefined) return found;
    const names = providers.map((one) => one.name).join(', ');
    throw loginError('NoSuchProvider', `There is no such provider. idp is one of: ${names}`);
  }

  /** Under both of its names: an earlier login may have been over the other protocol. */
  #forgetLogin(request: Pick<ExchangeRequest, 'headers'>): HeaderPairs {
    const names = (request.headers.get('cookie') ?? '').split(/[;,]/).map((pair) => pair.trim().split('=', 1)[0]);
    return [true, false]
      .filter((isSecure) => names.includes(isSecure ? '__Host-granary-login' : 'granary-login'))
      .map((isSecure) => setCookie('granary-login', '', { isSecure, maxAgeSeconds: 0 }));
  }
}

/** Each of the names once at most; a client that repeats one could be understood in two ways. */
function parametersOf(
  request: ExchangeRequest,
  names: readonly string[],
): Readonly<Record<string, string | undefined>> {
  const { rawQuery } = request;
  if (rawQuery.length > limits.login.queryCharsMax) throw loginError('InvalidParameter', 'The query is too long.');
  const parameters = new URLSearchParams(rawQuery);
  const found: Record<string, string> = {};
  for (const name of names) {
    const values = parameters.getAll(name);
    if (values.length > 1) throw loginError('InvalidParameter', `${name} is there more than once.`);
    if (values[0] !== undefined) found[name] = values[0];
  }
  return found;
}

function callbackParameters(request: ExchangeRequest) {
  const found = parametersOf(request, ['code', 'state', 'iss', 'error', 'error_description']);
  if (found['code'] === undefined && found['error'] === undefined) throw loginError('InvalidLogin');
  return found;
}

/**
 * What the provider has to say, to the one whose login it is. It is an address that anybody can write, which is why
 * the state was looked at before; still, markup and whatever is not plain text stay out.
 */
function providerError(error: string, description: string): Refusal {
  const word = errorWord(error);
  const text = description.replace(/[^ !#-;=?-[\]-~]/g, '').slice(0, 200);
  const said = text === '' ? word : `${word} (${text})`;
  return loginError('AccessDenied', `The provider did not sign you in: ${said}.`);
}

/** A path and a query of this host; nothing that a browser takes for another one. */
function isOwnPath(text: string): boolean {
  return text.length <= 512 && /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/.test(text);
}

/** Browsers say where a request comes from; programs do not, and have no cookies of others. */
function isFromOwnPage({ headers }: ExchangeRequest): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const origin = headers.get('origin');
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === (headers.get('host') ?? '').toLowerCase();
}

/** Both are long and random, and only one of them is ours. */
function isSame(expected: string, sent: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(expected), digest(sent));
}

/** Who is signed in, without what could be signed with. */
function principalOf({ accessKey, principal }: Credential, provider: LoginProvider, expiresMs: number) {
  const claims = principal.kind === 'anonymous' ? new Map<string, unknown>() : principal.claims;
  const names = [provider.nameClaim, 'preferred_username', 'email', 'name', 'sub'];
  const name = names.map((claim) => claims.get(claim)).find((value) => typeof value === 'string' && value !== '');
  return {
    kind: principal.kind,
    provider: provider.name,
    name: name ?? '',
    ...(principal.kind !== 'anonymous' && {
      account: principal.account,
      source: principal.source,
      groups: principal.groups,
    }),
    ...(provider.roleArn !== '' && { roleArn: provider.roleArn }),
    accessKey,
    expiration: new Date(expiresMs).toISOString(),
  };
}

function jsonAnswer(status: number, value: object, headers: HeaderPairs = []): ExchangeResponse {
  const bytes = `${JSON.stringify(value)}\n`;
  return { status, headers: [['Content-Type', 'application/json'], ...headers], body: { kind: 'bytes', bytes } };
}

function redirect(location: string, headers: HeaderPairs = []): ExchangeResponse {
  return { status: 302, headers: [['Location', location], ...headers], body: { kind: 'empty', length: 0 } };
}
