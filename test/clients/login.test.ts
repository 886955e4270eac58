import { spawn, type ChildProcess } from 'node:child_process';
import { dirname } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Client } from 'minio';
import { accountsOf } from '../support/accounts.js';
import { mustSucceed, runProgram } from '../support/clients.js';
import { freePort } from '../support/free-port.js';
import { TestOpenIdProvider } from '../support/openid-provider.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';

/**
 * Signing in with a browser that nobody here wrote, at a provider that nobody here wrote: the login of the server, and
 * the examples as their documents start them.
 */
const root = dirname(dirname(import.meta.dirname));
const rolePort = { name: 'ROLES', clientId: 'granary-by-role' };
const bucket = 'bucket-x';

let browser: Browser;
let provider: TestOpenIdProvider;
let server: ServerProcess;
let context: BrowserContext;
let page: Page;
let examplePort: number;

beforeAll(async () => {
  const port = await freePort();
  examplePort = await freePort();
  const callback = `http://127.0.0.1:${port}/oauth_callback`;
  provider = await TestOpenIdProvider.start({
    redirectUris: [callback, `http://localhost:${examplePort}/oauth2/callback`],
    accounts: {
      ann: { policy: 'readwrite', preferred_username: 'Ann' },
      bob: { policy: ['readonly'] },
      eve: { email: 'eve@example.org' },
    },
    // As Keycloak's last.
    tokenSeconds: 300,
    clients: [
      {
        ...{ client_id: rolePort.clientId, client_secret: 'secret-of-roles', redirect_uris: [callback] },
        ...{ grant_types: ['authorization_code'], response_types: ['code'] },
      },
      {
        ...{ client_id: 'program', client_secret: 'secret-of-the-program', redirect_uris: [] },
        ...{ grant_types: ['client_credentials'], response_types: [] },
      },
    ],
    configuration: {
      extraTokenClaims: (_context, token) => (token.kind === 'ClientCredentials' ? { policy: 'readonly' } : undefined),
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        rpInitiatedLogout: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: () => ({ scope: '', audience: 'granary', accessTokenFormat: 'jwt' }),
        },
      },
    },
  });
  server = await startServerProcess({
    port,
    environment: {
      ...provider.environment('', { DISPLAY_NAME: 'The provider of tests' }),
      ...provider.environment(rolePort.name, {
        ...{ CLIENT_ID: rolePort.clientId, CLIENT_SECRET: 'secret-of-roles', ROLE_POLICY: 'readonly' },
      }),
      MINIO_BROWSER_REDIRECT_URL: `http://127.0.0.1:${port}`,
    },
  });
  await accountsOf(server).s3(accountsOf(server).root, { method: 'PUT', path: `/${bucket}` });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}, 120_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
  await provider.stop();
});

beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
});
afterEach(() => context.close());

/** What a page with JSON in it shows. */
const shown = async () => JSON.parse(await page.innerText('body')) as Record<string, unknown>;

/** Those of this server: the provider's are of the same host. */
const ownCookies = async (of = context) => {
  const cookies = await of.cookies(server.url);
  return cookies.filter(({ name }) => name.includes('granary'));
};

/** At the provider's form. */
async function signIn(name: string): Promise<void> {
  await page.fill('input[name=login]', name);
  await page.click('button');
  await page.waitForURL((url) => url.pathname.endsWith('callback') || url.pathname === '/after');
}

describe('the login of the server', () => {
  test('goes to the provider, comes back, and is somebody until the logout', async () => {
    const list = await page.request.get(`${server.url}/oauth/providers`);
    expect(await list.json()).toEqual({
      providers: [
        { name: '_', displayName: 'The provider of tests', loginUrl: '/oauth/login?idp=_' },
        { name: 'ROLES', displayName: 'ROLES', loginUrl: '/oauth/login?idp=ROLES' },
      ],
    });
    await page.goto(`${server.url}/oauth/login?idp=_`);
    expect(page.url()).toContain(`${provider.issuer}/interaction/`);
    await signIn('ann');
    const principal = await shown();
    expect(principal).toMatchObject({ kind: 'temporary', source: 'openid', provider: '_', name: 'Ann' });
    // A quarter of an hour, though the tokens live for five minutes.
    const leftMs = Date.parse(String(principal['expiration'])) - Date.now();
    expect(leftMs).toBeGreaterThan(850_000);
    expect(leftMs).toBeLessThanOrEqual(900_000);

    const cookies = await ownCookies();
    expect(cookies.map(({ name }) => name)).toEqual(['granary-session']);
    expect(cookies[0]).toMatchObject({ httpOnly: true, sameSite: 'Lax', secure: false });
    expect(await page.evaluate('document.cookie')).toBe('');
    const session = async () => page.request.get(`${server.url}/oauth/session`);
    expect(await (await session()).json()).toEqual(principal);

    // The browser's own word that it is a page of this server; that of the answer may not ask anything.
    await page.goto(`${server.url}/a-page`);
    const answer = await page.evaluate(async () => {
      const response = await fetch('/oauth/logout', { method: 'POST' });
      return { status: response.status, body: await response.text() };
    });
    expect(answer.status).toBe(200);
    const { logoutUrl } = JSON.parse(answer.body) as { logoutUrl: string };
    expect(new URL(logoutUrl).origin).toBe(provider.issuer);
    expect((await session()).status()).toBe(401);
    expect(await ownCookies()).toEqual([]);
    expect(server.output()).not.toContain('secret-of-the-client');
  });

  test('with a role gives what the role has', async () => {
    await page.goto(`${server.url}/oauth/login?idp=ROLES`);
    // Without a claim of policies.
    await signIn('eve');
    expect(await shown()).toMatchObject({
      provider: 'ROLES',
      name: 'eve@example.org',
      roleArn: expect.stringMatching(/^arn:minio:iam:[^:]*::role\/[\w-]+$/) as unknown,
    });
  });

  test('says why somebody gets nothing', async () => {
    await page.goto(`${server.url}/oauth/login?idp=_`);
    await signIn('eve');
    expect(await shown()).toMatchObject({
      code: 'InvalidParameterValue',
      message: expect.stringContaining('policy') as unknown,
    });
    expect(await ownCookies()).toEqual([]);
  });

  test('ends on the page that it was begun for', async () => {
    await page.goto(`${server.url}/oauth/login?idp=_&next=%2Fafter`);
    await signIn('bob');
    expect(page.url()).toBe(`${server.url}/after`);
    expect((await page.request.get(`${server.url}/oauth/session`)).status()).toBe(200);
  });

  test('is not finished twice, nor in another browser', async () => {
    await page.goto(`${server.url}/oauth/login?idp=_`);
    await signIn('ann');
    const back = page.url();
    await page.goto(back);
    expect(await shown()).toMatchObject({ code: 'InvalidLogin' });
    const other = await browser.newContext();
    try {
      const foreign = await other.newPage();
      await foreign.goto(back);
      expect(await foreign.innerText('body')).toContain('InvalidLogin');
      expect(await ownCookies(other)).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test('that comes under another host goes on under the one of the cookie', async () => {
    await page.goto(`http://localhost:${server.port}/oauth/login?idp=_`);
    await signIn('ann');
    expect(page.url()).toContain(`http://127.0.0.1:${server.port}/oauth_callback`);
    expect(await shown()).toMatchObject({ name: 'Ann' });
  });

  test('shows what the provider says as text', async () => {
    await page.goto(`${server.url}/oauth/login?idp=_`);
    const state = new URL(await authorizationUrl()).searchParams.get('state') ?? '';
    await page.goto(
      `${server.url}/oauth_callback?state=${state}&error=access_denied&error_description=<img src=x onerror=alert(1)>`,
    );
    expect(await page.locator('img').count()).toBe(0);
    expect(await shown()).toMatchObject({ code: 'AccessDenied' });
  });

  /** Of a new login of this browser. */
  async function authorizationUrl(): Promise<string> {
    const answer = await page.request.get(`${server.url}/oauth/login?idp=_`, { maxRedirects: 0 });
    return answer.headers()['location'] ?? '';
  }

  test('while the provider is down says so, and works again when it is back', async () => {
    const state = new URL(await authorizationUrl()).searchParams.get('state') ?? '';
    await provider.down();
    try {
      const query = new URLSearchParams({ code: 'x', state, iss: provider.issuer });
      const answer = await page.request.get(`${server.url}/oauth_callback?${query.toString()}`);
      expect(answer.status()).toBe(503);
      expect(await answer.json()).toMatchObject({ code: 'ProviderUnavailable' });
    } finally {
      await provider.up();
    }
    await page.goto(`${server.url}/oauth/login?idp=_`);
    await signIn('ann');
    expect(await shown()).toMatchObject({ name: 'Ann' });
  });

  test('leaves its paths to a bucket of that name, for who signs', async () => {
    const accounts = accountsOf(server);
    await accounts.s3(accounts.root, { method: 'PUT', path: '/oauth' });
    await accounts.s3(accounts.root, { method: 'PUT', path: '/oauth/login', body: 'an object' });
    expect((await accounts.s3(accounts.root, { method: 'GET', path: '/oauth/login' })).body.toString()).toBe(
      'an object',
    );
  });
});

interface Shown {
  readonly buckets: string[];
  readonly credentials: {
    readonly AccessKeyID: string;
    readonly SecretAccessKey: string;
    readonly SessionToken: string;
    readonly SignerType: number;
  };
}

function clientOf({ credentials }: Shown): Client {
  return new Client({
    endPoint: '127.0.0.1',
    port: server.port,
    useSSL: false,
    accessKey: credentials.AccessKeyID,
    secretKey: credentials.SecretAccessKey,
    sessionToken: credentials.SessionToken,
  });
}

describe('npm run example:web-identity', () => {
  let example: ChildProcess;
  let printed = '';

  beforeAll(async () => {
    // As seed 001 writes it, with the client of here.
    const flags = [
      ...['-cid', provider.clientId, '-csec', provider.clientSecret, '-config-ep', provider.configUrl],
      ...[`-port`, String(examplePort), `--sts-ep=${server.url}`, '-cscopes', 'openid,profile'],
    ];
    example = spawn('npm', ['run', 'example:web-identity', '--', ...flags], { cwd: root, detached: true });
    const keep = (data: Buffer) => (printed += data.toString());
    example.stdout?.on('data', keep);
    example.stderr?.on('data', keep);
    const deadline = Date.now() + 110_000;
    while (!printed.includes('listening on')) {
      if (Date.now() > deadline || example.exitCode !== null) throw new Error(`it does not listen: ${printed}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }, 120_000);

  afterAll(async () => {
    const ended = new Promise((resolve) => example.once('close', resolve));
    if (example.pid !== undefined) process.kill(-example.pid, 'SIGTERM');
    await ended;
  });

  test('says where it listens, and shows credentials and buckets in the browser and in the terminal', async () => {
    const line = new RegExp(
      `^\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d listening on http://localhost:${examplePort}/$`,
      'm',
    );
    expect(printed).toMatch(line);
    await page.goto(`http://localhost:${examplePort}/`);
    expect(page.url()).toContain(provider.issuer);
    await signIn('ann');
    const text = await page.innerText('body');
    expect(printed).toContain(text.trim());
    const found = JSON.parse(text) as Shown;
    expect(Object.keys(found)).toEqual(['buckets', 'credentials']);
    expect(Object.keys(found.credentials)).toEqual(['AccessKeyID', 'SecretAccessKey', 'SessionToken', 'SignerType']);
    expect(found.buckets).toContain(bucket);
    expect(found.credentials.SignerType).toBe(1);
    const client = clientOf(found);
    await client.putObject(bucket, 'by-the-example', 'x');
    await client.removeObject(bucket, 'by-the-example');
  });

  test('shows what the service says about somebody without a policy', async () => {
    await page.goto(`http://localhost:${examplePort}/`);
    await signIn('eve');
    expect(await page.innerText('body')).toContain('InvalidParameterValue: `policy` claim missing');
  });

  test('takes nobody back who did not begin', async () => {
    await page.goto(`http://localhost:${examplePort}/oauth2/callback?code=x&state=<b>y</b>`);
    expect(await page.innerText('body')).toContain('this login is over');
  });
});

describe('npm run example:client-grants', () => {
  const run = (flags: readonly string[]) => {
    const all = ['run', '--silent', 'example:client-grants', '--', `-sts-ep=${server.url}`, ...flags];
    return runProgram('npm', all, `${server.folder}/home`, { cwd: root });
  };

  test('prints credentials for a program, which may do what its token says', async () => {
    const flags = ['-cid', 'program', '-csec', 'secret-of-the-program', '--config-ep', provider.configUrl];
    const found = JSON.parse(await mustSucceed(() => run([...flags, '-resource=urn:granary']))([])) as Shown;
    expect(found.buckets).toContain(bucket);
    const client = clientOf(found);
    await expect(client.putObject(bucket, 'x', 'x')).rejects.toMatchObject({ code: 'AccessDenied' });
  });

  test('says what the provider or the service refuses', async () => {
    const wrong = await run(['-cid', 'program', '-csec', 'wrong', '-config-ep', provider.configUrl]);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('invalid_client');
    // An access token that is no JWT.
    const flags = ['-cid', 'program', '-csec', 'secret-of-the-program', '-config-ep', provider.configUrl];
    const opaque = await run(flags);
    expect(opaque).toMatchObject({ code: 1, stdout: '' });
    expect(opaque.stderr).toContain('InvalidParameterValue');
    expect(await run(['-nothing'])).toMatchObject({ code: 2 });
  });
});
