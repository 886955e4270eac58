import { beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import type { ExternalIdentity, IdentityProof, IdentityProvider } from '../../../src/identity/index.js';
import { parsePolicy } from '../../../src/policy/index.js';
import { claimsOf } from '../../support/sts-client.js';
import { stsWorld, type StsWorld, type StsWorldOptions } from '../../support/sts-world.js';

/** One that vouches for everybody, and keeps what it was asked. */
class FakeProvider implements IdentityProvider {
  readonly proofs: IdentityProof[] = [];
  failure: Error | null = null;
  expiresMs = Date.UTC(2026, 10, 24, 2);

  constructor(readonly identity: Partial<ExternalIdentity> = {}) {}

  async identify(proof: IdentityProof): Promise<ExternalIdentity> {
    this.proofs.push(proof);
    if (this.failure !== null) throw this.failure;
    return {
      account: 'hash-of-ann',
      source: 'openid',
      subject: 'ann@example.org',
      policyNames: ['reading'],
      groups: [],
      claims: new Map([['sub', 'ann@example.org']]),
      roleArn: '',
      provider: '_',
      expiresMs: this.expiresMs,
      ...this.identity,
    };
  }
}

const allow = (Action: string) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: 'arn:aws:s3:::*' }] });

async function worldWith(provider: FakeProvider, options: StsWorldOptions = {}): Promise<StsWorld> {
  const providers = { openid: provider, ldap: provider, plugin: provider, certificate: provider };
  const world = await stsWorld({ providers, ...options });
  await world.iam.setPolicy('reading', parsePolicy(allow('s3:GetObject'), 'identity'));
  return world;
}

const web = { Action: 'AssumeRoleWithWebIdentity', WebIdentityToken: 'some-token' };
const grants = { Action: 'AssumeRoleWithClientGrants', Token: 'some-token' };
const ldap = { Action: 'AssumeRoleWithLDAPIdentity', LDAPUsername: 'ann', LDAPPassword: 'password-of-ann' };
const custom = { Action: 'AssumeRoleWithCustomToken', Token: 'some-token', RoleArn: 'arn:minio:iam:::role/idmp-x' };
const certificate = { Action: 'AssumeRoleWithCertificate' };
const all = [web, grants, ldap, custom, certificate];

describe('without a provider', () => {
  it('each action says so', async () => {
    const world = await stsWorld();
    for (const parameters of [web, grants]) {
      expect(await world.assume(null, parameters)).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
    }
    for (const parameters of [ldap, custom, certificate]) {
      expect(await world.assume(null, parameters)).toMatchObject({
        status: 503,
        code: 'STSNotInitialized',
        message: `STS API '${parameters.Action}' is disabled`,
      });
    }
    expect(world.store.writes.flat()).toEqual([]);
  });
});

describe('with a provider', () => {
  let provider: FakeProvider;
  let world: StsWorld;
  beforeEach(async () => {
    provider = new FakeProvider();
    world = await worldWith(provider);
    await world.s3(world.root, { method: 'PUT', path: '/bucket' });
    await world.s3(world.root, { method: 'PUT', path: '/bucket/key', body: 'x' });
  });

  it('hands the proof over, and gives credentials with the policies it names', async () => {
    for (const parameters of all) {
      const { credentials, text } = await world.assume(null, { ...parameters, DurationSeconds: '1000' });
      if (credentials === null) throw new Error(text);
      expect(text).toContain(`<${parameters.Action}Response xmlns=`);
      expect(credentials.expiration).toBe('2026-11-24T02:00:00Z');
      expect((await world.s3(credentials, { method: 'GET', path: '/bucket/key' })).status).toBe(200);
      expect((await world.s3(credentials, { method: 'PUT', path: '/bucket/key', body: 'y' })).status).toBe(403);
    }
    expect(provider.proofs.map(({ durationSeconds }) => durationSeconds)).toEqual(all.map(() => 1000));
    expect(provider.proofs.map(({ parameters }) => parameters.get('Action'))).toEqual(all.map(({ Action }) => Action));
    expect(provider.proofs[2]?.parameters.get('LDAPPassword')).toBe('password-of-ann');
    expect(JSON.stringify([world.records, world.logLines, world.lines])).not.toMatch(/password-of-ann|some-token/);
  });

  it('names the subject where the action does', async () => {
    expect((await world.assume(null, web)).text).toContain(
      '</Credentials><SubjectFromWebIdentityToken>ann@example.org</SubjectFromWebIdentityToken></AssumeRoleWithWebIdentityResult>',
    );
    expect((await world.assume(null, grants)).text).toContain('<SubjectFromToken>ann@example.org</SubjectFromToken>');
    expect((await world.assume(null, custom)).text).toContain('<AssumedUser>ann@example.org</AssumedUser>');
  });

  it('takes its parameters from the query too', async () => {
    const query = new URLSearchParams({ ...certificate, Version: '2011-06-15' }).toString();
    expect((await world.assume(null, {}, { query, body: '', headers: {} })).status).toBe(200);
  });

  it('asks for what the action needs', async () => {
    const lacking = [
      { ...web, WebIdentityToken: '' },
      { ...ldap, LDAPUsername: '' },
      { ...ldap, LDAPPassword: '' },
      { ...custom, Token: '' },
    ];
    for (const parameters of lacking) {
      expect(await world.assume(null, parameters)).toMatchObject({ status: 400, code: 'MissingParameter' });
    }
    expect(provider.proofs).toEqual([]);
  });

  it('checks duration, policy and tag before the proof', async () => {
    expect(await world.assume(null, { ...web, DurationSeconds: '899' })).toMatchObject({
      code: 'InvalidParameterValue',
      message: 'invalid token expiry',
    });
    expect(await world.assume(null, { ...certificate, DurationSeconds: '899' })).toMatchObject({
      code: 'MissingParameter',
      message: 'invalid token expiry',
    });
    expect((await world.assume(null, { ...custom, DurationSeconds: '899' })).code).toBe('InvalidParameterValue');
    expect((await world.assume(null, { ...ldap, Policy: '{' })).code).toBe('InvalidParameterValue');
    expect((await world.assume(null, { ...web, TokenRevokeType: 'x'.repeat(300) })).code).toBe('InvalidParameterValue');
    expect(provider.proofs).toEqual([]);
  });

  it('holds credentials down to the policy of the request, where the action takes one', async () => {
    const parameters = { ...web, Policy: allow('s3:PutObject') };
    const { credentials } = await world.assume(null, parameters);
    if (credentials === null) throw new Error('none');
    expect((await world.s3(credentials, { method: 'GET', path: '/bucket/key' })).status).toBe(403);
    expect((await world.s3(credentials, { method: 'PUT', path: '/bucket/key', body: 'y' })).status).toBe(403);
  });

  it('passes on what the provider refuses, and nothing of what breaks in it', async () => {
    provider.failure = new Refusal('ExpiredToken', 'The token ended yesterday.');
    expect(await world.assume(null, web)).toMatchObject({
      status: 400,
      code: 'ExpiredToken',
      message: 'The token ended yesterday.',
    });
    provider.failure = new Error('connect 10.0.0.7:636');
    const answer = await world.assume(null, ldap);
    expect(answer).toMatchObject({ status: 500, code: 'InternalError' });
    expect(answer.text).not.toContain('10.0.0.7');
    expect(world.logLines.join('\n')).toContain('10.0.0.7');
  });

  it('ends credentials within a year, whatever the provider says', async () => {
    provider.expiresMs = Date.UTC(2030, 0, 1);
    expect((await world.assume(null, web)).credentials?.expiration).toBe('2027-11-24T00:00:00Z');
  });
});

it('claims of a provider neither look like the token of this server, nor decide', async () => {
  const claims = new Map<string, string | number>([
    ['sub', 'ann'],
    ['parent', 'root'],
    ['accessKey', 'root'],
    ['exp', 4102444800],
    ['sessionPolicy', 'eyJ9'],
    ['tokenRevokeType', 'theirs'],
    ['sa-policy', 'inherited-policy'],
  ]);
  const world = await worldWith(new FakeProvider({ claims }));
  const { credentials } = await world.assume(null, web);
  if (credentials === null) throw new Error('none');
  const { payload } = claimsOf(credentials.sessionToken);
  expect(payload).toEqual({ sub: 'ann', accessKey: credentials.accessKey, exp: Date.UTC(2026, 10, 24, 2) / 1000 });
  expect(await world.iam.revokeSessions('hash-of-ann', 'theirs')).toBe(0);
});

it('the duration that the operator fixed counts as each action has it', async () => {
  const provider = new FakeProvider();
  const world = await worldWith(provider, { fixedSeconds: 1800 });
  for (const parameters of all) {
    await world.assume(null, parameters);
    await world.assume(null, { ...parameters, DurationSeconds: '1000' });
  }
  const asked = provider.proofs.map(({ durationSeconds }) => durationSeconds);
  expect(asked).toEqual([null, 1800, null, 1800, 1800, 1800, null, 1000, 1800, 1800]);
});
