/**
 * The part of a login that speaks to the provider, with openid-client: the address to send a browser to, and the
 * exchange of the code that it brings back. Of the id_token the nonce, audience and times are checked here; its
 * signature and issuer where those of every token are, in AssumeRoleWithWebIdentity.
 */
import * as openid from 'openid-client';
import { z } from 'zod';
import { limits, Refusal } from '../base/index.js';
import { loginError } from './login-error.js';
import type { LoginProvider } from './login-provider.js';

const usualScopes: readonly string[] = ['openid', 'profile', 'email'];
const exchangeSecondsMax = 10;

const endpoint = z.url({ protocol: /^https?$/ }).max(2048);

const documentSchema = z.looseObject({
  issuer: z.string().min(1).max(1024),
  authorization_endpoint: endpoint,
  token_endpoint: endpoint,
  end_session_endpoint: endpoint.optional().catch(undefined),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional().catch(undefined),
  response_types_supported: z.array(z.string()).optional().catch(undefined),
  scopes_supported: z.array(z.string()).optional().catch(undefined),
});

type ProviderDocument = z.infer<typeof documentSchema>;

/** What a browser keeps while its user is with the provider. */
export interface Checks {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export interface Tokens {
  readonly idToken: string;
  readonly accessToken: string;
  /** Null: the provider did not say how long the access token lives. */
  readonly accessSeconds: number | null;
}

export class CodeFlow {
  constructor(
    private readonly fetch: openid.CustomFetch,
    private readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void,
  ) {}

  newChecks(): Checks {
    return {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      verifier: openid.randomPKCECodeVerifier(),
    };
  }

  /** Throws ProviderUnavailable, InvalidProviderAnswer. */
  async authorizationUrl(provider: LoginProvider, redirectUri: URL, checks: Checks): Promise<URL> {
    const document = await this.#document(provider);
    const { response_types_supported: types } = document;
    if (types !== undefined && !types.includes('code')) {
      throw loginError('InvalidProviderAnswer', 'The provider does not have the authorization-code flow.');
    }
    const offered = usualScopes.filter((scope) => document.scopes_supported?.includes(scope) ?? true);
    const scopes = new Set(['openid', ...(provider.scopes.length > 0 ? provider.scopes : offered)]);
    return openid.buildAuthorizationUrl(this.#configuration(provider, document, this.fetch), {
      redirect_uri: redirectUri.href,
      scope: [...scopes].join(' '),
      state: checks.state,
      nonce: checks.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(checks.verifier),
      code_challenge_method: 'S256',
    });
  }

  /** `rawQuery`: what the browser came back with. Throws what a login can fail with. */
  async exchange(provider: LoginProvider, redirectUri: URL, rawQuery: string, checks: Checks): Promise<Tokens> {
    const document = await this.#document(provider);
    const url = new URL(redirectUri);
    url.search = rawQuery;
    const kept: { answer: Response | null } = { answer: null };
    const keeping: openid.CustomFetch = async (...call) => {
      const answer = await this.fetch(...call);
      kept.answer = answer.clone();
      return answer;
    };
    try {
      const tokens = await this.#grant(this.#configuration(provider, document, keeping), url, checks).catch(
        async (error: unknown) => {
          const again = await this.#withOtherIssuer(provider, document, kept.answer, url, checks);
          if (again === null) throw error;
          return again;
        },
      );
      return tokensOf(tokens);
    } catch (error) {
      throw this.#explained(provider, error);
    }
  }

  /** Where the provider ends its own session; null: it has no such page. */
  async endSessionUrl(provider: LoginProvider, backTo: string): Promise<string | null> {
    const { end_session_endpoint: page } = await this.#document(provider);
    if (page === undefined) return null;
    const url = new URL(page);
    url.searchParams.set('client_id', provider.clientId);
    if (backTo !== '') url.searchParams.set('post_logout_redirect_uri', backTo);
    return url.href;
  }

  async #document(provider: LoginProvider): Promise<ProviderDocument> {
    let document: unknown;
    try {
      document = await provider.document();
    } catch (error) {
      this.log('an OpenID provider cannot be reached for a login', { provider: provider.name, err: error });
      throw loginError('ProviderUnavailable');
    }
    const parsed = documentSchema.safeParse(document);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    this.log('the discovery document of an OpenID provider has not what a login needs', {
      provider: provider.name,
      field: issue?.path.join('.'),
      problem: issue?.message,
    });
    throw loginError('InvalidProviderAnswer');
  }

  #configuration(provider: LoginProvider, document: ProviderDocument, fetch: openid.CustomFetch): openid.Configuration {
    const { clientId, clientSecret } = provider;
    const configuration = new openid.Configuration(
      document as openid.ServerMetadata,
      clientId,
      undefined,
      clientSecret === '' ? openid.None() : authenticationOf(document, clientSecret),
    );
    configuration[openid.customFetch] = fetch;
    configuration.timeout = exchangeSecondsMax;
    // The operator named an http:// address, and was warned about it.
    if ([document.token_endpoint, document.authorization_endpoint].some((one) => one.startsWith('http:'))) {
      openid.allowInsecureRequests(configuration);
    }
    return configuration;
  }

  #grant(configuration: openid.Configuration, url: URL, { state, nonce, verifier }: Checks) {
    return openid.authorizationCodeGrant(configuration, url, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    });
  }

  /**
   * Some providers do not write the issuer of their document into their tokens. Which are accepted is decided where
   * every token is checked; here the same answer is looked at again with the one that it names. Null: it is not
   * about that.
   */
  async #withOtherIssuer(
    provider: LoginProvider,
    document: ProviderDocument,
    answer: Response | null,
    url: URL,
    checks: Checks,
  ) {
    const issuer = answer === null ? null : await issuerIn(answer.clone());
    if (answer === null || issuer === null || issuer === document.issuer) return null;
    const own = { ...document, issuer, authorization_response_iss_parameter_supported: false };
    // It named the issuer of the document here, and that was found right before.
    const withoutIssuer = new URL(url);
    withoutIssuer.searchParams.delete('iss');
    return this.#grant(
      this.#configuration(provider, own, () => Promise.resolve(answer)),
      withoutIssuer,
      checks,
    );
  }

  /** Neither the texts nor the causes of the library are shown: they may hold what the provider sent. */
  #explained(provider: LoginProvider, error: unknown): unknown {
    if (error instanceof Refusal) return error;
    const isChallenge = error instanceof openid.WWWAuthenticateChallengeError;
    if (isChallenge || error instanceof openid.ResponseBodyError) {
      // With 401 a provider says the same in a header.
      const code = isChallenge ? 'invalid_client' : errorWord(error.error);
      this.log('an OpenID provider refused the code of a login', { provider: provider.name, code });
      if (code === 'invalid_grant') return loginError('InvalidLogin');
      return loginError(
        'ProviderRefused',
        `The provider refused this server with ${code}: client_id, client_secret and redirect_uri must be as they are registered there.`,
      );
    }
    const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
    const isTimeout = code === 'OAUTH_TIMEOUT' || code === 'OAUTH_ABORT';
    this.log('a login with an OpenID provider failed', {
      provider: provider.name,
      code: typeof code === 'string' ? code : 'unknown',
      problem: typeof message === 'string' ? message.slice(0, 256) : '',
    });
    return loginError(isTimeout || code === undefined ? 'ProviderUnavailable' : 'InvalidProviderAnswer');
  }
}

function authenticationOf(document: ProviderDocument, secret: string): openid.ClientAuth {
  // Without a list it is Basic, says the discovery specification.
  const methods = document.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  if (methods.includes('client_secret_basic')) return basicAuthentication(secret);
  return openid.ClientSecretPost(secret);
}

/**
 * As in RFC 6749, section 2.3.1, but that letters, digits and `-._~` stay as they are: the library encodes some of
 * these as well, and there are providers that do not decode them.
 */
function basicAuthentication(secret: string): openid.ClientAuth {
  const encoded = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  return (_, { client_id: clientId }, __, headers) => {
    const pair = `${encoded(clientId)}:${encoded(secret)}`;
    headers.set('authorization', `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`);
  };
}

function tokensOf(tokens: openid.TokenEndpointResponse): Tokens {
  const { id_token: idToken, access_token: accessToken, expires_in: seconds } = tokens;
  if (idToken === undefined || idToken.length > limits.login.tokenCharsMax) throw loginError('InvalidProviderAnswer');
  if (accessToken.length > limits.login.tokenCharsMax) throw loginError('InvalidProviderAnswer');
  return { idToken, accessToken, accessSeconds: seconds ?? null };
}

/** Nothing of it is believed: it only says what to check against. */
async function issuerIn(answer: Response): Promise<string | null> {
  try {
    const { id_token: token } = (await answer.json()) as { readonly id_token?: unknown };
    if (typeof token !== 'string' || token.length > limits.login.tokenCharsMax) return null;
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const { iss } = JSON.parse(payload) as { readonly iss?: unknown };
    return typeof iss === 'string' && iss.length <= 1024 ? iss : null;
  } catch {
    return null;
  }
}

/** The code of an error of OAuth, which is a word; what is none may be anything. */
export function errorWord(text: string): string {
  return /^[a-z_]{1,64}$/.test(text) ? text : 'an unknown error';
}
