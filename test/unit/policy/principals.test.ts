import { describe, expect, test } from 'vitest';
import { isAllowed, policy, type Policies, type Statement } from '../../support/policy-requests.js';

/** Who is asked: bucket policies and their principals, anonymous callers, sessions, root, and what everybody may do. */
const everything = policy('identity', { Effect: 'Allow', Action: '*', Resource: '*' });
const s3All = { Action: 's3:*', Resource: ['arn:aws:s3:::b', 'arn:aws:s3:::b/*'] };
const ofBucket = (Principal: unknown, more: Statement = {}) =>
  policy('bucket', { Effect: 'Allow', Principal, ...s3All, ...more });
const session = (...statements: Statement[]) => policy('session', ...statements);
const read = { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' };
const yes = true;
const no = false;

describe('the principal of a bucket policy', () => {
  test.each<readonly [principal: unknown, account: string, expected: boolean]>([
    ['*', 'alice', yes],
    ['*', '', yes],
    [{ AWS: '*' }, 'alice', yes],
    [{ AWS: '*' }, '', yes],
    [{ AWS: ['*'] }, '', yes],
    [{ AWS: 'alice' }, 'alice', yes],
    [{ AWS: 'alice' }, 'bob', no],
    [{ AWS: 'alice' }, 'Alice', no],
    [{ AWS: 'alice' }, '', no],
    [{ AWS: ['bob', 'alice'] }, 'alice', yes],
    [{ AWS: 'al*' }, 'alice', yes],
    [{ AWS: 'al*' }, 'bob', no],
    [{ AWS: 'al*' }, '', no],
    [{ AWS: '?*' }, 'alice', yes],
    [{ AWS: '?*' }, '', no],
    [{ AWS: 'arn:aws:iam:::user/alice' }, 'alice', yes],
    [{ AWS: 'arn:aws:iam::123456789012:user/alice' }, 'alice', yes],
    [{ AWS: 'arn:aws:iam:::user/alice' }, 'bob', no],
    [{ AWS: 'alice' }, '*', no],
    [{ AWS: '${aws:username}' }, 'alice', no],
  ])('%j names %j: %s', (principal, account, expected) => {
    expect(isAllowed({ action: 's3:GetObject', on: 'b/k', account }, { bucket: ofBucket(principal) })).toBe(expected);
  });
});

describe('a bucket is named by itself in a bucket policy', () => {
  test.each<readonly [resource: string, action: string, on: string, expected: boolean]>([
    ['arn:aws:s3:::b', 's3:ListBucket', 'b', yes],
    ['arn:aws:s3:::b/*', 's3:GetObject', 'b/k', yes],
    ['arn:aws:s3:::b*', 's3:ListBucket', 'b', yes],
    ['*', 's3:ListBucket', 'b', yes],
    // Not through what is in it, as identity policies do.
    ['arn:aws:s3:::b/*', 's3:ListBucket', 'b', no],
  ])('%s, asked for %s %s: %s', (Resource, action, on, expected) => {
    const bucket = policy('bucket', { Effect: 'Allow', Principal: '*', Action: 's3:*', Resource });
    expect(isAllowed({ action, on, account: '' }, { bucket })).toBe(expected);
  });
});

describe('who allows and who denies', () => {
  const grant = ofBucket('*');
  const denial = ofBucket('*', { Effect: 'Deny' });
  const denyIdentity = policy('identity', { Effect: 'Deny', Action: 's3:*', Resource: '*' });
  const denySession = session({ Effect: 'Allow', Action: '*', Resource: '*' }, { ...read, Effect: 'Deny' });
  const root = { isRoot: true } as const;
  test.each<readonly [what: string, account: string, policies: Policies, expected: boolean]>([
    ['nobody says anything', 'alice', {}, no],
    ['the identity allows', 'alice', { identity: [everything] }, yes],
    ['the bucket allows a signed caller', 'alice', { bucket: grant }, yes],
    ['the bucket denies what the identity allows', 'alice', { identity: [everything], bucket: denial }, no],
    ['the identity denies what the bucket allows', 'alice', { identity: [denyIdentity], bucket: grant }, no],
    ['the session allows as well', 'alice', { identity: [everything], session: [session(read)] }, yes],
    ['the session allows, nobody else', 'alice', { session: [session(read)] }, no],
    ['the session is empty', 'alice', { identity: [everything], session: [session()] }, no],
    ['the session denies', 'alice', { identity: [everything], session: [denySession] }, no],
    ['the session restricts what the bucket allows', 'alice', { bucket: grant, session: [session(read)] }, yes],
    ['one session of two does not allow', 'alice', { identity: [everything], session: [session(read), session()] }, no],
    ['nobody signed, the bucket allows', '', { bucket: grant }, yes],
    ['nobody signed, the bucket denies', '', { bucket: denial }, no],
    ['nobody signed, an identity is no theirs', '', { identity: [everything] }, no],
    ['root', 'root', root, yes],
    ['root, the bucket denies', 'root', { ...root, bucket: denial }, yes],
    ['root, an identity denies', 'root', { ...root, identity: [denyIdentity] }, yes],
    ['restricted root, the session allows', 'root', { ...root, session: [session(read)] }, yes],
    ['restricted root, the session does not', 'root', { ...root, session: [session()] }, no],
    ['restricted root, the bucket denies', 'root', { ...root, session: [session(read)], bucket: denial }, no],
  ])('%s', (_what, account, policies, expected) => {
    expect(isAllowed({ action: 's3:GetObject', on: 'b/k', account }, policies)).toBe(expected);
  });

  test('a bucket policy has no say about anything but S3', () => {
    const all = policy('bucket', { Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' });
    expect(isAllowed({ action: 's3:GetObject', on: 'b/k' }, { bucket: all })).toBe(true);
    for (const action of ['admin:SetBucketQuota', 'admin:ServerInfo', 'sts:AssumeRole', 'kms:Status']) {
      expect(isAllowed({ action, on: 'b' }, { bucket: all })).toBe(false);
    }
  });

  test('all buckets are listed for nobody who did not sign', () => {
    const all = policy('bucket', { Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' });
    expect(isAllowed({ action: 's3:ListAllMyBuckets', account: '' }, { bucket: all, identity: [everything] })).toBe(no);
  });
});

describe('what everybody may do to the own account', () => {
  const action = 'admin:CreateServiceAccount';
  const deny = policy('identity', { Effect: 'Deny', Action: action });
  const may = session({ Effect: 'Allow', Action: 'admin:*' });
  test.each<readonly [what: string, account: string, policies: Policies, expected: boolean]>([
    ['without a policy', 'alice', {}, yes],
    ['with a denial', 'alice', { identity: [deny] }, no],
    ['restricted, and the session says nothing (CVE-2025-62506)', 'alice', { session: [session(read)] }, no],
    ['restricted, and the session allows', 'alice', { session: [may] }, yes],
    ['denied in the session', 'alice', { session: [session({ Effect: 'Deny', Action: action })] }, no],
    ['not signed', '', {}, no],
  ])('%s: %s', (_what, account, policies, expected) => {
    expect(isAllowed({ action, account }, policies, 'deny-only')).toBe(expected);
  });
});
