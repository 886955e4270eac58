/** Keycloak's administration API, as far as this server asks it, beside a provider that gives tokens to clients. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { KeycloakPurge, type NewSession, type OpenIdSettings } from '../../../src/identity/index.js';
import { iamWorld, type IamWorld } from '../../support/memory-iam.js';
import { TestOpenIdProvider } from '../../support/openid-provider.js';

let op: TestOpenIdProvider;
let world: IamWorld;
let purge: KeycloakPurge;
let lines: string[];
/** Answers of the administration API by subject. */
let users: Record<string, readonly [status: number, body: string]>;
let settings: OpenIdSettings;

beforeAll(async () => {
  op = await TestOpenIdProvider.start();
});
afterAll(() => op.stop());

beforeEach(async () => {
  world = await iamWorld();
  lines = [];
  users = {};
  settings = {
    ...{ name: 'kc', configUrl: op.configUrl, clientId: op.clientId, clientSecret: op.clientSecret },
    ...{ claimName: 'policy', usesUserInfo: false, rolePolicies: [], issuers: [], scopes: [], redirectUri: '' },
    ...{ isRedirectDynamic: false, displayName: '', vendor: 'keycloak', keycloakRealm: 'granary' },
    ...{ keycloakAdminUrl: `${op.issuer}/admin/`, userIdClaim: 'sub', userReadableClaim: '' },
  };
  op.misbehaviour = (request, response) => {
    const subject = /^\/admin\/realms\/granary\/users\/(.+)$/.exec(request.url ?? '')?.[1];
    if (subject === undefined) return false;
    const isAllowed = /^Bearer \S{20,}$/.test(request.headers.authorization ?? '');
    const [status, body] = isAllowed ? (users[decodeURIComponent(subject)] ?? [500, '']) : ([401, '{}'] as const);
    return Boolean(response.writeHead(status).end(body));
  };
  purge = purgeWith(settings);
});

function purgeWith(of: OpenIdSettings): KeycloakPurge {
  return new KeycloakPurge({
    ...{ settings: of, iam: world.iam, authorities: [] },
    discovery: async () => ({ issuer: op.issuer, jwks_uri: `${op.issuer}/jwks`, token_endpoint: `${op.issuer}/token` }),
    log: (text, fields) => lines.push(`${text} ${JSON.stringify(fields)}`),
  });
}

const session = (subject: string, provider = 'kc') => {
  const made: NewSession = {
    ...{ parent: `hash-of-${subject}`, parentSource: 'openid', provider, expiresMs: world.clock.ms + 3_600_000 },
    ...{ policy: null, policyNames: ['readwrite'], claims: new Map([['sub', subject]]), groups: [], revokeType: '' },
  };
  return world.iam.createSession(made);
};
const accessKey = (subject: string) =>
  world.iam.createAccessKey({
    ...{ parent: `hash-of-${subject}`, parentSource: 'openid', provider: 'kc', accessKey: '', secretKey: '', name: '' },
    ...{ description: '', policy: null, expiresMs: null, claims: new Map([['sub', subject]]), groups: [] },
  });
const isThere = ({ accessKey: name }: { accessKey: string }) => world.iam.credentials.lookup(name) !== null;

it('takes sessions and access keys off accounts that are disabled or gone, and off nobody else', async () => {
  users = {
    ann: [200, '{"id":"ann","username":"ann","enabled":true}'],
    'bob/..': [200, '{"id":"bob","enabled":false}'],
    eve: [404, '{"error":"User not found"}'],
    odd: [500, ''],
  };
  const kept = [await session('ann'), await accessKey('ann'), await accessKey('odd'), await session('dora', 'other')];
  const lost = [await session('bob/..'), await accessKey('bob/..'), await accessKey('eve')];
  expect(await purge.run()).toBe(2);
  expect(kept.map(isThere)).toEqual([true, true, true, true]);
  expect(lost.map(isThere)).toEqual([false, false, false]);
  expect(lines).toHaveLength(3);
});

it.each<[string, readonly [number, string]]>([
  ['another realm', [404, '{"error":"Realm not found."}']],
  ['a page of another program', [404, '<html>not here</html>']],
  ['an error', [500, '{}']],
  ['no rights', [403, '{"error":"unknown_error"}']],
  ['something else', [200, '{"enabled":"no"}']],
])('that answers %s is no reason to take anything', async (_what, answer) => {
  users = { ann: answer };
  const made = [await session('ann'), await accessKey('ann')];
  expect(await purge.run()).toBe(0);
  expect(made.map(isThere)).toEqual([true, true]);
  expect(lines).toHaveLength(1);
});

it('is left for later while it is down, or does not know the client; its secret is not in the log', async () => {
  users = { ann: [404, ''] };
  const made = await session('ann');
  expect(await purgeWith({ ...settings, clientSecret: 'wrong-secret' }).run()).toBe(0);
  await op.down();
  expect(await purge.run()).toBe(0);
  await op.up();
  expect(isThere(made)).toBe(true);
  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toMatch(/wrong-secret|secret-of-the-client/);
  expect(await purge.run()).toBe(1);
});
