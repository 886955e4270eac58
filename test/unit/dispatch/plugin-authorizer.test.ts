import { beforeEach, describe, expect, it } from 'vitest';
import { createPluginAuthorizer, type AuthorizationContext } from '../../../src/dispatch/index.js';
import type { Permission } from '../../../src/dispatch/operation.js';
import { HeaderMap } from '../../../src/exchange/index.js';
import type { PolicyQuestion, Principal } from '../../../src/identity/index.js';
import { parsePolicy } from '../../../src/policy/index.js';
import { exchangeRequest } from '../../support/exchange.js';
import { iamWorld, rootCredentials, type IamWorld } from '../../support/memory-iam.js';
import { policy } from '../../support/policy-requests.js';

const roleArn = 'arn:minio:iam:::role/idmp-x';
const asked: PolicyQuestion[] = [];
let roles: ReadonlyMap<string, readonly string[]>;
let verdict = true;
let world: IamWorld;

beforeEach(async () => {
  asked.length = 0;
  verdict = true;
  roles = new Map([[roleArn, ['nowhere']]]);
  world = await iamWorld({
    rules: {
      areInternalAccountsOn: true,
      isRootOnly: false,
      whyOff: '',
      rolePolicies: (arn) => roles.get(arn) ?? null,
      tenantOf: () => '',
    },
  });
});

function authorizer() {
  return createPluginAuthorizer({
    iam: world.iam,
    bucketPolicy: (bucket) =>
      bucket === 'public'
        ? policy('bucket', {
            Effect: 'Allow',
            Principal: '*',
            Action: 's3:GetObject',
            Resource: 'arn:aws:s3:::public/*',
          })
        : null,
    clock: world.clock,
    plugin: {
      decide: async (question) => {
        asked.push(question);
        return verdict;
      },
    },
  });
}

function principalOf(accessKey: string): Principal {
  const credential = world.iam.credentials.lookup(accessKey);
  if (credential === null) throw new Error(`no ${accessKey}`);
  return credential.principal;
}

function contextOf(headers: Record<string, string> = {}, query: Record<string, string> = {}): AuthorizationContext {
  const request = { ...exchangeRequest({ target: '/b/k' }), headers: HeaderMap.from(Object.entries(headers)) };
  return {
    call: { request, bucket: 'b', key: 'k', query: new Map(Object.entries(query)) },
    authentication: { kind: 'header-v4', accessKey: 'x', region: '', signedAtMs: 0, payload: { kind: 'unsigned' } },
  };
}

const get: Permission = { action: 's3:GetObject', bucket: 'b', key: 'k' };
const may = (principal: Principal, permission: Permission = get, context = contextOf()) =>
  authorizer()(principal, permission, context);

const session = (policyText: string | null, more: Partial<Parameters<IamWorld['iam']['createSession']>[0]> = {}) =>
  world.iam.createSession({
    ...{ parent: 'custom:ann', parentSource: 'plugin', policyNames: [], groups: [], revokeType: '' },
    ...{ claims: new Map([['department', 'ships']]), roleArn, provider: '_' },
    policy: policyText === null ? null : parsePolicy(policyText, 'session'),
    expiresMs: world.clock.nowMs() + 3_600_000,
    ...more,
  });

const onlyBucket = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::b/*' }],
});

describe('a decision that a plugin makes', () => {
  it('is made for root and users, whatever policies say, and for nobody else', async () => {
    await world.iam.setUser('ann', { secretKey: 'secret-of-ann', status: 'enabled' });
    for (const [name, isOwner] of [
      [rootCredentials.accessKey, true],
      ['ann', false],
    ] as const) {
      for (const answer of [true, false]) {
        verdict = answer;
        expect(await may(principalOf(name))).toBe(answer);
        expect(asked.at(-1)).toMatchObject({ account: name, isOwner, action: 's3:GetObject', bucket: 'b', key: 'k' });
      }
    }
    asked.length = 0;
    expect(may({ kind: 'anonymous' }, { action: 's3:GetObject', bucket: 'public', key: 'k' })).toBe(true);
    expect(may({ kind: 'anonymous' })).toBe(false);
    expect(asked).toEqual([]);
  });

  it('tells whose credential it is, and what is asked', async () => {
    const { accessKey } = await session(null);
    await may(principalOf(accessKey), { action: 'sts:AssumeRole', bucket: '', key: '', mode: 'deny-only' });
    expect(asked[0]).toMatchObject({ account: accessKey, isOwner: false, isDenyOnly: true });
    expect([...asked[0]!.claims]).toEqual([['department', 'ships']]);
    expect(asked[0]!.conditions).toMatchObject({
      username: ['custom:ann'],
      userid: ['custom:ann'],
      principaltype: ['AssumedRole'],
      SourceIp: ['127.0.0.1'],
      SecureTransport: ['false'],
      authType: ['REST-HEADER'],
    });
  });

  it('shows what the client says, but nothing in the name of the server and no secret', async () => {
    const headers = {
      'x-amz-copy-source': '/other/key',
      'x-amz-security-token': 'secret token',
      'x-amz-server-side-encryption-customer-key': 'secret key',
      'x-amz-copy-source-server-side-encryption-customer-key': 'secret key',
      authorization: 'secret',
      cookie: 'secret',
      username: 'root',
      sourceip: '10.0.0.1',
      'user-agent': 'curl',
    };
    const query = { prefix: 'a/', username: 'root', 'X-Amz-Signature': 'secret', versionId: 'v1' };
    const known = { 's3:versionid': ['v2'], 's3:existingobjecttag/a': ['b'], 's3:gone': [] };
    const principal = principalOf(rootCredentials.accessKey);
    await may(principal, { ...get, values: known }, contextOf(headers, query));
    const { conditions } = asked[0]!;
    expect(conditions).toMatchObject({
      'X-Amz-Copy-Source': ['/other/key'],
      UserAgent: ['curl'],
      prefix: ['a/'],
      versionid: ['v2'],
      'existingobjecttag/a': ['b'],
      username: [rootCredentials.accessKey],
      SourceIp: ['127.0.0.1'],
    });
    expect(JSON.stringify(conditions)).not.toContain('secret');
    expect(Object.keys(conditions)).not.toContain('gone');
  });

  it('cannot undo a session policy', async () => {
    const { accessKey } = await session(onlyBucket);
    expect(await may(principalOf(accessKey))).toBe(true);
    expect(await may(principalOf(accessKey), { ...get, bucket: 'other' })).toBe(false);
    expect(await may(principalOf(accessKey), { action: 'admin:ListUsers', bucket: '', key: '' })).toBe(false);
    // Nor is it asked about what the session policy forbids.
    expect(asked).toHaveLength(1);
    const ofRoot = await session(onlyBucket, { parent: rootCredentials.accessKey, parentSource: 'root', roleArn: '' });
    await may(principalOf(ofRoot.accessKey));
    expect(asked.at(-1)).toMatchObject({ isOwner: false });
    const unrestricted = await session(null, { parent: rootCredentials.accessKey, parentSource: 'root', roleArn: '' });
    await may(principalOf(unrestricted.accessKey));
    expect(asked.at(-1)).toMatchObject({ isOwner: true });
  });

  it('is not made for who is gone, disabled, or of a role that is', async () => {
    await world.iam.setUser('ann', { secretKey: 'secret-of-ann', status: 'enabled' });
    const user = principalOf('ann');
    const key = await world.iam.createAccessKey({
      ...{ parent: 'ann', parentSource: 'internal', accessKey: '', secretKey: '', name: '', description: '' },
      ...{ policy: null, expiresMs: null, claims: new Map(), groups: [] },
    });
    const ofKey = principalOf(key.accessKey);
    const { accessKey } = await session(null);
    const ofPlugin = principalOf(accessKey);
    for (const principal of [user, ofKey, ofPlugin]) expect(await may(principal)).toBe(true);
    asked.length = 0;
    await world.iam.setUserStatus('ann', 'disabled');
    roles = new Map();
    for (const principal of [user, ofKey, ofPlugin]) expect(await may(principal)).toBe(false);
    roles = new Map([[roleArn, []]]);
    await world.iam.revokeSessions('custom:ann', null);
    expect(await may(ofPlugin)).toBe(false);
    expect(asked).toEqual([]);
  });
});
