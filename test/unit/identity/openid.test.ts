/** Tokens of a real provider, and everything that is not one. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { importJWK, exportSPKI, type CryptoKey } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/index.js';
import {
  OpenIdProvider,
  OpenIdProviders,
  type ExternalIdentity,
  type IdentityProof,
  type OpenIdOptions,
  type OpenIdSettings,
} from '../../../src/identity/index.js';
import { TestOpenIdProvider } from '../../support/openid-provider.js';

let op: TestOpenIdProvider;
const made: OpenIdProvider[] = [];
const lines: string[] = [];
const clock = { ms: 0, nowMs: () => systemClock.nowMs(), monotonicMs: () => systemClock.monotonicMs() + clock.ms };
const policies = new Set(['readwrite', 'readonly', 'reading']);

beforeAll(async () => {
  op = await TestOpenIdProvider.start({
    accounts: {
      ann: {
        policy: 'readwrite',
        email: 'ann@example.org',
        groups: ['staff', 'admins'],
        roleArn: 'arn:x',
        parent: 'root',
      },
    },
  });
});
afterAll(() => op.stop());
afterEach(async () => {
  for (const provider of made.splice(0)) provider.close();
  op.misbehaviour = null;
  lines.length = 0;
  clock.ms = 0;
  if (!(await isUp())) await op.up();
});
const isUp = () =>
  fetch(op.configUrl).then(
    () => true,
    () => false,
  );

function provider(
  change: Partial<OpenIdSettings> = {},
  timeoutMs = 1000,
  directory: OpenIdOptions['directory'] = null,
): OpenIdProvider {
  const one = new OpenIdProvider({
    settings: {
      ...{ name: '_', configUrl: op.configUrl, clientId: op.clientId, clientSecret: '', claimName: 'policy' },
      ...{ usesUserInfo: false, rolePolicies: [], issuers: [], scopes: [], redirectUri: '', isRedirectDynamic: false },
      ...{ displayName: '', vendor: '', keycloakRealm: 'master', keycloakAdminUrl: '' },
      ...{ userIdClaim: 'sub', userReadableClaim: '' },
      ...change,
    },
    region: '',
    policyExists: (name) => policies.has(name),
    clock,
    authorities: [],
    directory,
    timeoutMs,
    log: (text, fields) => lines.push(`${text} ${JSON.stringify(fields)}`),
  });
  made.push(one);
  return one;
}

function identify(
  one: { identify(proof: IdentityProof): Promise<ExternalIdentity> },
  token: string,
  parameters: Readonly<Record<string, string>> = {},
  durationSeconds: number | null = null,
): Promise<ExternalIdentity> {
  return one.identify({
    parameters: new Map(Object.entries({ WebIdentityToken: token, ...parameters })),
    ...{ durationSeconds, remoteAddress: '127.0.0.1', secure: false },
  });
}

const now = () => Math.floor(Date.now() / 1000);

describe('a token of the provider', () => {
  it('says who it is, with what and until when', async () => {
    const { idToken } = await op.signIn('ann');
    const identity = await identify(provider(), idToken);
    expect(identity).toMatchObject({
      ...{ source: 'openid', subject: 'ann', policyNames: ['readwrite'], groups: ['staff', 'admins'] },
      ...{ roleArn: '', provider: '_' },
    });
    expect(identity.account).toMatch(/^[\w-]{43}$/);
    expect(Object.fromEntries(identity.claims)).toMatchObject({ sub: 'ann', email: 'ann@example.org', iss: op.issuer });
    expect(identity.claims.has('roleArn') || identity.claims.has('parent')).toBe(false);
    expect(identity.expiresMs).toBe(Number(identity.claims.get('exp')) * 1000);
  });

  it('gives as long as is asked for, whatever its own end', async () => {
    const { expiresMs } = await identify(
      provider(),
      await op.mint({ policy: 'reading', exp: now() + 300 }),
      {},
      86_400,
    );
    expect(Math.abs(expiresMs - Date.now() - 86_400_000)).toBeLessThan(60_000);
  });

  it.each([
    ['a list', { policy: ['readwrite', ' reading , gone'] }, 'policy', ['readwrite', 'reading']],
    ['a text with commas', { policy: 'readonly,,  reading,readonly' }, 'policy', ['readonly', 'reading']],
    ['a name with a namespace', { 'https://example.org/p.q': 'reading' }, 'https://example.org/p.q', ['reading']],
    ['a path into objects', { realm_access: { roles: ['reading', 'offline'] } }, 'realm_access.roles', ['reading']],
    [
      'a path with dots in names',
      { resource: { 'my.app': { roles: 'reading' } } },
      'resource.my.app.roles',
      ['reading'],
    ],
    ['a claim of its own before a path', { 'a.b': 'reading', a: { b: 'readwrite' } }, 'a.b', ['reading']],
  ])('names policies by %s', async (_what, claims, claimName, names) => {
    const identity = await identify(provider({ claimName }), await op.mint(claims));
    expect(identity.policyNames).toEqual(names);
    expect(identity.claims.get(claimName)).toBe(names.join(','));
  });

  it.each([
    ['none', {}],
    ['an empty one', { policy: '' }],
    ['a number', { policy: 7 }],
    ['objects', { policy: [{}] }],
  ])('with %s for the claim is refused, naming claim and setting', async (_what, claims) => {
    await expect(identify(provider({ name: 'kc' }), await op.mint(claims))).rejects.toMatchObject({
      code: 'InvalidParameterValue',
      message: expect.stringMatching(
        /^`policy` claim missing from the JWT token, credentials will not be generated .*`claim_name` of identity_openid:kc/,
      ) as string,
    });
  });

  it('that names only what there is not is refused, naming it', async () => {
    await expect(identify(provider(), await op.mint({ policy: 'gone,away' }))).rejects.toMatchObject({
      code: 'InvalidParameterValue',
      message: expect.stringContaining('None of the given policies (`gone,away`) are defined') as string,
    });
  });

  it('is taken for a client that `azp` names, or one of several audiences', async () => {
    for (const claims of [
      { aud: ['other', 'granary'] },
      { aud: 'other', azp: 'granary' },
      { aud: ['a'], azp: ['granary'] },
    ]) {
      const identity = await identify(provider(), await op.mint({ ...claims, policy: 'reading' }));
      expect(identity.policyNames).toEqual(['reading']);
    }
  });

  it('is taken from issuers that the setting accepts, which are accounts of their own', async () => {
    const token = await op.mint({ iss: 'https://other.example.org', policy: 'reading' });
    const other = await identify(provider({ issuers: ['https://other.example.org'] }), token);
    const own = await identify(provider(), await op.mint({ policy: 'reading' }));
    expect(other.account).not.toBe(own.account);
  });

  it('may begin within a minute: clocks differ', async () => {
    await identify(provider(), await op.mint({ policy: 'reading', nbf: now() + 30 }));
    await expect(identify(provider(), await op.mint({ policy: 'reading', nbf: now() + 120 }))).rejects.toMatchObject({
      code: 'InvalidParameterValue',
      message: expect.stringContaining('not in force yet') as string,
    });
  });

  it('with a thousand groups keeps what fits into the bounds of claims', async () => {
    const groups = Array.from({ length: 1000 }, (_, index) => `group-${index}`);
    const identity = await identify(provider(), await op.mint({ policy: 'reading', groups }));
    expect(identity.groups).toHaveLength(1000);
  });

  it.each(['PS256', 'ES256', 'EdDSA'] as const)('may be signed with %s', async (algorithm) => {
    const other = await TestOpenIdProvider.start({ algorithms: [algorithm], accounts: { ann: { policy: 'reading' } } });
    try {
      const { idToken } = await other.signIn('ann');
      const one = provider({ configUrl: other.configUrl });
      expect((await identify(one, idToken)).policyNames).toEqual(['reading']);
    } finally {
      await other.stop();
    }
  });
});

describe('a token that is not one', () => {
  const secret = new TextEncoder().encode('secret-of-the-client');
  const parts = (token: string) => token.split('.') as [string, string, string];
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const good = () => op.mint({ policy: 'readwrite' });
  async function publicPem(): Promise<Uint8Array> {
    const [key] = op.keys;
    const imported = (await importJWK(key?.publicJwk ?? {}, 'RS256', { extractable: true })) as CryptoKey;
    return new TextEncoder().encode(await exportSPKI(imported));
  }
  const unsigned = async (alg: string) => `${encode({ alg, typ: 'JWT' })}.${parts(await good())[1]}.`;
  const hmac = async (key: Uint8Array, kid: string | undefined = op.keys[0]?.kid) =>
    op.mint({ policy: 'readwrite' }, { alg: 'HS256', key, kid });
  const stranger = async () => {
    const other = await TestOpenIdProvider.start();
    await other.stop();
    return other;
  };

  it.each<[string, () => Promise<string>, string, string]>([
    [
      'signed by another',
      async () => (await stranger()).mint({ iss: op.issuer, policy: 'readwrite' }),
      'InvalidParameterValue',
      'has none of that name',
    ],
    [
      'signed by another under the name of a key of ours',
      async () => (await stranger()).mint({ iss: op.issuer, policy: 'readwrite' }, { kid: op.keys[0]?.kid }),
      ...(['InvalidParameterValue', "is not that of the provider's key"] as const),
    ],
    [
      'changed after it was signed',
      async () => {
        const [header, , signature] = parts(await good());
        return `${header}.${encode({ iss: op.issuer, aud: 'granary', sub: 'root', exp: now() + 99, policy: 'readwrite' })}.${signature}`;
      },
      ...(['InvalidParameterValue', "is not that of the provider's key"] as const),
    ],
    ['expired', () => op.mint({ policy: 'readwrite', exp: now() - 1 }), 'ExpiredToken', 'has expired'],
    [
      'without an end',
      () => op.mint({ policy: 'readwrite', exp: undefined }),
      'InvalidParameterValue',
      '`exp` claim is missing',
    ],
    [
      'with an end that is text',
      () => op.mint({ policy: 'readwrite', exp: '9999999999' }),
      'InvalidParameterValue',
      '`exp`',
    ],
    [
      'for another client',
      () => op.mint({ policy: 'readwrite', aud: 'another' }),
      'InvalidParameterValue',
      "`another`, not for this server's client id `granary`",
    ],
    [
      'for another client, asked by another',
      () => op.mint({ policy: 'readwrite', aud: 'another', azp: 'third' }),
      'InvalidParameterValue',
      '(`azp` `third`)',
    ],
    [
      'for nobody',
      () => op.mint({ policy: 'readwrite', aud: undefined }),
      'InvalidParameterValue',
      '`aud` claim is missing',
    ],
    [
      'of another issuer',
      () => op.mint({ policy: 'readwrite', iss: 'https://evil.example' }),
      'InvalidParameterValue',
      "is `https://evil.example`, the provider's is `http://127.0.0.1",
    ],
    [
      'of no issuer',
      () => op.mint({ policy: 'readwrite', iss: undefined }),
      'InvalidParameterValue',
      '`iss` claim is missing',
    ],
    ['of no subject', () => op.mint({ policy: 'readwrite', sub: '' }), 'InvalidParameterValue', '`sub` claim'],
    [
      'with a subject that is not text',
      () => op.mint({ policy: 'readwrite', sub: undefined, x: 1 }),
      'InvalidParameterValue',
      '`sub` claim',
    ],
    ['not signed at all', () => unsigned('none'), 'InvalidParameterValue', 'signed with `none`'],
    ['not signed at all, in other letters', () => unsigned('nOnE'), 'InvalidParameterValue', 'signed with `nOnE`'],
    [
      'signed with the public key as a secret',
      async () => hmac(await publicPem()),
      'InvalidParameterValue',
      'signed with `HS256`',
    ],
    ['signed with the secret of the client', () => hmac(secret), 'InvalidParameterValue', 'signed with `HS256`'],
    [
      'signed with the secret of the client under its id',
      () => hmac(secret, 'granary'),
      'InvalidParameterValue',
      'signed with `HS256`',
    ],
    [
      'that names another algorithm than its key',
      async () => {
        const [, payload, signature] = parts(await good());
        return `${encode({ alg: 'PS256', kid: op.keys[0]?.kid })}.${payload}.${signature}`;
      },
      'InvalidParameterValue',
      'has none of that name for PS256',
    ],
    [
      'that names no algorithm',
      async () => `${encode({})}.${parts(await good())[1]}.x`,
      'InvalidParameterValue',
      'signed with nothing',
    ],
    [
      'with demands that are not understood',
      async () => {
        const [, payload, signature] = parts(await good());
        return `${encode({ alg: 'RS256', kid: op.keys[0]?.kid, crit: ['x'], x: 1 })}.${payload}.${signature}`;
      },
      'InvalidParameterValue',
      "is not that of the provider's key",
    ],
    [
      'for a logout',
      () => op.mint({ policy: 'readwrite' }, { typ: 'logout+jwt' }),
      'InvalidParameterValue',
      'does not sign anybody in',
    ],
    ['that is encrypted', async () => 'a.b.c.d.e', 'InvalidParameterValue', 'is encrypted'],
    [
      'without a signature',
      async () =>
        parts(await good())
          .slice(0, 2)
          .join('.'),
      'InvalidParameterValue',
      'is not a signed JSON Web Token',
    ],
    [
      'with something behind it',
      async () => `${await good()}.x`,
      'InvalidParameterValue',
      'is not a signed JSON Web Token',
    ],
    ['that is garbage', async () => 'garbage', 'InvalidParameterValue', 'is not a signed JSON Web Token'],
    ['that is garbage in three parts', async () => '%.%.%', 'InvalidParameterValue', 'is not a signed JSON Web Token'],
    [
      'whose header is a list',
      async () => `${encode([])}.${encode({})}.x`,
      'InvalidParameterValue',
      'is not a signed JSON Web Token',
    ],
    [
      'whose content is a list',
      async () => {
        const [key] = op.keys;
        const { CompactSign } = await import('jose');
        const header = { alg: 'RS256', kid: key?.kid ?? '' };
        return new CompactSign(Buffer.from('[]')).setProtectedHeader(header).sign(key?.privateKey as CryptoKey);
      },
      'InvalidParameterValue',
      'holds no claims',
    ],
    [
      'that is too large',
      () => op.mint({ policy: 'readwrite', filler: 'x'.repeat(64 * 1024) }),
      'InvalidParameterValue',
      'has more than 65536 characters',
    ],
  ])('%s is refused', async (_what, token, code, text) => {
    const made = await token();
    const failure: unknown = await identify(provider(), made).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, message: expect.stringContaining(text) as string });
    if (made.length > 60) expect(String(failure)).not.toContain(made.slice(20, 60));
  });

  it('of before a rotation is refused once the new keys are known', async () => {
    const one = provider();
    const before = await op.mint({ policy: 'reading' });
    await identify(one, before);
    await op.rotate();
    // A key that is not known makes it look again, at once.
    await identify(one, await op.mint({ policy: 'reading' }));
    await expect(identify(one, before)).rejects.toMatchObject({ code: 'InvalidParameterValue' });
  });

  it('of before a rotation is refused ten minutes later even if nobody came with a new one', async () => {
    const one = provider();
    const before = await op.mint({ policy: 'reading' });
    await identify(one, before);
    await op.rotate();
    clock.ms += 11 * 60_000;
    await identify(one, before);
    await expect
      .poll(() =>
        identify(one, before).then(
          () => 'taken',
          () => 'refused',
        ),
      )
      .toBe('refused');
  });

  it('with unknown keys, a hundred of them, makes few requests', async () => {
    const one = provider();
    await identify(one, await op.mint({ policy: 'reading' }));
    const before = op.requests.length;
    const tokens = await Promise.all(
      Array.from({ length: 100 }, (_, index) => op.mint({}, { kid: `unknown-${index}` })),
    );
    const answers = await Promise.allSettled(tokens.map((token) => identify(one, token)));
    expect(answers.every(({ status }) => status === 'rejected')).toBe(true);
    for (const token of tokens.slice(0, 20)) await identify(one, token).catch(() => undefined);
    expect(op.requests.length - before).toBeLessThanOrEqual(8);
    await identify(one, await op.mint({ policy: 'reading' }));
  });
});

describe('a provider', () => {
  it('that is down at the start is asked again by itself, and says so once', async () => {
    await op.down();
    const one = provider();
    one.start();
    const token = await op.mint({ policy: 'reading' });
    await expect(identify(one, token)).rejects.toMatchObject({
      code: 'STSNotInitialized',
      message: expect.stringMatching(
        /^The OpenID provider cannot be asked: 127.0.0.1:\d+ refuses connections\.$/,
      ) as string,
    });
    await op.up();
    await expect
      .poll(
        () =>
          identify(one, token).then(
            () => 'taken',
            () => 'refused',
          ),
        { timeout: 5000 },
      )
      .toBe('taken');
    expect(lines.filter((line) => line.startsWith('an OpenID provider cannot be asked'))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith('the OpenID provider answers again'))).toHaveLength(1);
  });

  it('that goes down later leaves what is known for a day, and no longer', async () => {
    const one = provider();
    const token = await op.mint({ policy: 'reading' });
    await identify(one, token);
    await op.down();
    clock.ms += 23 * 3_600_000;
    await identify(one, token);
    clock.ms += 2 * 3_600_000;
    await expect(identify(one, token)).rejects.toMatchObject({ code: 'STSNotInitialized' });
  });

  it.each<[string, NonNullable<typeof op.misbehaviour>, string]>([
    ['does not answer', () => true, 'did not answer within'],
    ['answers an error', (_request, response) => Boolean(response.writeHead(500).end()), 'answered 500'],
    ['answers a page', (_request, response) => Boolean(response.end('<html>')), 'that is not a discovery document'],
    [
      'answers too much',
      (_request, response) => Boolean(response.end('x'.repeat(2 ** 20 + 1))),
      'more than 1048576 bytes',
    ],
    [
      'leads elsewhere',
      (_request, response) => Boolean(response.writeHead(302, { location: 'https://evil.example/' }).end()),
      'another scheme or host',
    ],
    [
      'names no keys',
      (_request, response) => Boolean(response.end('{"issuer":"x"}')),
      'that is not a discovery document',
    ],
    [
      'has no keys',
      (request, response) => request.url === '/jwks' && Boolean(response.end('{"keys":[]}')),
      'publishes no key',
    ],
    [
      'publishes secrets as keys',
      (request, response) =>
        request.url === '/jwks' && Boolean(response.end('{"keys":[{"kty":"oct","k":"AAAA","kid":"x","alg":"HS256"}]}')),
      'publishes no key',
    ],
    [
      'lies about keys',
      (request, response) => request.url === '/jwks' && Boolean(response.end('{"keys":7}')),
      'a set of keys',
    ],
  ])('that %s gives nothing, in time', async (_what, misbehaviour, text) => {
    op.misbehaviour = misbehaviour;
    const startMs = performance.now();
    await expect(identify(provider({}, 300), await op.mint({ policy: 'readwrite' }))).rejects.toMatchObject({
      code: 'STSNotInitialized',
      message: expect.stringContaining(text) as string,
    });
    expect(performance.now() - startMs).toBeLessThan(3000);
  });

  it('with a key that is broken still has its others', async () => {
    op.misbehaviour = (request, response) =>
      request.url === '/jwks' &&
      Boolean(
        response.end(JSON.stringify({ keys: [{ kty: 'RSA', kid: 'x' }, 7, ...op.keys.map((key) => key.publicJwk)] })),
      );
    await identify(provider(), await op.mint({ policy: 'reading' }));
    await expect(identify(provider(), await op.mint({}, { kid: 'x' }))).rejects.toMatchObject({
      code: 'InvalidParameterValue',
    });
  });
});

describe('claims of the userinfo endpoint', () => {
  let reticent: TestOpenIdProvider;
  beforeAll(async () => {
    const accounts = { ann: { policy: 'reading', sessionPolicy: 'x' }, bob: { policy: 'readwrite' } };
    reticent = await TestOpenIdProvider.start({ keepsClaimsOutOfTokens: true, accounts });
  });
  afterAll(() => reticent.stop());
  afterEach(() => (reticent.misbehaviour = null));
  const asking = () => provider({ configUrl: reticent.configUrl, usesUserInfo: true });

  it('complete the token', async () => {
    const { idToken, accessToken } = await reticent.signIn('ann');
    await expect(identify(provider({ configUrl: reticent.configUrl }), idToken)).rejects.toThrow('claim missing');
    const identity = await identify(asking(), idToken, { WebIdentityAccessToken: accessToken });
    expect(identity.policyNames).toEqual(['reading']);
    expect(identity.claims.has('sessionPolicy')).toBe(false);
  });

  it('never come in place of what the token says', async () => {
    const { accessToken } = await reticent.signIn('ann');
    const token = await reticent.mint({ policy: 'readonly' });
    const identity = await identify(asking(), token, { WebIdentityAccessToken: accessToken });
    expect(identity.policyNames).toEqual(['readonly']);
  });

  it('of somebody else, of no token, or of none that the provider takes are refused', async () => {
    const [ann, bob] = [await reticent.signIn('ann'), await reticent.signIn('bob')];
    const cases = [
      ['', 'WebIdentityAccessToken is missing'],
      [bob.accessToken, 'belongs to another user'],
      ['wrong', 'does not take WebIdentityAccessToken'],
      ['a\nb', 'is not an access token'],
    ] as const;
    for (const [accessToken, text] of cases) {
      await expect(identify(asking(), ann.idToken, { WebIdentityAccessToken: accessToken })).rejects.toMatchObject({
        code: 'InvalidParameterValue',
        message: expect.stringContaining(text) as string,
      });
    }
  });

  it('that do not come give nothing', async () => {
    const { idToken, accessToken } = await reticent.signIn('ann');
    for (const answer of ['<html>', '[]']) {
      reticent.misbehaviour = (request, response) => request.url === '/me' && Boolean(response.end(answer));
      await expect(identify(asking(), idToken, { WebIdentityAccessToken: accessToken })).rejects.toMatchObject({
        code: 'STSNotInitialized',
      });
    }
  });
});

describe('several providers', () => {
  const roles = { rolePolicies: ['readonly', 'gone'], clientId: 'granary' };

  it('are told apart by role; one without is for everything else', async () => {
    const byRole = provider({ ...roles, name: 'role' });
    const byClaim = provider({ clientId: 'second' });
    const all = new OpenIdProviders([byRole, byClaim]);
    expect(byRole.roleArn).toMatch(/^arn:minio:iam:::role\/[\w-]{27}$/);
    const token = await op.mint({ policy: 'readwrite' });
    const identity = await identify(all, token, { RoleArn: byRole.roleArn });
    expect(identity).toMatchObject({ roleArn: byRole.roleArn, policyNames: [], provider: 'role' });
    const elsewhere = byRole.roleArn.replace('iam::', 'iam:eu-west-9:');
    expect((await identify(all, token, { RoleArn: elsewhere })).roleArn).toBe(byRole.roleArn);
    // The token is for the first, whatever is asked of the second.
    for (const roleArn of ['', 'arn:xxx:xxx:xxx:xxxx', 'arn:minio:iam:::role/unknown']) {
      await expect(identify(all, token, { RoleArn: roleArn })).rejects.toThrow('`second`');
    }
    const second = await op.mint({ policy: 'reading', aud: 'second' });
    expect((await identify(all, second, { RoleArn: 'arn:xxx' })).policyNames).toEqual(['reading']);
    await expect(identify(all, second, { RoleArn: 'arn:minio:iam:::role/idmp-x' })).rejects.toThrow(
      'not one of an OpenID',
    );
  });

  it('by role alone need to be told which', async () => {
    const all = new OpenIdProviders([provider(roles)]);
    const token = await op.mint();
    await expect(identify(all, token)).rejects.toMatchObject({ code: 'InvalidParameterValue' });
    await expect(identify(all, token, { RoleArn: 'arn:minio:iam:::role/x' })).rejects.toThrow(
      'Error processing RoleArn',
    );
  });

  it('do not share keys', async () => {
    const other = await TestOpenIdProvider.start({ clientId: 'other' });
    try {
      const all = new OpenIdProviders([
        provider({ ...roles, clientId: 'other', configUrl: other.configUrl, issuers: [op.issuer] }),
        provider(),
      ]);
      const [first] = all.all;
      await identify(all, await op.mint({ policy: 'reading' }));
      const crossed = await op.mint({ aud: 'other' });
      await expect(identify(all, crossed, { RoleArn: first?.roleArn ?? '' })).rejects.toThrow('has none of that name');
    } finally {
      await other.stop();
    }
  });

  it('of a role whose policies are all gone give nothing', async () => {
    const one = provider({ rolePolicies: ['gone'] });
    await expect(identify(one, await op.mint())).rejects.toThrow('None of the given policies (`gone`) are defined');
  });
});

/** What they publish and put into tokens, as their documents show it. */
describe('the shape of', () => {
  async function shaped(discovery: (base: string) => object, claims: object, settings: Partial<OpenIdSettings>) {
    const server = createServer((request, response) => {
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const keys = op.keys.map(({ publicJwk }) => publicJwk);
      response.end(
        JSON.stringify(request.url === '/keys' ? { keys } : { jwks_uri: `${base}/keys`, ...discovery(base) }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const configUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/openid-configuration`;
      return await identify(provider({ configUrl, ...settings }), await op.mint({ ...claims }));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('Okta: groups as a list, a custom authorization server', async () => {
    const issuer = 'https://example.okta.com/oauth2/default';
    const claims = { iss: issuer, sub: '00uid4BxXw6I6TV4m0g3', ver: 1, amr: ['pwd'], idp: '00o5', auth_time: now() };
    const identity = await shaped(
      () => ({ issuer }),
      { ...claims, groups: ['Everyone', 'reading'] },
      { claimName: 'groups' },
    );
    expect(identity.policyNames).toEqual(['reading']);
  });

  it('Keycloak: an access token for `account`, asked by the client, roles in objects', async () => {
    const issuer = 'https://kc.example.org/realms/granary';
    const claims = {
      ...{ iss: issuer, aud: 'account', azp: 'granary', typ: 'Bearer', sid: 'x', acr: '1', scope: 'openid profile' },
      ...{
        realm_access: { roles: ['offline_access', 'reading'] },
        resource_access: { granary: { roles: ['readonly'] } },
      },
    };
    const realm = await shaped(() => ({ issuer }), claims, { claimName: 'realm_access.roles' });
    expect(realm.policyNames).toEqual(['reading']);
    const client = await shaped(() => ({ issuer }), claims, { claimName: 'resource_access.granary.roles' });
    expect(client.policyNames).toEqual(['readonly']);
  });

  it('Dex: groups of a connector, and a subject that is not readable', async () => {
    const issuer = 'https://dex.example.org/dex';
    const claims = { iss: issuer, sub: 'CgVhbGljZRIEbGRhcA', at_hash: 'x', email_verified: true, groups: ['reading'] };
    const identity = await shaped(() => ({ issuer }), claims, { claimName: 'groups' });
    expect(identity).toMatchObject({ subject: 'CgVhbGljZRIEbGRhcA', policyNames: ['reading'], groups: ['reading'] });
  });

  it('Google: an issuer with or without its scheme, one account, policies by role', async () => {
    const discovery = () => ({ issuer: 'https://accounts.google.com' });
    const settings = { rolePolicies: ['readonly'] };
    const [bare, full] = await Promise.all(
      ['accounts.google.com', 'https://accounts.google.com'].map((iss) =>
        shaped(discovery, { iss, azp: 'granary', sub: '110169484474386276334', hd: 'example.org' }, settings),
      ),
    );
    expect(bare?.account).toBe(full?.account);
    expect(bare?.roleArn).toContain('role/');
  });

  it('Facebook: no userinfo endpoint, claims without groups, policies by role', async () => {
    const issuer = 'https://www.facebook.com';
    const claims = { iss: issuer, sub: '10158', given_name: 'Ann', picture: 'https://platform-lookaside.example/x' };
    const identity = await shaped(() => ({ issuer }), claims, { rolePolicies: ['readonly'] });
    expect(identity.roleArn).toContain('role/');
    await expect(shaped(() => ({ issuer }), claims, { usesUserInfo: true })).rejects.toThrow('WebIdentityAccessToken');
  });

  it('Entra for several tenants: an issuer with the place for the tenant', async () => {
    const tid = '9188040d-6c67-4c5b-b112-36a304b66dad';
    const discovery = () => ({ issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' });
    const iss = `https://login.microsoftonline.com/${tid}/v2.0`;
    expect((await shaped(discovery, { iss, tid, policy: 'reading' }, {})).policyNames).toEqual(['reading']);
    await expect(shaped(discovery, { iss, tid: tid.replace('9', '8'), policy: 'reading' }, {})).rejects.toThrow(
      'issuer',
    );
    await expect(shaped(discovery, { iss, policy: 'reading' }, {})).rejects.toThrow('issuer');
  });
});

describe('a directory beside the provider', () => {
  const member = (policyNames: readonly string[]) => ({
    claims: new Map([['azure_groups', ['g1', 'g2']]]),
    ...{ policyNames, whyNoPolicy: 'No group has a policy.' },
  });
  const directory = {
    issuers: ['https://sts.example.org/'],
    audiences: ['api://granary'],
    policies: ['g1'],
    seen: [] as string[],
    refuseForeign: (claims: Readonly<Record<string, unknown>>) => {
      if (claims['aud'] === 'graph') throw new Error('This token is for Graph.');
    },
    signIn: async (account: string, claims: Readonly<Record<string, unknown>>) => {
      directory.seen.push(`${account} ${String(claims['sub'])}`);
      return member(directory.policies);
    },
  };
  const looking = (change: Partial<OpenIdSettings> = {}) => provider(change, 1000, directory);

  it('adds claims and policies, issuers and audiences; its policies are not kept with the session', async () => {
    const token = await op.mint({ iss: 'https://sts.example.org/', aud: 'api://granary', policy: 'reading' });
    const identity = await identify(looking(), token);
    expect(identity.policyNames).toEqual(['reading']);
    expect(identity.claims.get('azure_groups')).toEqual(['g1', 'g2']);
    expect(directory.seen).toEqual([`${identity.account} ann`]);
    expect((await identify(looking(), await op.mint())).policyNames).toEqual([]);
  });

  it('decides when no claim does, and says why when it does not either', async () => {
    directory.policies = [];
    await expect(identify(looking(), await op.mint())).rejects.toThrow('No group has a policy.');
    expect((await identify(looking(), await op.mint({ policy: 'reading' }))).policyNames).toEqual(['reading']);
  });

  it('tells foreign tokens before their signature is looked at, and is not asked about what is not verified', async () => {
    directory.seen = [];
    await expect(identify(looking(), await op.mint({ aud: 'graph' }, { kid: 'unknown' }))).rejects.toThrow('for Graph');
    await expect(identify(looking(), await op.mint({ exp: 1 }))).rejects.toThrow('expired');
    expect(directory.seen).toEqual([]);
  });
});
