/**
 * A real OpenID provider on loopback (the certified `oidc-provider`), with what tests need around it: people who
 * sign in by name, tokens of any content under its keys, keys that rotate, and bad behaviour of all sorts.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import Provider, { type ClientMetadata, type Configuration } from 'oidc-provider';

type Claims = Readonly<Record<string, unknown>>;
type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

export interface OpenIdProviderOptions {
  readonly port?: number;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly redirectUris?: readonly string[];
  readonly clients?: readonly ClientMetadata[];
  /** Claims by the name that people sign in with, which is their subject. */
  readonly accounts?: Readonly<Record<string, Claims>>;
  /** Claims are given out at the userinfo endpoint only. */
  readonly keepsClaimsOutOfTokens?: boolean;
  readonly algorithms?: readonly Algorithm[];
  readonly tokenSeconds?: number;
  readonly configuration?: Configuration;
}

export interface SignedIn {
  readonly idToken: string;
  readonly accessToken: string;
}

export interface MintOptions {
  readonly alg?: string;
  /** Undefined leaves it out. */
  readonly kid?: string | undefined;
  readonly key?: CryptoKey | Uint8Array;
  readonly typ?: string;
  /** Of the keys of before the last rotation. */
  readonly isOld?: boolean;
}

interface SigningKey {
  readonly algorithm: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly privateJwk: JWK;
  readonly publicJwk: JWK;
}

/** In place of the provider's own answer; undefined: as usual. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse) => boolean;

export class TestOpenIdProvider {
  readonly accounts = new Map<string, Claims>();
  readonly clientId: string;
  readonly clientSecret: string;
  /** Paths that were asked for, in order. */
  readonly requests: string[] = [];
  /** Answers true when it took the request. */
  misbehaviour: Misbehaviour | null = null;
  readonly #options: OpenIdProviderOptions;
  readonly #server: Server;
  #port: number;
  #provider: Provider | null = null;
  #keys: readonly SigningKey[] = [];
  #oldKeys: readonly SigningKey[] = [];

  private constructor(options: OpenIdProviderOptions) {
    this.#options = options;
    this.clientId = options.clientId ?? 'granary';
    this.clientSecret = options.clientSecret ?? 'secret-of-the-client';
    this.#port = options.port ?? 0;
    for (const [name, claims] of Object.entries(options.accounts ?? {})) this.accounts.set(name, claims);
    this.#server = createServer((request, response) => {
      void this.#handle(request, response);
    });
  }

  static async start(options: OpenIdProviderOptions = {}): Promise<TestOpenIdProvider> {
    const started = new TestOpenIdProvider(options);
    await started.up();
    await started.rotate();
    return started;
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get configUrl(): string {
    return `${this.issuer}/.well-known/openid-configuration`;
  }

  /** The environment of a server that takes it as its claim-based provider, or under a name. */
  environment(name = '', more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const suffix = name === '' ? '' : `_${name}`;
    const all = { CONFIG_URL: this.configUrl, CLIENT_ID: this.clientId, CLIENT_SECRET: this.clientSecret, ...more };
    return Object.fromEntries(
      Object.entries(all).map(([key, value]) => [`MINIO_IDENTITY_OPENID_${key}${suffix}`, value]),
    );
  }

  /** On the port that it had. */
  async up(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** New keys in place of all that there were; with `kids`, under these names. */
  async rotate(kids: readonly string[] = []): Promise<void> {
    const algorithms = this.#options.algorithms ?? ['RS256'];
    this.#oldKeys = this.#keys;
    this.#keys = await Promise.all(algorithms.map((algorithm, index) => makeKey(algorithm, kids[index])));
    this.#provider = this.#makeProvider();
  }

  get keys(): readonly SigningKey[] {
    return this.#keys;
  }

  /** A token of this content, as the provider would sign it; undefined takes a claim out. */
  async mint(claims: Readonly<Record<string, unknown>> = {}, options: MintOptions = {}): Promise<string> {
    const [own] = options.isOld === true ? this.#oldKeys : this.#keys;
    if (own === undefined) throw new Error('there is no key');
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.issuer, aud: this.clientId, sub: 'ann', iat: now, exp: now + 3600, ...claims };
    const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as JWTPayload;
    const kid = 'kid' in options ? options.kid : own.kid;
    const header = { alg: options.alg ?? own.algorithm, typ: options.typ ?? 'JWT', ...(kid !== undefined && { kid }) };
    return new SignJWT(payload).setProtectedHeader(header).sign(options.key ?? own.privateKey);
  }

  /** The whole flow of a browser, with PKCE. */
  async signIn(account: string, scope = 'openid profile'): Promise<SignedIn> {
    const verifier = randomBytes(32).toString('base64url');
    const redirectUri = this.#redirectUris()[0] ?? '';
    const query = new URLSearchParams({
      ...{ client_id: this.clientId, response_type: 'code', redirect_uri: redirectUri, scope, login_hint: account },
      ...{ state: 'some-state', code_challenge_method: 'S256' },
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    });
    const code = await this.#codeOf(`${this.issuer}/auth?${query.toString()}`, redirectUri);
    const answer = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${this.clientId}:${this.clientSecret}`).toString('base64')}` },
      body: new URLSearchParams({
        ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier },
      }),
    });
    const tokens = (await answer.json()) as { id_token?: string; access_token?: string };
    if (tokens.id_token === undefined) throw new Error(`no token: ${JSON.stringify(tokens)}`);
    return { idToken: tokens.id_token, accessToken: tokens.access_token ?? '' };
  }

  async stop(): Promise<void> {
    await this.down();
  }

  async #codeOf(start: string, redirectUri: string): Promise<string> {
    const cookies = new Map<string, string>();
    let url = start;
    for (let hop = 0; hop < 10; hop++) {
      const answer = await fetch(url, {
        redirect: 'manual',
        headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      });
      for (const line of answer.headers.getSetCookie()) {
        const [pair = ''] = line.split(';');
        cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
      }
      const location = answer.headers.get('location');
      if (location === null) throw new Error(`the login ends at ${url}: ${answer.status} ${await answer.text()}`);
      url = new URL(location, url).href;
      if (url.startsWith(redirectUri)) {
        const code = new URL(url).searchParams.get('code');
        if (code === null) throw new Error(`the login failed: ${url}`);
        return code;
      }
    }
    throw new Error('the login goes in circles');
  }

  #redirectUris(): readonly string[] {
    return this.#options.redirectUris ?? ['http://127.0.0.1:1/oauth_callback'];
  }

  #makeProvider(): Provider {
    const names = new Set([...this.accounts.values()].flatMap((claims) => Object.keys(claims)));
    const { tokenSeconds = 3600, keepsClaimsOutOfTokens = false, clients = [], configuration } = this.#options;
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: this.clientId,
          client_secret: this.clientSecret,
          redirect_uris: [...this.#redirectUris()],
          grant_types: ['authorization_code', 'client_credentials'],
          response_types: ['code'],
          id_token_signed_response_alg: (this.#keys[0]?.algorithm ?? 'RS256') as 'RS256',
        },
        ...clients,
      ],
      jwks: { keys: this.#keys.map(({ privateJwk }) => privateJwk) },
      findAccount: (_context, name) => {
        const claims = this.accounts.get(name);
        return claims && { accountId: name, claims: () => ({ sub: name, ...claims }) };
      },
      claims: keepsClaimsOutOfTokens ? { openid: ['sub'], profile: [...names] } : { openid: ['sub', ...names] },
      conformIdTokenClaims: keepsClaimsOutOfTokens,
      features: { devInteractions: { enabled: false }, clientCredentials: { enabled: true } },
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      pkce: { required: () => false },
      cookies: { keys: ['key-of-tests'] },
      ttl: { IdToken: tokenSeconds, AccessToken: tokenSeconds, Session: 3600, Grant: 3600, Interaction: 600 },
      ...configuration,
    });
    return provider;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    this.requests.push(path);
    if (this.misbehaviour?.(request, response) === true) return;
    const provider = this.#provider;
    if (provider === null) {
      response.writeHead(503).end();
      return;
    }
    try {
      if (path.startsWith('/interaction/')) await this.#interact(provider, request, response);
      else await provider.callback()(request, response);
    } catch (error) {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    }
  }

  /** Whoever `login_hint` names is signed in and agrees; without it, the name is asked for in a form. */
  async #interact(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const details = await provider.interactionDetails(request, response);
    const { params, prompt, session } = details;
    const hint = params['login_hint'];
    const name = request.method === 'POST' ? await submittedName(request) : typeof hint === 'string' ? hint : null;
    if (prompt.name === 'login' && name === null) {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<form method="post"><input name="login" autofocus><button type="submit">Sign in</button></form>');
      return;
    }
    if (prompt.name === 'login') {
      const login = { login: { accountId: name ?? '' } };
      await provider.interactionFinished(request, response, login, { mergeWithLastSubmission: false });
      return;
    }
    const grant = new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params['client_id']) });
    grant.addOIDCScope(typeof params['scope'] === 'string' ? params['scope'] : 'openid');
    const consent = { consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, consent, { mergeWithLastSubmission: true });
  }
}

async function makeKey(algorithm: Algorithm, name?: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const kid = name ?? randomBytes(8).toString('hex');
  const more = { kid, alg: algorithm, use: 'sig' };
  const [privateJwk, publicJwk] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey)]);
  return { algorithm, kid, privateKey, privateJwk: { ...privateJwk, ...more }, publicJwk: { ...publicJwk, ...more } };
}

async function submittedName(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString();
  return new URLSearchParams(body).get('login') ?? '';
}
