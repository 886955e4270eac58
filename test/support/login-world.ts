/** Logins over accounts in memory, with a provider that answers from memory and signs what the test says. */
import { SignJWT, exportJWK, generateKeyPair, jwtVerify, type JWTPayload } from 'jose';
import { createLoginService, type AssumeRequest, type LoginProvider } from '../../src/console/index.js';
import type { IdentityProvider } from '../../src/identity/index.js';
import { Refusal } from '../../src/base/index.js';
import { createLogger, type RequestRecord } from '../../src/telemetry/index.js';
import { exchangeRequest, type RequestShape } from './exchange.js';
import { stsWorld, type StsWorld } from './sts-world.js';
import { readAnswer } from '../../src/sts/index.js';

export const issuer = 'https://idp.example.org';
/** The token service accepts it as well. */
export const otherIssuer = 'accounts.example.org';
export const clientId = 'granary';
export const clientSecret = 'the-secret-of-the-client';

export interface Answer {
  readonly status: number;
  readonly location: string;
  readonly cookies: readonly string[];
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  json(): Record<string, unknown>;
}

/** What the provider does; a test changes it. */
export interface ProviderBehaviour {
  document: () => Promise<object>;
  /** Claims of the id_token beside the usual ones. */
  claims: JWTPayload;
  /** In place of the answer of the token endpoint. */
  answer: ((form: URLSearchParams) => Response | Promise<Response>) | null;
  readonly forms: URLSearchParams[];
  readonly authorizations: string[];
}

export interface LoginWorld extends StsWorld {
  readonly behaviour: ProviderBehaviour;
  readonly assumed: ReadonlyMap<string, string>[];
  readonly lines: string[];
  readonly seen: RequestRecord[];
  request(shape: RequestShape & { readonly secure?: boolean }): Promise<Answer>;
  /** Off to the provider: where to, and with which cookie. */
  begin(query?: string, headers?: Readonly<Record<string, string>>): Promise<{ url: URL; cookie: string }>;
  /** Back from it. */
  comeBack(begun: { url: URL; cookie: string }, query?: Readonly<Record<string, string>>): Promise<Answer>;
}

export interface LoginWorldOptions {
  readonly provider?: Partial<LoginProvider>;
  readonly more?: readonly Partial<LoginProvider>[];
  readonly pagesUrl?: string;
  readonly sessionSeconds?: number | null;
}

const { privateKey, publicKey } = await generateKeyPair('RS256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256' };

export const discovery = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  end_session_endpoint: `${issuer}/end`,
  response_types_supported: ['code'],
  id_token_signing_alg_values_supported: ['RS256'],
};

export function idToken(claims: JWTPayload, nonce: string): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const all = {
    iss: issuer,
    aud: clientId,
    sub: 'ann-at-idp',
    nonce,
    iat: nowSeconds,
    exp: nowSeconds + 300,
    ...claims,
  };
  return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid: jwk.kid }).sign(privateKey);
}

const openid: IdentityProvider = {
  async identify({ parameters, durationSeconds }) {
    const { payload } = await jwtVerify(parameters.get('WebIdentityToken') ?? '', publicKey).catch(() => {
      throw new Refusal('InvalidParameterValue', 'The token is not valid.');
    });
    if (payload.iss !== issuer && payload.iss !== otherIssuer) {
      throw new Refusal('InvalidParameterValue', 'The issuer is not accepted.');
    }
    if (payload['policy'] === undefined) {
      throw new Refusal('InvalidParameterValue', '`policy` claim missing from the JWT <token>');
    }
    return {
      ...{ account: 'hash-of-ann', source: 'openid', provider: '_', subject: payload.sub ?? '', roleArn: '' },
      ...{ policyNames: ['readwrite'], groups: [] },
      claims: new Map([
        ['sub', payload.sub ?? ''],
        ['preferred_username', 'ann'],
      ]),
      expiresMs: (await sharedWorld()).clock.nowMs() + (durationSeconds ?? 300) * 1000,
    };
  },
};

let shared: Promise<StsWorld> | null = null;

/** The accounts of all worlds of a file: their keys take a while to derive. */
function sharedWorld(): Promise<StsWorld> {
  shared ??= stsWorld({ providers: { openid } });
  return shared;
}

export async function loginWorld(options: LoginWorldOptions = {}): Promise<LoginWorld> {
  const assumed: ReadonlyMap<string, string>[] = [];
  const world = await sharedWorld();
  for (const parent of world.iam.parents()) await world.iam.revokeSessions(parent, null);
  world.records.length = 0;
  // Tokens are checked against the clock of the machine.
  world.clock.ms = Date.now();
  const lines: string[] = [];
  const seen: RequestRecord[] = [];
  let nonce = '';
  const behaviour: ProviderBehaviour = {
    document: async () => discovery,
    claims: { policy: 'readwrite' },
    answer: null,
    forms: [],
    authorizations: [],
  };
  const provider: LoginProvider = {
    ...{ name: '_', displayName: '', clientId, clientSecret, scopes: [], redirectUri: '', isRedirectDynamic: false },
    ...{ roleArn: '', sendsAccessToken: false, nameClaim: '' },
    document: () => behaviour.document(),
    ...options.provider,
  };
  const handler = createLoginService({
    providers: [provider, ...(options.more ?? []).map((more) => ({ ...provider, ...more }))],
    pagesUrl: options.pagesUrl ?? '',
    sessionSeconds: options.sessionSeconds ?? null,
    seal: world.seal,
    credentials: world.iam.credentials,
    clock: world.clock,
    observer: { observe: (record) => seen.push(record) },
    log: createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line) }),
    endSession: (accessKey) => world.iam.removeAccessKey(accessKey),
    assume: async (parameters, request: AssumeRequest) => {
      assumed.push(parameters);
      const form = new URLSearchParams([
        ['Action', 'AssumeRoleWithWebIdentity'],
        ['Version', '2011-06-15'],
        ...parameters,
      ]);
      const shape = {
        method: 'POST',
        target: '/',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: [form.toString()],
      };
      return readAnswer(await world.sts({ ...exchangeRequest(shape), id: request.id }));
    },
    fetch: async (_, { body, headers }) => {
      const form = new URLSearchParams(body as URLSearchParams);
      behaviour.forms.push(form);
      behaviour.authorizations.push(new Headers(headers).get('authorization') ?? '');
      if (behaviour.answer !== null) return behaviour.answer(form);
      return Response.json({
        access_token: 'access',
        token_type: 'Bearer',
        expires_in: 3600,
        id_token: await idToken(behaviour.claims, nonce),
      });
    },
  });

  const request: LoginWorld['request'] = async ({ secure = false, ...shape }) => {
    const { status, headers, body } = await handler({ ...exchangeRequest(shape), secure });
    const text = body.kind === 'bytes' ? Buffer.from(body.bytes).toString() : '';
    return {
      status,
      text,
      headers: new Map(headers.map(([name, value]) => [name.toLowerCase(), value])),
      cookies: headers.filter(([name]) => name === 'Set-Cookie').map(([, value]) => value),
      location: headers.find(([name]) => name === 'Location')?.[1] ?? '',
      json: () => JSON.parse(text) as Record<string, unknown>,
    };
  };
  return {
    ...world,
    ...{ behaviour, assumed, lines, seen, request },
    async begin(query = '', headers = {}) {
      const { location, cookies, text } = await request({ target: `/oauth/login?${query}`, headers });
      if (location === '') throw new Error(text);
      return { url: new URL(location), cookie: cookies[0]?.split(';', 1)[0] ?? '' };
    },
    comeBack({ url, cookie }, query = {}) {
      nonce = url.searchParams.get('nonce') ?? '';
      const back = new URLSearchParams({ code: 'the-code', state: url.searchParams.get('state') ?? '', ...query });
      return request({ target: `/oauth_callback?${back.toString()}`, headers: { cookie } });
    },
  };
}
