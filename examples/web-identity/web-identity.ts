/**
 * Temporary credentials for whoever signs in with an OpenID provider: a small web server that sends the browser to
 * the provider, takes the id_token that comes of it to AssumeRoleWithWebIdentity, and shows the credentials and the
 * buckets that they see.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import * as openid from 'openid-client';
import { parseFlags } from '../common/flags.js';
import { assumeRole, describe } from '../common/sts.js';

const flags = parseFlags('web-identity', {
  'sts-ep': { meaning: 'STS endpoint', otherwise: 'http://localhost:9000' },
  'config-ep': {
    meaning: 'OpenID discovery document endpoint',
    otherwise: 'http://localhost:8080/auth/realms/demo/.well-known/openid-configuration',
  },
  cid: { meaning: 'Client ID', otherwise: '' },
  csec: { meaning: 'Client secret', otherwise: '' },
  cscopes: { meaning: 'Client scopes, separated by commas', otherwise: 'openid' },
  port: { meaning: 'Port', otherwise: '8080' },
});

const callback = `http://localhost:${flags.port}/oauth2/callback`;
const lifeMs = 10 * 60_000;
const pendingMax = 100;
/** The service gives out credentials for a quarter of an hour at least; tokens of Keycloak last five minutes. */
const secondsMin = 900;

interface Pending {
  readonly nonce: string;
  readonly verifier: string;
  readonly untilMs: number;
}

/** Logins under way, by their state, oldest first. The state is also in a cookie: who began must be who comes back. */
const pending = new Map<string, Pending>();

const configuration = await openid
  .discovery(
    new URL(flags['config-ep']),
    flags.cid,
    undefined,
    flags.csec === '' ? openid.None() : openid.ClientSecretBasic(flags.csec),
    { execute: flags['config-ep'].startsWith('http:') ? [openid.allowInsecureRequests] : [] },
  )
  .catch((error: unknown) => {
    process.stderr.write(`${flags['config-ep']} cannot be read: ${reason(error)}\n`);
    process.exit(1);
  });

async function begin(response: ServerResponse): Promise<void> {
  const state = openid.randomState();
  const nonce = openid.randomNonce();
  const verifier = openid.randomPKCECodeVerifier();
  for (const [old, { untilMs }] of pending) {
    if (untilMs > Date.now() && pending.size < pendingMax) break;
    pending.delete(old);
  }
  pending.set(state, { nonce, verifier, untilMs: Date.now() + lifeMs });
  const scopes = new Set(['openid', ...flags.cscopes.split(/[\s,]+/).filter((scope) => scope !== '')]);
  const url = openid.buildAuthorizationUrl(configuration, {
    redirect_uri: callback,
    scope: [...scopes].join(' '),
    state,
    nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  response.writeHead(302, {
    location: url.href,
    'set-cookie': `web-identity=${state}; HttpOnly; SameSite=Lax; Path=/oauth2; Max-Age=${lifeMs / 1000}`,
  });
  response.end();
}

async function comeBack(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', callback);
  const state = url.searchParams.get('state') ?? '';
  const found = pending.get(state);
  pending.delete(state);
  const cookies = (request.headers.cookie ?? '').split('; ');
  if (found === undefined || found.untilMs < Date.now() || !cookies.includes(`web-identity=${state}`)) {
    throw new Error('this login is over, or was begun elsewhere; open the first page again');
  }
  const tokens = await openid.authorizationCodeGrant(configuration, url, {
    expectedState: state,
    expectedNonce: found.nonce,
    pkceCodeVerifier: found.verifier,
    idTokenExpected: true,
  });
  const credentials = await assumeRole(flags['sts-ep'], 'AssumeRoleWithWebIdentity', {
    WebIdentityToken: tokens.id_token ?? '',
    WebIdentityAccessToken: tokens.access_token,
    DurationSeconds: String(Math.max(tokens.expires_in ?? 0, secondsMin)),
  });
  const shown = await describe(flags['sts-ep'], credentials);
  process.stdout.write(`${shown}\n`);
  show(response, 200, 'application/json', shown);
}

/** Plain text for what went wrong: a browser must not take what a provider says for a page. */
function show(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(`${text}\n`);
}

function reason(error: unknown): string {
  // With 401 a provider may say it in a header alone.
  if (error instanceof openid.WWWAuthenticateChallengeError) return 'invalid_client: see -cid and -csec';
  if (error instanceof openid.ResponseBodyError || error instanceof openid.AuthorizationResponseError) {
    return `${error.error} ${error.error_description ?? ''}`.trim();
  }
  if (!(error instanceof Error)) return 'unknown cause';
  // Of a request that did not get through, the cause says why.
  const { code } = (error.cause ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? `${error.message} (${code})` : error.message;
}

const server = createServer((request, response) => {
  const path = (request.url ?? '/').split('?', 1)[0];
  const answer = path === '/' ? begin(response) : path === '/oauth2/callback' ? comeBack(request, response) : null;
  if (answer === null) {
    show(response, 404, 'text/plain', 'there is nothing here');
    return;
  }
  answer.catch((error: unknown) => {
    process.stderr.write(`${reason(error)}\n`);
    show(response, 400, 'text/plain', reason(error));
  });
});

server.on('error', (error) => {
  process.stderr.write(`port ${flags.port} cannot be used: ${error.message}\n`);
  process.exit(1);
});
server.listen(Number(flags.port), 'localhost', () => {
  process.stdout.write(`${goTime(new Date())} listening on http://localhost:${flags.port}/\n`);
});

/** `2018/12/26 17:49:36`, local time. */
function goTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('/');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}
