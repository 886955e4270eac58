import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { parsePolicy } from '../../../src/policy/index.js';
import { claimsOf, formOf, readStsAnswer, stsRequest, type TemporaryCredentials } from '../../support/sts-client.js';
import { presign, sign, type Request } from '../../support/wire.js';
import { stsWorld, type Signer, type StsWorld } from '../../support/sts-world.js';
import { rootCredentials } from '../../support/memory-iam.js';
import { exchange } from '../../support/exchange.js';

const ann = { accessKey: 'ann', secretKey: 'secret-of-ann' };
const listBuckets = { method: 'GET', path: '/' };

const document = (...statements: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const allowS3 = (Action: string, Resource = 'arn:aws:s3:::*') => ({
  Effect: 'Allow',
  Action: [Action],
  Resource: [Resource],
});

let world: StsWorld;

beforeEach(async () => {
  world = await stsWorld();
  await world.iam.setUser('ann', { secretKey: ann.secretKey, status: 'enabled' });
  await world.iam.setPolicy('some', parsePolicy(document(allowS3('s3:*')), 'identity'));
  await world.iam.attach({ kind: 'user', name: 'ann' }, ['some']);
});

async function session(signer: Signer = ann, parameters: Record<string, string> = {}): Promise<TemporaryCredentials> {
  const { credentials, text } = await world.assume(signer, parameters);
  if (credentials === null) throw new Error(text);
  return credentials;
}

describe('AssumeRole', () => {
  it('gives credentials in the form of the protocol', async () => {
    const { status, text, credentials } = await world.assume(ann);
    expect(status).toBe(200);
    expect(credentials).toMatchObject({ expiration: '2026-11-24T01:00:00Z' });
    expect(credentials?.accessKey).toMatch(/^[0-9A-Z]{20}$/);
    expect(credentials?.secretKey).toMatch(/^[A-Za-z0-9+]{40}$/);
    const inner = text.slice(text.indexOf('<Credentials>'), text.indexOf('</Credentials>'));
    expect(text.replace(inner, '…')).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>' +
        '<AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser>…</Credentials></AssumeRoleResult>' +
        '<ResponseMetadata><RequestId>00000000DEADBEEF</RequestId></ResponseMetadata></AssumeRoleResponse>',
    );
    expect(world.records).toMatchObject([{ operation: 'AssumeRole', status: 200, accessKey: 'ann', errorCode: null }]);
  });

  it('signs a token with the claims of the protocol under the root secret', async () => {
    const policy = document(allowS3('s3:GetObject'));
    const { accessKey, sessionToken } = await session(ann, { Policy: policy, TokenRevokeType: 'nightly' });
    const { header, payload } = claimsOf(sessionToken);
    expect(header).toEqual({ alg: 'HS512', typ: 'JWT' });
    expect(payload).toEqual({
      accessKey,
      exp: Date.UTC(2026, 10, 24, 1) / 1000,
      parent: 'ann',
      sessionPolicy: Buffer.from(policy).toString('base64'),
      tokenRevokeType: 'nightly',
    });
    const at = sessionToken.lastIndexOf('.');
    const signature = createHmac('sha512', rootCredentials.secretKey)
      .update(sessionToken.slice(0, at))
      .digest('base64url');
    expect(sessionToken.slice(at + 1)).toBe(signature);
  });

  it('takes parameters that only name the caller, and ignores them', async () => {
    const parameters = { RoleArn: 'arn:aws:iam::123456789012:role/any', RoleSessionName: 'me', ExternalId: 'x' };
    expect((await world.assume(ann, parameters)).status).toBe(200);
  });

  it('takes parameters from the query, which go before those of the form', async () => {
    const inQuery = { query: formOf({ Action: 'AssumeRole', DurationSeconds: '900' }), body: '' };
    expect((await world.assume(ann, {}, inQuery)).credentials?.expiration).toBe('2026-11-24T00:15:00Z');
    const inBoth = { query: 'DurationSeconds=900', body: formOf({ Action: 'AssumeRole', DurationSeconds: '7200' }) };
    expect((await world.assume(ann, {}, inBoth)).credentials?.expiration).toBe('2026-11-24T00:15:00Z');
  });

  it('takes the digest of its form in a header as well', async () => {
    const body = formOf({ Action: 'AssumeRole' });
    expect((await world.assume(ann, {}, { body, hidesDigest: false })).status).toBe(200);
  });

  it('takes signatures for any region, and for none', async () => {
    for (const region of ['', 'us-east-1', 'eu-west-3', 'custom']) {
      const request = stsRequest({ Action: 'AssumeRole' }, { date: new Date(world.clock.nowMs()) });
      const { headers } = sign({ ...ann, port: 9000, region }, request);
      const answer = await exchange(world.sts, { method: 'POST', target: '/', headers, body: [request.body ?? ''] });
      expect(answer.status, region).toBe(200);
    }
  });

  describe('how long', () => {
    it('is what is asked for, an hour otherwise', async () => {
      const ends: readonly (readonly [string, string])[] = [
        ['', '2026-11-24T01:00:00Z'],
        ['900', '2026-11-24T00:15:00Z'],
        ['901', '2026-11-24T00:15:01Z'],
        ['31535999', '2027-11-23T23:59:59Z'],
        ['31536000', '2027-11-24T00:00:00Z'],
      ];
      for (const [DurationSeconds, expiration] of ends) {
        expect((await world.assume(ann, { DurationSeconds })).credentials?.expiration).toBe(expiration);
      }
    });

    it('is within bounds', async () => {
      for (const text of ['0', '899', '31536001', '-900', '900.5', '1h', '9000000000', '0x384']) {
        expect(await world.assume(ann, { DurationSeconds: text }), text).toMatchObject({
          status: 400,
          code: 'InvalidParameterValue',
          message: 'invalid token expiry',
        });
      }
    });

    it('is what the operator fixed, whatever is asked for', async () => {
      const fixed = await stsWorld({ fixedSeconds: 1800 });
      for (const DurationSeconds of ['', '900', '7200', '1']) {
        expect((await fixed.assume(fixed.root, { DurationSeconds })).credentials?.expiration).toBe(
          '2026-11-24T00:30:00Z',
        );
      }
    });
  });

  describe('refuses', () => {
    it('who does not sign', async () => {
      expect(await world.assume(null)).toMatchObject({ status: 403, code: 'AccessDenied' });
    });

    it('an unknown key, a disabled user and a wrong signature, each in the words of S3', async () => {
      expect(await world.assume({ accessKey: 'nobody', secretKey: 'some-secret' })).toMatchObject({
        status: 403,
        code: 'AccessDenied',
        message: 'The AWS Access Key Id you provided does not exist in our records.',
      });
      const wrong = await world.assume({ ...ann, secretKey: 'not-the-secret' });
      expect(wrong).toMatchObject({ status: 403, code: 'AccessDenied' });
      expect(wrong.message).toMatch(/^The request signature we calculated does not match/);
      await world.iam.setUserStatus('ann', 'disabled');
      expect(await world.assume(ann)).toMatchObject({ status: 403, code: 'AccessDenied' });
      expect(world.store.writes.flat().filter(({ name }) => name.startsWith('iam/keys/'))).toEqual([]);
    });

    it('a form that is not the one that was signed', async () => {
      const policy = document(allowS3('s3:GetObject'));
      const date = new Date(world.clock.nowMs());
      for (const hidesDigest of [true, false]) {
        const request = stsRequest({ Action: 'AssumeRole', Policy: policy }, { date, hidesDigest });
        const { headers } = sign({ ...ann, port: 9000, region: '' }, request);
        const body = formOf({ Action: 'AssumeRole' });
        const answer = await exchange(world.sts, { method: 'POST', target: '/', headers, body: [body] });
        expect(readStsAnswer(answer.status, answer.text)).toMatchObject({ status: 403, code: 'AccessDenied' });
      }
    });

    it('a signature that leaves the form open', async () => {
      const open = { hidesDigest: false, payload: 'UNSIGNED-PAYLOAD' };
      expect(await world.assume(ann, {}, open)).toMatchObject({ status: 403, code: 'AccessDenied' });
    });

    it('a signature for S3', async () => {
      expect(await world.assume(ann, {}, { service: 's3' })).toMatchObject({ status: 403, code: 'AccessDenied' });
    });

    it('a signature in the query', async () => {
      const payload = createHash('sha256').digest('hex');
      const request: Request = {
        method: 'POST',
        path: '/',
        service: 'sts',
        payload,
        query: formOf({ Action: 'AssumeRole' }),
      };
      const date = new Date(world.clock.nowMs());
      const target = presign({ ...ann, port: 9000, region: '' }, { ...request, date });
      const answer = await exchange(world.sts, { method: 'POST', target, headers: { host: '127.0.0.1:9000' } });
      // The signature itself is right: what is wrong with another one would be said.
      expect(readStsAnswer(answer.status, answer.text)).toMatchObject({ status: 403, message: 'Access denied.' });
    });

    it('an old request', async () => {
      const date = new Date(world.clock.nowMs() - 16 * 60_000);
      expect(await world.assume(ann, {}, { date })).toMatchObject({ status: 403, code: 'AccessDenied' });
    });

    it('temporary credentials and access keys: neither prolongs itself', async () => {
      const temporary = await session();
      expect(await world.assume(temporary)).toMatchObject({ status: 403, code: 'AccessDenied' });
      const { sessionToken: _, ...withoutToken } = temporary;
      expect(await world.assume(withoutToken)).toMatchObject({ status: 403, code: 'AccessDenied' });
      const key = await world.iam.createAccessKey({
        ...{ parent: 'ann', parentSource: 'internal', accessKey: '', secretKey: '', name: '', description: '' },
        ...{ policy: null, expiresMs: null, claims: new Map(), groups: [] },
      });
      expect(await world.assume({ accessKey: key.accessKey, secretKey: key.secretKey })).toMatchObject({ status: 403 });
      expect(await world.assume({ ...ann, sessionToken: temporary.sessionToken })).toMatchObject({ status: 403 });
    });

    it('whom a policy denies it, by the duration too', async () => {
      const denies = (Condition?: object) =>
        parsePolicy(
          document({ Effect: 'Deny', Action: ['sts:AssumeRole'], ...(Condition && { Condition }) }),
          'identity',
        );
      await world.iam.setPolicy('none', denies({ NumericGreaterThan: { 'sts:DurationSeconds': '3600' } }));
      await world.iam.attach({ kind: 'user', name: 'ann' }, ['none']);
      expect((await world.assume(ann, { DurationSeconds: '3601' })).code).toBe('AccessDenied');
      expect((await world.assume(ann, { DurationSeconds: '3600' })).status).toBe(200);
      await world.iam.setPolicy('none', denies());
      expect((await world.assume(ann)).code).toBe('AccessDenied');
    });

    it('parameters that are missing or wrong', async () => {
      const unknownAction = document(allowS3('s3:NoSuchAction'));
      const wrong: readonly (readonly [Record<string, string>, string])[] = [
        [{ Version: '' }, 'MissingParameter'],
        [{ Version: '2010-01-01' }, 'MissingParameter'],
        [{ Action: '' }, 'InvalidParameterValue'],
        [{ Action: 'GetCallerIdentity' }, 'InvalidParameterValue'],
        [{ TokenRevokeType: 'x'.repeat(257) }, 'InvalidParameterValue'],
        [{ TokenRevokeType: 'a\nb' }, 'InvalidParameterValue'],
        [{ Policy: '{' }, 'InvalidParameterValue'],
        [{ Policy: '{}' }, 'InvalidParameterValue'],
        [{ Policy: '{"Statement":[]}' }, 'InvalidParameterValue'],
        [{ Policy: '{"Version":"2008-10-17","Statement":[]}' }, 'InvalidParameterValue'],
        [{ Policy: unknownAction }, 'InvalidParameterValue'],
      ];
      for (const [parameters, code] of wrong) {
        expect(await world.assume(ann, parameters), JSON.stringify(parameters)).toMatchObject({ status: 400, code });
      }
      expect((await world.assume(ann, { TokenRevokeType: 'x'.repeat(256) })).status).toBe(200);
    });

    it('says what is wrong in the form of the protocol', async () => {
      const { text } = await world.assume(ann, { Action: 'A<b>' });
      expect(text).toBe(
        '<?xml version="1.0" encoding="UTF-8"?>\n' +
          '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type></Type>' +
          '<Code>InvalidParameterValue</Code><Message>Unsupported action A&lt;b&gt;</Message></Error>' +
          '<RequestId>00000000DEADBEEF</RequestId></ErrorResponse>',
      );
    });

    it('forms past their bound, before anybody has signed in', async () => {
      const fits = { body: `${formOf({ Action: 'AssumeRole' })}&x=`.padEnd(256 * 1024, 'x') };
      expect((await world.assume(ann, {}, fits)).status).toBe(200);
      expect(await world.assume(null, {}, { body: `${fits.body}x` })).toMatchObject({
        status: 400,
        code: 'InvalidParameterValue',
        message: 'The request body is too large.',
      });
      const many = Array.from({ length: 300 }, (_, index) => `p${index}=1`).join('&');
      expect(await world.assume(ann, {}, { body: many })).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
    });

    it('to give what it could not store', async () => {
      world.store.failure = new Refusal('SlowDownWrite');
      expect(await world.assume(ann)).toMatchObject({ status: 503, code: 'ServiceUnavailable', credentials: null });
      world.store.failure = new Refusal('XMinioStorageFull');
      const full = await world.assume(ann);
      expect(full).toMatchObject({ status: 503, code: 'ServiceUnavailable', credentials: null });
      expect(full.message).toContain('are full. Delete objects');
    });
  });

  describe('the session policy', () => {
    const sized = (bytes: number): string => {
      const empty = document({ Sid: '', ...allowS3('s3:GetObject') });
      return document({ Sid: 's'.repeat(bytes - empty.length), ...allowS3('s3:GetObject') });
    };

    it('has 2,048 bytes at most, not counting white space', async () => {
      for (const bytes of [2047, 2048]) {
        const spread = JSON.stringify(JSON.parse(sized(bytes)), null, 8);
        expect((await world.assume(ann, { Policy: spread })).status).toBe(200);
      }
      expect(await world.assume(ann, { Policy: sized(2049) })).toMatchObject({
        status: 400,
        code: 'InvalidParameterValue',
        message: 'Session policy should not exceed 2048 characters',
      });
    });

    it('restricts, and never grants', async () => {
      const root = world.root;
      for (const path of ['/one', '/two']) expect((await world.s3(root, { method: 'PUT', path })).status).toBe(200);
      const one = await session(ann, {
        Policy: document(allowS3('s3:*', 'arn:aws:s3:::one'), allowS3('s3:*', 'arn:aws:s3:::one/*')),
      });
      expect((await world.s3(one, { method: 'PUT', path: '/one/key', body: 'x' })).status).toBe(200);
      expect((await world.s3(one, { method: 'PUT', path: '/two/key', body: 'x' })).status).toBe(403);
      // What the user may not, its session may not, whatever its policy says.
      await world.iam.setPolicy('some', parsePolicy(document(allowS3('s3:GetObject')), 'identity'));
      const wide = await session(ann, { Policy: document(allowS3('s3:*')) });
      expect((await world.s3(wide, { method: 'GET', path: '/one/key' })).status).toBe(200);
      expect((await world.s3(wide, { method: 'PUT', path: '/one/key', body: 'y' })).status).toBe(403);
      // A denial in it counts for a session of root as well.
      const held = await session(root, {
        Policy: document(allowS3('s3:*'), {
          Effect: 'Deny',
          Action: ['s3:DeleteObject'],
          Resource: ['arn:aws:s3:::*'],
        }),
      });
      expect((await world.s3(held, { method: 'GET', path: '/one/key' })).status).toBe(200);
      expect((await world.s3(held, { method: 'DELETE', path: '/one/key' })).status).toBe(403);
      // One that says nothing allows nothing.
      const empty = await session(root, { Policy: document() });
      expect((await world.s3(empty, { method: 'GET', path: '/one/key' })).status).toBe(403);
    });
  });
});

describe('temporary credentials', () => {
  it('end on the second, in headers and in signed addresses', async () => {
    const temporary = await session(ann, { DurationSeconds: '900' });
    expect((await world.s3(temporary, { method: 'PUT', path: '/mine' })).status).toBe(200);
    world.clock.ms += 899_999;
    expect((await world.s3(temporary, listBuckets)).status).toBe(200);
    expect((await world.follow(temporary, listBuckets, 3600)).status).toBe(200);
    const signedBefore = { ...listBuckets, date: new Date(world.clock.ms) };
    world.clock.ms += 1;
    expect(await world.s3(temporary, listBuckets)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    // The address itself would be good for an hour.
    expect(await world.follow(temporary, signedBefore, 3600)).toMatchObject({
      status: 403,
      code: 'InvalidAccessKeyId',
    });
  });

  it('need their own token, whole and unchanged', async () => {
    const temporary = await session();
    const other = await session();
    const { sessionToken, ...bare } = temporary;
    const tokens = [
      other.sessionToken,
      sessionToken.slice(0, -1),
      `${sessionToken}x`,
      `x${sessionToken.slice(1)}`,
      'x',
    ];
    for (const wrong of tokens) {
      const answer = await world.s3({ ...bare, sessionToken: wrong }, listBuckets);
      expect(answer).toMatchObject({ status: 403, code: 'InvalidTokenId' });
      expect((await world.follow({ ...bare, sessionToken: wrong }, listBuckets)).code).toBe('InvalidTokenId');
    }
    expect(await world.s3(bare, listBuckets)).toMatchObject({ status: 403, code: 'InvalidTokenId' });
    expect(await world.follow(bare, listBuckets)).toMatchObject({ status: 403, code: 'InvalidTokenId' });
    expect(await world.s3({ ...ann, sessionToken }, listBuckets)).toMatchObject({
      status: 403,
      code: 'InvalidTokenId',
    });
    expect((await world.s3(temporary, listBuckets)).status).toBe(200);
  });

  it('have no token of an algorithm that anybody can sign', async () => {
    const { sessionToken, ...bare } = await session();
    const payload = sessionToken.split('.')[1];
    const none = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.`;
    expect((await world.s3({ ...bare, sessionToken: none }, listBuckets)).code).toBe('InvalidTokenId');
  });

  it('tell nothing of themselves before the signature is right', async () => {
    const { accessKey } = await session();
    const wrong = await world.s3({ accessKey, secretKey: 'a-wrong-secret', sessionToken: 'x' }, listBuckets);
    expect(wrong).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
  });

  it('can do nothing once their user is disabled, and again once it is enabled', async () => {
    const temporary = await session();
    await world.iam.setUserStatus('ann', 'disabled');
    expect(await world.s3(temporary, listBuckets)).toMatchObject({ status: 403, code: 'AccessDenied' });
    await world.iam.setUserStatus('ann', 'enabled');
    expect((await world.s3(temporary, listBuckets)).status).toBe(200);
  });

  it('go with their user, and do not come back with its name', async () => {
    const temporary = await session();
    await world.iam.removeUser('ann');
    expect(await world.s3(temporary, listBuckets)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    expect(await world.follow(temporary, listBuckets)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    await world.iam.setUser('ann', { secretKey: ann.secretKey, status: 'enabled' });
    await world.iam.attach({ kind: 'user', name: 'ann' }, ['some']);
    expect((await world.s3(temporary, listBuckets)).code).toBe('InvalidAccessKeyId');
  });

  it('follow the policies of their user', async () => {
    const temporary = await session();
    await world.iam.detach({ kind: 'user', name: 'ann' }, ['some']);
    expect((await world.s3(temporary, listBuckets)).status).toBe(403);
  });

  it('are in no log line', async () => {
    const { accessKey, secretKey, sessionToken } = await session(ann, { Policy: document(allowS3('s3:GetObject')) });
    await world.s3({ accessKey, secretKey, sessionToken: `${sessionToken}x` }, listBuckets);
    await world.assume({ accessKey, secretKey, sessionToken });
    const lines = [...world.logLines, ...world.lines, JSON.stringify(world.records)].join('\n');
    for (const secret of [secretKey, sessionToken, ann.secretKey]) expect(lines).not.toContain(secret);
  });
});
