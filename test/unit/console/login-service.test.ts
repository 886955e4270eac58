import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { limits } from '../../../src/base/index.js';
import { isLoginRequest } from '../../../src/console/index.js';
import { exchangeRequest } from '../../support/exchange.js';
import {
  clientId,
  clientSecret,
  discovery,
  idToken,
  issuer,
  loginWorld,
  otherIssuer,
  type Answer,
  type LoginWorld,
} from '../../support/login-world.js';

let world: LoginWorld;
beforeEach(async () => {
  world = await loginWorld();
});

const cookieOf = (answer: Answer, name: string) =>
  answer.cookies.find((cookie) => cookie.startsWith(`${name}=`))?.split(';', 1)[0] ?? '';

describe('a login', () => {
  it('sends the browser to the provider with PKCE, a state and a nonce', async () => {
    const answer = await world.request({ target: '/oauth/login?idp=_' });
    expect(answer.status).toBe(302);
    const url = new URL(answer.location);
    expect(url.origin + url.pathname).toBe(`${issuer}/authorize`);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: clientId,
      redirect_uri: 'http://localhost:9000/oauth_callback',
      scope: 'openid profile email',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      state: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      nonce: expect.stringMatching(/^[\w-]{43}$/) as unknown,
    });
    const [cookie = ''] = answer.cookies;
    expect(cookie).toMatch(/^granary-login=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/);
    // What is in it is for this server alone.
    const value = Buffer.from(cookie.split(/[=;]/)[1] ?? '', 'base64url').toString('latin1');
    for (const name of ['state', 'nonce']) expect(value).not.toContain(url.searchParams.get(name));
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const again = await world.begin();
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(again.url.searchParams.get(name)).not.toBe(url.searchParams.get(name));
    }
  });

  it('exchanges the code, and answers a session and who it is for', async () => {
    const begun = await world.begin();
    const answer = await world.comeBack(begun);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    const [form = new URLSearchParams()] = world.behaviour.forms;
    expect(form.get('grant_type')).toBe('authorization_code');
    expect(form.get('code')).toBe('the-code');
    expect(form.get('redirect_uri')).toBe('http://localhost:9000/oauth_callback');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    expect(challenge).toBe(begun.url.searchParams.get('code_challenge'));
    expect(world.behaviour.authorizations[0]).toBe(`Basic ${btoa(`${clientId}:${clientSecret}`)}`);
    // The call that every client makes, for as long as the access token lives.
    expect(Object.fromEntries(world.assumed[0] ?? [])).toEqual({
      WebIdentityToken: expect.stringMatching(/^ey/) as unknown,
      DurationSeconds: '3600',
    });
    const principal = answer.json();
    expect(principal).toMatchObject({ kind: 'temporary', provider: '_', name: 'ann', source: 'openid', groups: [] });
    expect(Date.parse(String(principal['expiration'])) - world.clock.ms).toBeGreaterThan(3590_000);
    const credential = world.iam.credentials.lookup(String(principal['accessKey']));
    expect(credential).not.toBe(null);
    expect(answer.text).not.toContain(credential?.secretKey);
    expect(answer.text).not.toContain(credential?.sessionToken);
    expect(answer.cookies).toEqual([
      'granary-login=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
      expect.stringMatching(/^granary-session=[\w-]+; Max-Age=3(600|599); Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
    expect(world.seen.map(({ operation, status }) => [operation, status])).toEqual([
      ['ConsoleLogin', 302],
      ['ConsoleLoginCallback', 200],
    ]);
    expect(world.records.map(({ operation }) => operation)).toEqual(['AssumeRoleWithWebIdentity']);
  });

  it('has a session until it ends', async () => {
    const answer = await world.comeBack(await world.begin());
    const cookie = cookieOf(answer, 'granary-session');
    const show = () => world.request({ target: '/oauth/session', headers: { cookie } });
    expect((await show()).json()).toEqual(answer.json());
    world.clock.ms += 3601_000;
    expect(await show()).toMatchObject({ status: 401 });
    world.clock.ms -= 3600_000;
    expect(await show()).toMatchObject({ status: 200 });
    await world.iam.revokeSessions('hash-of-ann', null);
    expect(await show()).toMatchObject({ status: 401 });
    expect(await world.request({ target: '/oauth/session' })).toMatchObject({ status: 401 });
  });

  it('ends with a logout, which only a page of this server may ask for', async () => {
    const answer = await world.comeBack(await world.begin());
    const cookie = cookieOf(answer, 'granary-session');
    const logout = (headers: Record<string, string>) =>
      world.request({ method: 'POST', target: '/oauth/logout', headers: { cookie, ...headers } });
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      expect(await logout(headers)).toMatchObject({ status: 403 });
    }
    expect(await world.request({ target: '/oauth/logout', headers: { cookie } })).toMatchObject({ status: 405 });
    expect(world.iam.credentials.lookup(String(answer.json()['accessKey']))).not.toBe(null);
    const done = await logout({ origin: 'http://localhost:9000' });
    expect(done.json()).toEqual({ logoutUrl: `${issuer}/end?client_id=${clientId}` });
    expect(done.cookies).toEqual(['granary-session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax']);
    expect(world.iam.credentials.lookup(String(answer.json()['accessKey']))).toBe(null);
    expect(await world.request({ target: '/oauth/session', headers: { cookie } })).toMatchObject({ status: 401 });
    // Twice is no error.
    expect(await logout({})).toMatchObject({ status: 200 });
  });

  it('goes on to the page that asked for it', async () => {
    const answer = await world.comeBack(await world.begin('next=%2Fbrowser%3Ftab%3D1'));
    expect(answer).toMatchObject({ status: 302, location: '/browser?tab=1' });
    expect(cookieOf(answer, 'granary-session')).not.toBe('');
  });

  it.each(['//evil.example', '/\\evil.example', 'https://evil.example', '/a b', '/\u00e9', '/\r\nX: y', 'x'])(
    'never goes on to %j',
    async (next) => {
      const answer = await world.request({ target: `/oauth/login?next=${encodeURIComponent(next)}` });
      expect(answer).toMatchObject({ status: 400, location: '' });
      expect(answer.json()['code']).toBe('InvalidParameter');
    },
  );

  it('over TLS has cookies that only this host can set and only TLS carries', async () => {
    world = await loginWorld({ pagesUrl: 'https://console.example.org' });
    const headers = { host: 'console.example.org' };
    const begun = await world.begin('', headers);
    expect(begun.cookie).toMatch(/^__Host-granary-login=/);
    const answer = await world.comeBack(begun);
    expect(answer.cookies).toEqual([
      '__Host-granary-login=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure',
      expect.stringMatching(/^__Host-granary-session=[\w-]+; .*; Secure$/),
    ]);
  });
});

describe('how long', () => {
  const secondsOf = async (expires_in: number | undefined, sessionSeconds: number | null = null) => {
    world = await loginWorld({ sessionSeconds });
    const begun = await world.begin();
    world.behaviour.answer = async () =>
      Response.json({
        ...{ access_token: 'access', token_type: 'Bearer', expires_in },
        id_token: await idToken({ policy: 'x' }, begun.url.searchParams.get('nonce') ?? ''),
      });
    await world.comeBack(begun);
    return world.assumed[0]?.get('DurationSeconds');
  };

  it.each([
    [300, null, '900'],
    [900, null, '900'],
    [43_200, null, '43200'],
    [43_201, null, '43200'],
    [undefined, null, '900'],
    [300, 7200, '7200'],
  ])('with an access token of %s s and a setting of %s: %s', async (expiresIn, setting, seconds) => {
    expect(await secondsOf(expiresIn, setting)).toBe(seconds);
  });
});

describe('what comes back', () => {
  const refused = async (answer: Answer, status: number, code: string) => {
    expect({ status: answer.status, code: answer.json()['code'] }).toEqual({ status, code });
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(cookieOf(answer, 'granary-session')).toBe('');
    expect(world.iam.parents()).toEqual([]);
    const said = answer.text + world.lines.join('\n');
    expect(said).not.toContain(clientSecret);
    expect(said).not.toContain('the-code');
    expect(said).not.toMatch(/eyJ[\w-]{20}/);
  };

  it('must bring the state of this browser', async () => {
    const begun = await world.begin();
    const other = await world.begin();
    await refused(
      await world.comeBack(begun, { state: other.url.searchParams.get('state') ?? '' }),
      400,
      'InvalidLogin',
    );
    await refused(await world.comeBack(begun, { state: '' }), 400, 'InvalidLogin');
    await refused(await world.comeBack({ ...begun, cookie: other.cookie }), 400, 'InvalidLogin');
    await refused(await world.comeBack({ ...begun, cookie: '' }), 400, 'InvalidLogin');
    await refused(await world.comeBack({ ...begun, cookie: 'granary-login=AAAA' }), 400, 'InvalidLogin');
    const flipped = begun.cookie.slice(0, -4) + (begun.cookie.endsWith('AAAA') ? 'BBBB' : 'AAAA');
    await refused(await world.comeBack({ ...begun, cookie: flipped }), 400, 'InvalidLogin');
    expect(world.behaviour.forms).toEqual([]);
    expect(await world.comeBack(begun)).toMatchObject({ status: 200 });
  });

  it('comes back once', async () => {
    const begun = await world.begin();
    expect(await world.comeBack(begun)).toMatchObject({ status: 200 });
    const again = await world.comeBack(begun);
    expect(again).toMatchObject({ status: 400 });
    expect(again.json()['code']).toBe('InvalidLogin');
    expect(world.behaviour.forms).toHaveLength(1);
  });

  it('comes back within ten minutes', async () => {
    const begun = await world.begin();
    world.clock.ms += limits.login.lifeMs;
    await refused(await world.comeBack(begun), 400, 'InvalidLogin');
    world.clock.ms -= 1;
    expect(await world.comeBack(begun)).toMatchObject({ status: 200 });
  });

  it('is not the cookie of a session, nor the other way round', async () => {
    const begun = await world.begin();
    const answer = await world.comeBack(begun);
    const swapped = begun.cookie.replace('granary-login', 'granary-session');
    expect(await world.request({ target: '/oauth/session', headers: { cookie: swapped } })).toMatchObject({
      status: 401,
    });
    const login = cookieOf(answer, 'granary-session').replace('granary-session', 'granary-login');
    const next = await world.begin();
    expect(await world.comeBack({ ...next, cookie: login })).toMatchObject({ status: 400 });
  });

  it('says what the provider said, without markup', async () => {
    const answer = await world.comeBack(await world.begin(), {
      error: 'access_denied',
      error_description: `<script>alert("1")</script>not today\u0000\u202e ${'x'.repeat(500)}`,
    });
    await refused(answer, 403, 'AccessDenied');
    const message = String(answer.json()['message']);
    expect(message).toMatch(
      /^The provider did not sign you in: access_denied \(scriptalert\(1\)\/scriptnot today x+\)\.$/,
    );
    expect(message.length).toBeLessThan(300);
    const odd = await world.comeBack(await world.begin(), { error: '<b>odd</b>' });
    expect(odd.json()['message']).toBe('The provider did not sign you in: an unknown error.');
    // Only to the one whose login it is.
    const foreign = await world.request({ target: '/oauth_callback?error=access_denied&error_description=pay%20me' });
    expect(foreign.text).not.toContain('pay me');
  });

  it.each([
    ['another nonce', { nonce: 'x' }],
    ['no nonce', { nonce: undefined }],
    ['another audience', { aud: 'someone-else' }],
    ['an end in the past', { exp: 1000 }],
    ['no subject', { sub: undefined }],
  ])('is refused with %s in the id_token', async (_, claims) => {
    world.behaviour.claims = { policy: 'x', ...(claims as Record<string, string>) };
    await refused(await world.comeBack(await world.begin()), 502, 'InvalidProviderAnswer');
    expect(world.assumed).toEqual([]);
  });

  it('is what the token service says when it refuses', async () => {
    world.behaviour.claims = {};
    const answer = await world.comeBack(await world.begin());
    await refused(answer, 400, 'InvalidParameterValue');
    expect(answer.json()['message']).toBe('`policy` claim missing from the JWT <token>');
    expect(answer.json()['requestId']).toBe('00000000DEADBEEF');
  });

  it.each<[string, number, string, () => Response | Promise<Response>]>([
    ['an unknown code', 400, 'InvalidLogin', () => Response.json({ error: 'invalid_grant' }, { status: 400 })],
    [
      'a wrong secret',
      502,
      'ProviderRefused',
      () => Response.json({ error: 'invalid_client', error_description: clientSecret }, { status: 400 }),
    ],
    [
      'a page',
      502,
      'InvalidProviderAnswer',
      () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
    ],
    ['no id_token', 502, 'InvalidProviderAnswer', () => Response.json({ access_token: 'a', token_type: 'Bearer' })],
    ['a list', 502, 'InvalidProviderAnswer', () => Response.json([1])],
    ['an error of its own', 502, 'InvalidProviderAnswer', () => new Response('', { status: 500 })],
    ['nothing', 503, 'ProviderUnavailable', () => Promise.reject(new Error('idp.example.org refuses connections'))],
  ])('with %s of the provider is %s %s', async (_, status, code, answer) => {
    world.behaviour.answer = answer;
    await refused(await world.comeBack(await world.begin()), status, code);
    expect(world.lines.join('\n')).toContain('"provider":"_"');
  });

  it('is refused when the tokens are too large', async () => {
    world.behaviour.claims = { policy: 'x', much: 'x'.repeat(limits.login.tokenCharsMax) };
    await refused(await world.comeBack(await world.begin()), 502, 'InvalidProviderAnswer');
  });

  it('takes a parameter once, and no more than fits', async () => {
    const begun = await world.begin();
    const state = begun.url.searchParams.get('state') ?? '';
    for (const query of [`code=a&code=b&state=${state}`, `code=a&state=${state}&state=x`, `code=${'x'.repeat(9000)}`]) {
      const answer = await world.request({ target: `/oauth_callback?${query}`, headers: { cookie: begun.cookie } });
      await refused(answer, 400, 'InvalidParameter');
    }
    await refused(await world.request({ target: '/oauth_callback' }), 400, 'InvalidLogin');
  });

  it('waits for so many exchanges at once, and no more', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    world.behaviour.answer = () => gate.then(() => Response.json({ error: 'invalid_grant' }, { status: 400 }));
    const started = await Promise.all(Array.from({ length: limits.login.exchangesMax + 1 }, () => world.begin()));
    const answers = started.map((begun) => world.comeBack(begun));
    const last = await answers.at(-1);
    expect(last).toMatchObject({ status: 503 });
    expect(last?.headers.get('retry-after')).toBe('10');
    release();
    const others = await Promise.all(answers.slice(0, -1));
    expect(others.map(({ status }) => status)).toEqual(Array(limits.login.exchangesMax).fill(400));
    world.behaviour.answer = null;
    expect(await world.comeBack(await world.begin())).toMatchObject({ status: 200 });
  });
});

describe('issuers', () => {
  it('are those that the token service accepts', async () => {
    world.behaviour.claims = { policy: 'x', iss: otherIssuer };
    expect(await world.comeBack(await world.begin())).toMatchObject({ status: 200 });
    // The code is spent once.
    expect(world.behaviour.forms).toHaveLength(1);
    world.behaviour.claims = { policy: 'x', iss: 'https://evil.example' };
    const answer = await world.comeBack(await world.begin());
    expect(answer).toMatchObject({ status: 400 });
    expect(answer.json()['message']).toBe('The issuer is not accepted.');
  });

  it('do not excuse what else is wrong', async () => {
    world.behaviour.claims = { policy: 'x', iss: otherIssuer, nonce: 'x' };
    expect(await world.comeBack(await world.begin())).toMatchObject({ status: 502 });
    expect(world.assumed).toEqual([]);
  });

  it('of which the answer names none but that of the document', async () => {
    world.behaviour.document = async () => ({ ...discovery, authorization_response_iss_parameter_supported: true });
    world.behaviour.claims = { policy: 'x', iss: otherIssuer };
    expect(await world.comeBack(await world.begin(), { iss: issuer })).toMatchObject({ status: 200 });
    for (const query of [{ iss: otherIssuer }, {}]) {
      expect(await world.comeBack(await world.begin(), query)).toMatchObject({ status: 502 });
    }
  });
});

describe('providers', () => {
  const two = () =>
    loginWorld({
      provider: { displayName: 'Keycloak <here>' },
      more: [
        {
          ...{
            name: 'dex',
            displayName: '',
            clientId: 'other',
            clientSecret: '',
            scopes: ['groups'],
            sendsAccessToken: true,
          },
          roleArn: 'arn:minio:iam:::role/abc',
        },
      ],
    });

  it('are listed for a page to show', async () => {
    world = await two();
    expect((await world.request({ target: '/oauth/providers' })).json()).toEqual({
      providers: [
        { name: '_', displayName: 'Keycloak <here>', loginUrl: '/oauth/login?idp=_' },
        { name: 'dex', displayName: 'dex', loginUrl: '/oauth/login?idp=dex' },
      ],
    });
  });

  it('have their own client, scopes and role', async () => {
    world = await two();
    const begun = await world.begin('idp=dex');
    expect(begun.url.searchParams.get('client_id')).toBe('other');
    expect(begun.url.searchParams.get('scope')).toBe('openid groups');
    world.behaviour.claims = { policy: 'x', aud: 'other' };
    const answer = await world.comeBack(begun);
    expect(answer.json()).toMatchObject({ provider: 'dex', roleArn: 'arn:minio:iam:::role/abc' });
    // A public client has no secret to send.
    expect(world.behaviour.authorizations).toEqual(['']);
    expect(world.behaviour.forms[0]?.get('client_id')).toBe('other');
    expect(Object.fromEntries(world.assumed[0] ?? [])).toMatchObject({
      RoleArn: 'arn:minio:iam:::role/abc',
      WebIdentityAccessToken: 'access',
    });
  });

  it('that are not there are named with those that are', async () => {
    world = await two();
    const answer = await world.request({ target: '/oauth/login?idp=%3Cx%3E' });
    expect(answer.status).toBe(404);
    expect(answer.json()['message']).toBe('There is no such provider. idp is one of: _, dex');
  });

  it('are asked for the usual scopes as far as they have them', async () => {
    world.behaviour.document = async () => ({ ...discovery, scopes_supported: ['openid', 'offline_access', 'email'] });
    expect((await world.begin()).url.searchParams.get('scope')).toBe('openid email');
    world.behaviour.document = async () => ({ ...discovery, scopes_supported: [] });
    expect((await world.begin()).url.searchParams.get('scope')).toBe('openid');
  });

  it('get the secret in the form when they take it nowhere else', async () => {
    world.behaviour.document = async () => ({
      ...discovery,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    });
    expect(await world.comeBack(await world.begin())).toMatchObject({ status: 200 });
    expect(world.behaviour.authorizations).toEqual(['']);
    expect(world.behaviour.forms[0]?.get('client_secret')).toBe(clientSecret);
  });

  it.each<[string, number, string, () => Promise<object>]>([
    ['is down', 503, 'ProviderUnavailable', () => Promise.reject(new Error('refuses connections'))],
    ['has no such endpoint', 502, 'InvalidProviderAnswer', async () => ({ ...discovery, token_endpoint: undefined })],
    [
      'names a script',
      502,
      'InvalidProviderAnswer',
      async () => ({ ...discovery, authorization_endpoint: 'javascript:1' }),
    ],
    [
      'has no code flow',
      502,
      'InvalidProviderAnswer',
      async () => ({ ...discovery, response_types_supported: ['id_token'] }),
    ],
  ])('whose document %s: %s %s', async (_, status, code, document) => {
    world.behaviour.document = document;
    const answer = await world.request({ target: '/oauth/login' });
    expect(answer).toMatchObject({ status, location: '', cookies: [] });
    expect(answer.json()['code']).toBe(code);
  });
});

describe('the address to come back to', () => {
  const redirectUri = async (options: Parameters<typeof loginWorld>[0], headers: Record<string, string>) => {
    world = await loginWorld(options);
    const answer = await world.request({ target: '/oauth/login?moved=1', headers });
    return answer.location === '' ? answer.json()['code'] : new URL(answer.location).searchParams.get('redirect_uri');
  };
  const fixed = 'https://console.example.org/ui';

  it.each<[string, Parameters<typeof loginWorld>[0], Record<string, string>, string]>([
    ['of the own machine', {}, { host: '127.0.0.1:9000' }, 'http://127.0.0.1:9000/oauth_callback'],
    ['of the own machine', {}, { host: '[::1]:9000' }, 'http://[::1]:9000/oauth_callback'],
    ['of nobody who did not say so', {}, { host: 'evil.example' }, 'NoRedirectAddress'],
    ['of nobody who did not say so', {}, { host: '127.0.0.1.evil.example' }, 'NoRedirectAddress'],
    ['of the setting', { pagesUrl: fixed }, { host: 'console.example.org' }, `${fixed}/oauth_callback`],
    [
      'of the provider',
      { pagesUrl: fixed, provider: { redirectUri: 'https://c.example.org/oauth_callback' } },
      { host: 'c.example.org' },
      'https://c.example.org/oauth_callback',
    ],
    [
      'of the request',
      { pagesUrl: fixed, provider: { isRedirectDynamic: true } },
      { host: 's3.example.org:9000', 'x-forwarded-proto': 'https' },
      'https://s3.example.org:9000/oauth_callback',
    ],
    [
      'of the request, when it is one',
      { pagesUrl: fixed, provider: { isRedirectDynamic: true } },
      { host: 'a/b@c' },
      `${fixed}/oauth_callback`,
    ],
  ])('is that %s', async (_, options, headers, expected) => {
    expect(await redirectUri(options, headers)).toBe(expected);
  });

  it('has the login under the same host, for the cookie', async () => {
    world = await loginWorld({ pagesUrl: 'https://console.example.org/ui' });
    const headers = { host: '10.1.2.3:9000' };
    const answer = await world.request({ target: '/oauth/login?idp=_&next=%2Fa', headers });
    expect(answer).toMatchObject({ status: 302, cookies: [] });
    expect(answer.location).toBe('https://console.example.org/ui/oauth/login?idp=_&next=%2Fa&moved=1');
    // A proxy that rewrites the host must not turn it into a circle.
    const again = await world.request({ target: '/oauth/login?idp=_&next=%2Fa&moved=1', headers });
    expect(again.location).toContain(`${issuer}/authorize`);
  });
});

describe('whose request it is', () => {
  const isFor = (target: string, headers: Record<string, string> = {}) =>
    isLoginRequest(exchangeRequest({ target, headers }));

  it('is a login by its path, unless it is signed', () => {
    expect(isFor('/oauth/login?idp=_')).toBe(true);
    expect(isFor('/oauth_callback?code=x&state=y')).toBe(true);
    expect(isFor('/oauth/session')).toBe(true);
    expect(isFor('/oauth/login/')).toBe(false);
    expect(isFor('/oauth')).toBe(false);
    expect(isFor('/oauth/other')).toBe(false);
    expect(isFor('/oauth/login', { authorization: 'AWS4-HMAC-SHA256 …' })).toBe(false);
    expect(isFor('/oauth/login?X-Amz-Signature=1')).toBe(false);
    expect(isFor('/oauth/login?a=b&AWSAccessKeyId=1')).toBe(false);
  });
});
