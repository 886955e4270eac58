/**
 * A look-alike of Microsoft Entra ID and Microsoft Graph in one HTTP server, by their published shapes: discovery, keys,
 * tokens of both versions, the client-credentials flow, and the calls about users and groups over a directory in memory.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export interface DirectoryUser {
  readonly id: string;
  readonly name: string;
  accountEnabled: boolean;
}

export interface DirectoryGroup {
  readonly id: string;
  displayName: string;
  /** Ids of users and of groups. */
  readonly members: Set<string>;
}

export interface GraphCallRecord {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  readonly authorization: string;
  readonly body: string;
}

/** What goes wrong; each counts down as it happens. */
export interface Mischief {
  /** Graph calls that are answered 429, with this Retry-After (seconds; null: none). */
  throttled: number;
  retryAfter: number | null;
  /** Graph calls that are answered 401 as if the token had ended. */
  unauthorized: number;
  /** Graph calls that are answered with a 500. */
  failing: number;
  /** Milliseconds before each Graph answer. */
  delayMs: number;
  /** Graph calls that are answered with what is not JSON. */
  garbled: number;
  /** Where the link to the next page leads instead. */
  foreignNextLink: string | null;
  /** Links to next pages never end. */
  endlessPages: boolean;
  /** Answers of this many bytes. */
  flood: number;
  /** getMemberGroups refuses as for more than 11,000 groups. */
  tooManyGroups: boolean;
  /** Error codes of the token endpoint for the client-credentials flow. */
  tokenError: { readonly error: string; readonly codes: readonly number[]; readonly status: number } | null;
}

export interface TokenOptions {
  /** Version 2 unless said otherwise. */
  readonly version?: 1 | 2;
  /** The client id, or `api://` and it in version 1. */
  readonly audience?: string;
  readonly expiresInSeconds?: number;
  /** On top of what such a token has; undefined takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface GraphServer {
  /** Of sign-in and of Graph alike. */
  readonly url: string;
  readonly tenantId: string;
  readonly clientId: string;
  clientSecret: string;
  readonly users: Map<string, DirectoryUser>;
  readonly groups: Map<string, DirectoryGroup>;
  /** Application permissions that were granted, with admin consent. */
  readonly granted: Set<string>;
  readonly mischief: Mischief;
  /** Every call to Graph, and the application tokens that were asked for. */
  readonly calls: GraphCallRecord[];
  tokensGiven: number;
  addUser(name: string): DirectoryUser;
  /** Members by id. */
  addGroup(displayName: string, ...members: readonly { readonly id: string }[]): DirectoryGroup;
  /** What the app gets when the user signs in. */
  idToken(user: DirectoryUser, options?: TokenOptions): Promise<string>;
  accessToken(user: DirectoryUser, options?: TokenOptions): Promise<string>;
  /** New signing keys; the old ones are gone. */
  rotateKeys(): Promise<void>;
  close(): Promise<void>;
}

const pageSize = 2;
const mostGroups = 11_000;

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

async function newKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = randomUUID();
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig' } };
}

export async function startGraph(): Promise<GraphServer> {
  const tenantId = randomUUID();
  const clientId = randomUUID();
  const users = new Map<string, DirectoryUser>();
  const groups = new Map<string, DirectoryGroup>();
  const granted = new Set(['User.Read.All', 'Group.Read.All']);
  const calls: GraphCallRecord[] = [];
  const appTokens = new Set<string>();
  const codes = new Map<
    string,
    { readonly user: DirectoryUser; readonly nonce: string | null; readonly challenge: string | null }
  >();
  const mischief: Mischief = {
    ...{ throttled: 0, retryAfter: null, unauthorized: 0, failing: 0, delayMs: 0, garbled: 0 },
    ...{ foreignNextLink: null, endlessPages: false, flood: 0, tooManyGroups: false, tokenError: null },
  };
  // Made when it is asked for: many tests need none.
  let key: Promise<SigningKey> | null = null;
  const currentKey = () => (key ??= newKey());

  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const sign = async (claims: Record<string, unknown>, { expiresInSeconds = 3600 }: TokenOptions) => {
    const { kid, privateKey } = await currentKey();
    const nowSeconds = Math.floor(Date.now() / 1000);
    const all = { iat: nowSeconds, nbf: nowSeconds, exp: nowSeconds + expiresInSeconds, ...claims };
    return new SignJWT(all).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid }).sign(privateKey);
  };
  const subjectOf = (user: DirectoryUser) => Buffer.from(`pairwise ${user.id}`).toString('base64url');
  const common = (user: DirectoryUser, { version = 2, audience, claims = {} }: TokenOptions) => ({
    aud: audience ?? (version === 2 ? clientId : `api://${clientId}`),
    iss: version === 2 ? `${url}/${tenantId}/v2.0` : `https://sts.windows.net/${tenantId}/`,
    ...{ sub: subjectOf(user), oid: user.id, tid: tenantId, name: user.name, ver: `${version}.0` },
    ...claims,
  });
  const idToken: GraphServer['idToken'] = (user, options = {}) =>
    sign({ preferred_username: `${user.name}@example.org`, ...common(user, options) }, options);
  const accessToken: GraphServer['accessToken'] = (user, options = {}) =>
    sign({ azp: clientId, scp: 'access_as_user', ...common(user, options) }, options);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', url);
    const body = await textOf(request);
    const tenant = `/${tenantId}`;
    if (pathname === `${tenant}/v2.0/.well-known/openid-configuration`) {
      return sendJson(response, 200, {
        issuer: `${url}${tenant}/v2.0`,
        authorization_endpoint: `${url}${tenant}/oauth2/v2.0/authorize`,
        token_endpoint: `${url}${tenant}/oauth2/v2.0/token`,
        jwks_uri: `${url}${tenant}/discovery/v2.0/keys`,
        token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
        response_types_supported: ['code', 'id_token'],
        subject_types_supported: ['pairwise'],
        id_token_signing_alg_values_supported: ['RS256'],
        scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
      });
    }
    if (pathname === `${tenant}/discovery/v2.0/keys`) {
      return sendJson(response, 200, { keys: [(await currentKey()).jwk] });
    }
    if (pathname === `${tenant}/oauth2/v2.0/authorize`) return authorize(searchParams, response);
    if (pathname === `${tenant}/oauth2/v2.0/token`) {
      return token(withBasic(new URLSearchParams(body), request.headers.authorization ?? ''), response);
    }
    if (!pathname.startsWith('/v1.0/')) return sendJson(response, 404, {});
    const authorization = request.headers.authorization ?? '';
    calls.push({ method: request.method ?? '', target: request.url ?? '', authorization, body });
    const isEventual = request.headers['consistencylevel'] === 'eventual' && searchParams.get('$count') === 'true';
    const path = pathname.slice('/v1.0/'.length);
    return graph(request.method ?? '', path, searchParams, authorization, isEventual, body, response);
  }

  /** Signs in at once whoever the hint names. */
  function authorize(query: URLSearchParams, response: ServerResponse): void {
    const hint = query.get('login_hint');
    const user = [...users.values()].find(({ name }) => hint === null || hint === name);
    const back = new URL(query.get('redirect_uri') ?? url);
    if (user === undefined || query.get('client_id') !== clientId) back.searchParams.set('error', 'access_denied');
    else {
      const code = randomUUID();
      codes.set(code, { user, nonce: query.get('nonce'), challenge: query.get('code_challenge') });
      back.searchParams.set('code', code);
    }
    back.searchParams.set('state', query.get('state') ?? '');
    response.writeHead(302, { location: back.href }).end();
  }

  async function token(form: URLSearchParams, response: ServerResponse): Promise<void> {
    const refuse = (error: string, errorCodes: readonly number[], status = 401) =>
      sendJson(response, status, { error, error_description: `AADSTS${errorCodes[0]}: no.`, error_codes: errorCodes });
    if (form.get('client_id') !== clientId) return refuse('unauthorized_client', [700016], 400);
    if (form.get('client_secret') !== self.clientSecret) return refuse('invalid_client', [7000215]);
    if (form.get('grant_type') === 'authorization_code') {
      const found = codes.get(form.get('code') ?? '');
      codes.delete(form.get('code') ?? '');
      if (found === undefined) return refuse('invalid_grant', [54005], 400);
      const proof = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      if (found.challenge !== null && proof !== found.challenge) return refuse('invalid_grant', [501481], 400);
      const claims = { ...(found.nonce !== null && { nonce: found.nonce }) };
      return sendJson(response, 200, {
        token_type: 'Bearer',
        expires_in: 3599,
        id_token: await idToken(found.user, { claims }),
        access_token: await accessToken(found.user),
      });
    }
    if (mischief.tokenError !== null) {
      const { error, codes: errorCodes, status } = mischief.tokenError;
      return refuse(error, errorCodes, status);
    }
    if (form.get('grant_type') !== 'client_credentials') return refuse('unsupported_grant_type', [70003], 400);
    if (form.get('scope') !== `${url}/.default`) return refuse('invalid_scope', [70011], 400);
    self.tokensGiven++;
    const payload = Buffer.from(JSON.stringify({ aud: url, roles: [...granted], n: self.tokensGiven }));
    const given = `e30.${payload.toString('base64url')}.c2ln`;
    appTokens.add(given);
    return sendJson(response, 200, { token_type: 'Bearer', expires_in: 3599, access_token: given });
  }

  async function graph(
    method: string,
    path: string,
    query: URLSearchParams,
    authorization: string,
    isEventual: boolean,
    body: string,
    response: ServerResponse,
  ): Promise<void> {
    const refuse = (status: number, code: string, headers: Record<string, string> = {}) =>
      sendJson(response, status, { error: { code, message: 'no', innerError: {} } }, headers);
    if (mischief.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, mischief.delayMs));
    if (!appTokens.has(authorization.replace(/^Bearer /, ''))) return refuse(401, 'InvalidAuthenticationToken');
    if (mischief.unauthorized > 0) {
      mischief.unauthorized--;
      return refuse(401, 'InvalidAuthenticationToken');
    }
    if (mischief.throttled > 0) {
      mischief.throttled--;
      const { retryAfter } = mischief;
      return refuse(429, 'TooManyRequests', retryAfter === null ? {} : { 'retry-after': String(retryAfter) });
    }
    if (mischief.failing > 0) {
      mischief.failing--;
      return refuse(500, 'UnknownError');
    }
    if (mischief.garbled > 0) {
      mischief.garbled--;
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"value":');
      return;
    }
    if (mischief.flood > 0) {
      response.writeHead(200, { 'content-type': 'application/json' }).end('x'.repeat(mischief.flood));
      return;
    }
    const gone = () => refuse(404, 'Request_ResourceNotFound');
    const [, userId = '', rest = ''] = /^users\/([^/]+)(?:\/(.*))?$/.exec(path) ?? [];
    if (userId !== '') {
      const user = users.get(userId);
      if (rest === '' && method === 'GET') {
        if (!granted.has('User.Read.All')) return refuse(403, 'Authorization_RequestDenied');
        if (user === undefined) return gone();
        return sendJson(response, 200, { '@odata.context': 'c', accountEnabled: user.accountEnabled });
      }
      if (!granted.has('Group.Read.All')) return refuse(403, 'Authorization_RequestDenied');
      if (user === undefined) return gone();
      const all = memberOf(userId);
      if (rest === 'getMemberGroups' && method === 'POST') {
        if (typeof (JSON.parse(body) as { securityEnabledOnly?: unknown }).securityEnabledOnly !== 'boolean') {
          return refuse(400, 'Request_BadRequest');
        }
        if (mischief.tooManyGroups || all.length > mostGroups) return refuse(400, 'Directory_ResultSizeLimitExceeded');
        return sendJson(response, 200, { value: all.map(({ id }) => id) });
      }
      // A cast is one of the questions that need it.
      if (rest === 'transitiveMemberOf/microsoft.graph.group' && method === 'GET' && isEventual)
        return page(all, path, query, response);
      return refuse(400, 'Request_BadRequest');
    }
    if (!granted.has('Group.Read.All')) return refuse(403, 'Authorization_RequestDenied');
    if (path === 'groups' && method === 'GET') {
      const filter = /^displayName eq '((?:[^']|'')*)'$/.exec(query.get('$filter') ?? '');
      if (filter === null) return refuse(400, 'Request_UnsupportedQuery');
      const name = (filter[1] ?? '').replaceAll("''", "'").toLowerCase();
      return page(
        [...groups.values()].filter(({ displayName }) => displayName.toLowerCase() === name),
        path,
        query,
        response,
      );
    }
    if (path === 'directoryObjects/getByIds' && method === 'POST') {
      const { ids, types } = JSON.parse(body) as { ids: string[]; types: string[] };
      if (ids.length > 1000) return refuse(400, 'Request_BadRequest');
      const found = ids.flatMap((id) => groups.get(id) ?? []);
      const value = types.includes('group') ? found.map(describe) : [];
      return sendJson(response, 200, {
        value: value.map((one) => ({ '@odata.type': '#microsoft.graph.group', ...one })),
      });
    }
    return refuse(400, 'Request_BadRequest');
  }

  function page(all: readonly DirectoryGroup[], path: string, query: URLSearchParams, response: ServerResponse): void {
    const at = Number(query.get('$skiptoken') ?? '0');
    const next = new URL(`${mischief.foreignNextLink ?? url}/v1.0/${path}`);
    for (const [name, value] of query) next.searchParams.set(name, value);
    next.searchParams.set('$skiptoken', String(at + pageSize));
    const hasMore = at + pageSize < all.length || mischief.endlessPages;
    sendJson(response, 200, {
      '@odata.context': 'c',
      ...(hasMore && { '@odata.nextLink': next.href }),
      value: all.slice(at, at + pageSize).map(describe),
    });
  }

  /** Direct and through other groups. */
  function memberOf(id: string): readonly DirectoryGroup[] {
    const found = new Set<DirectoryGroup>();
    const asked = [id];
    for (let member = asked.pop(); member !== undefined; member = asked.pop()) {
      for (const group of groups.values()) {
        if (!group.members.has(member) || found.has(group)) continue;
        found.add(group);
        asked.push(group.id);
      }
    }
    return [...found];
  }

  const self: GraphServer = {
    ...{ url, tenantId, clientId, users, groups, granted, mischief, calls, idToken, accessToken },
    clientSecret: 'graph~secret.of-the-app',
    tokensGiven: 0,
    addUser(name) {
      const user = { id: randomUUID(), name, accountEnabled: true };
      users.set(user.id, user);
      return user;
    },
    addGroup(displayName, ...members) {
      const group = { id: randomUUID(), displayName, members: new Set(members.map(({ id }) => id)) };
      groups.set(group.id, group);
      return group;
    },
    async rotateKeys() {
      key = newKey();
      await key;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
  return self;
}

/** Id and secret may come in a header. */
function withBasic(form: URLSearchParams, authorization: string): URLSearchParams {
  const [, encoded] = /^Basic (.+)$/.exec(authorization) ?? [];
  if (encoded === undefined) return form;
  const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':').map(decodeURIComponent);
  form.set('client_id', id);
  form.set('client_secret', secret);
  return form;
}

function describe({ id, displayName }: DirectoryGroup) {
  return { id, displayName };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
