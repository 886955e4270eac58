import { describe, expect, test } from 'vitest';
import { isAllowed, policy, type Statement } from '../../support/policy-requests.js';

/** What one identity policy of one statement says: Action, NotAction, Resource, NotResource, wildcards. */
const arn = (path: string) => (path === '*' ? path : `arn:aws:s3:::${path}`);

function allows(statement: Statement, action: string, on: string): boolean {
  return isAllowed({ action, on }, { identity: [policy('identity', { Effect: 'Allow', ...statement })] });
}

const yes = true;
const no = false;

describe('actions', () => {
  test.each<readonly [written: string | string[], asked: string, expected: boolean]>([
    ['s3:GetObject', 's3:GetObject', yes],
    ['s3:GetObject', 's3:PutObject', no],
    ['s3:GetObject', 's3:GetObjectTagging', no],
    ['s3:GetObject', 's3:GetObjectVersion', no],
    ['s3:GetObjectVersion', 's3:GetObject', yes],
    ['s3:GetObject*', 's3:GetObject', yes],
    ['s3:GetObject*', 's3:GetObjectVersion', yes],
    ['s3:GetObject*', 's3:GetBucketLocation', no],
    ['s3:Get*', 's3:GetBucketLocation', yes],
    ['s3:Get*', 's3:PutObject', no],
    ['s3:*Object', 's3:PutObject', yes],
    ['s3:*Object', 's3:DeleteObject', yes],
    ['s3:*Object', 's3:GetObjectTagging', no],
    ['s3:*Tagging', 's3:GetObjectTagging', yes],
    ['s3:???Object', 's3:GetObject', yes],
    ['s3:???Object', 's3:DeleteObject', no],
    ['s3:*', 's3:GetObject', yes],
    ['s3:*', 's3:DeleteBucket', yes],
    ['s3:*', 's3:PutBucketPolicy', yes],
    ['s3:*', 's3:ForceDeleteBucket', yes],
    ['s3:*', 'admin:ServerInfo', no],
    ['s3:*', 'sts:AssumeRole', no],
    ['s3:*', 'kms:Status', no],
    ['*', 's3:GetObject', yes],
    ['*', 'admin:ServerInfo', yes],
    ['*', 'sts:AssumeRole', yes],
    ['*', 'kms:Status', yes],
    [['s3:GetObject', 's3:PutObject'], 's3:GetObject', yes],
    [['s3:GetObject', 's3:PutObject'], 's3:PutObject', yes],
    [['s3:GetObject', 's3:PutObject'], 's3:DeleteObject', no],
    ['s3:ListBucket', 's3:ListBucketVersions', yes],
    ['s3:ListBucketVersions', 's3:ListBucket', no],
    ['s3:ListBucket', 's3:ListBucketMultipartUploads', no],
    ['s3:DeleteObject', 's3:DeleteObjectVersion', yes],
    ['s3:DeleteObjectVersion', 's3:DeleteObject', no],
  ])('%s allows %s: %s', (written, asked, expected) => {
    expect(allows({ Action: written, Resource: '*' }, asked, 'b/k')).toBe(expected);
  });
});

describe('everything but some actions', () => {
  test.each<readonly [written: string | string[], asked: string, expected: boolean]>([
    ['s3:DeleteObject', 's3:GetObject', yes],
    ['s3:DeleteObject', 's3:DeleteObject', no],
    ['s3:Delete*', 's3:DeleteBucket', no],
    ['s3:Delete*', 's3:PutObject', yes],
    [['s3:Put*', 's3:Delete*'], 's3:DeleteObject', no],
    [['s3:Put*', 's3:Delete*'], 's3:GetObject', yes],
    // Who writes about S3 does not grant administration.
    ['s3:DeleteObject', 'admin:CreateUser', no],
    ['s3:DeleteObject', 'kms:CreateKey', no],
    ['s3:DeleteObject', 'sts:AssumeRole', no],
  ])('NotAction %s allows %s: %s', (written, asked, expected) => {
    expect(allows({ NotAction: written, Resource: '*' }, asked, 'b/k')).toBe(expected);
  });

  test.each<readonly [resource: string, asked: string, on: string, expected: boolean]>([
    ['*', 's3:PutObject', 'b/k', no],
    ['*', 's3:GetObject', 'b/k', yes],
    ['*', 'admin:ServerInfo', '', no],
    ['arn:aws:s3:::b/*', 's3:PutObject', 'b/k', no],
    ['arn:aws:s3:::b/*', 's3:PutObject', 'other/k', yes],
    ['arn:aws:s3:::b/*', 'admin:ServerInfo', '', yes],
  ])('Deny NotAction s3:GetObject on %s leaves %s %s: %s', (Resource, action, on, expected) => {
    const identity = [
      policy('identity', { Effect: 'Allow', Action: '*', Resource: '*' }),
      policy('identity', { Effect: 'Deny', NotAction: 's3:GetObject', Resource }),
    ];
    expect(isAllowed({ action, on }, { identity })).toBe(expected);
  });
});

describe('resources', () => {
  test.each<readonly [written: string | string[], on: string, expected: boolean]>([
    ['*', 'b/k', yes],
    ['*', 'b', yes],
    [arn('*'), 'b/k', yes],
    [arn('*'), 'b', yes],
    [arn('b/*'), 'b/k', yes],
    [arn('b/*'), 'b/a/deep/key', yes],
    [arn('b/*'), 'bb/k', no],
    [arn('b/*'), 'c/b/k', no],
    [arn('b/k'), 'b/k', yes],
    [arn('b/k'), 'b/kk', no],
    [arn('b/k'), 'b/K', no],
    [arn('b/k*'), 'b/kk', yes],
    [arn('b/k*'), 'b/k/l', yes],
    [arn('b/*.jpg'), 'b/a/b.jpg', yes],
    [arn('b/*.jpg'), 'b/a.jpeg', no],
    [arn('b/a?c'), 'b/abc', yes],
    [arn('b/a?c'), 'b/ac', no],
    [arn('b/a?c'), 'b/a/c', yes],
    [arn('b/a?c'), 'b/aüc', yes],
    [arn('b/a?c'), 'b/a😀c', yes],
    [arn('b/a??c'), 'b/a😀c', no],
    [arn('b/*/c'), 'b/a/c', yes],
    [arn('b/*/c'), 'b/a/a/c', yes],
    [arn('b/*/c'), 'b/c', no],
    [arn('b/a*b*c'), 'b/aXbYc', yes],
    [arn('b/a*b*c'), 'b/acb', no],
    [arn('b*'), 'b/k', yes],
    [arn('b*'), 'backup/k', yes],
    [arn('b'), 'b/k', no],
    [arn(''), 'b/k', no],
    [arn(''), 'b', no],
    [[arn('a/*'), arn('b/*')], 'b/k', yes],
    [[arn('a/*'), arn('c/*')], 'b/k', no],
    // Keys are taken as they are.
    [arn('b/public/*'), 'b/public/../secret', yes],
    [arn('b/secret'), 'b/public/../secret', no],
    [arn('b/a'), 'b//a', no],
    [arn('b/*'), 'b//a', yes],
    [arn('b/[ab]'), 'b/a', no],
    [arn('b/[ab]'), 'b/[ab]', yes],
    [arn('b/a.c'), 'b/abc', no],
  ])('%s covers %s: %s', (written, on, expected) => {
    const isOfBucket = !on.includes('/');
    const action = isOfBucket ? 's3:*Bucket*' : 's3:*';
    expect(allows({ Action: action, Resource: written }, isOfBucket ? 's3:ListBucket' : 's3:GetObject', on)).toBe(
      expected,
    );
  });

  test.each<readonly [written: string, on: string, expected: boolean]>([
    [arn('b'), 'b', yes],
    [arn('b'), 'bb', no],
    [arn('b'), 'c', no],
    // As at MinIO: identity policies reach a bucket through what is in it.
    [arn('b/*'), 'b', yes],
    [arn('b/k'), 'b', no],
    [arn('b*'), 'bucket', yes],
    [arn('?'), 'b', yes],
    [arn('?'), 'bb', no],
  ])('a bucket: %s covers %s: %s', (written, on, expected) => {
    expect(allows({ Action: 's3:ListBucket', Resource: written }, 's3:ListBucket', on)).toBe(expected);
  });

  test.each<readonly [written: string | string[], on: string, expected: boolean]>([
    [arn('b/*'), 'b/k', no],
    [arn('b/*'), 'c/k', yes],
    [[arn('b/*'), arn('c/*')], 'c/k', no],
    [[arn('b/*'), arn('c/*')], 'd/k', yes],
    [arn('b/private/*'), 'b/public/k', yes],
    ['*', 'b/k', no],
  ])('NotResource %s covers %s: %s', (written, on, expected) => {
    expect(allows({ Action: 's3:GetObject', NotResource: written }, 's3:GetObject', on)).toBe(expected);
  });
});

describe('where resources have no meaning', () => {
  test.each<readonly [action: string, resource: string | null, asked: string, expected: boolean]>([
    ['admin:ServerInfo', null, 'admin:ServerInfo', yes],
    ['admin:ServerInfo', arn('b/*'), 'admin:ServerInfo', yes],
    ['admin:*', null, 'admin:CreateUser', yes],
    ['admin:*', null, 's3:GetObject', no],
    ['admin:Create*', null, 'admin:CreateUser', yes],
    ['admin:Create*', null, 'admin:DeleteUser', no],
    ['sts:*', null, 'sts:AssumeRole', yes],
    ['sts:AssumeRole', null, 'sts:AssumeRoleWithWebIdentity', no],
    ['kms:*', null, 'kms:Status', yes],
    ['kms:CreateKey', null, 'kms:DeleteKey', no],
    // Every action on a bucket is not every action on the server.
    ['*', arn('b/*'), 'admin:CreateUser', no],
    ['*', arn('b*'), 'admin:CreateUser', no],
    ['*', arn('b/*'), 'sts:AssumeRole', no],
    ['*', arn('b/*'), 'kms:Status', no],
    ['*', arn('*'), 'admin:CreateUser', yes],
    ['*', '*', 'admin:CreateUser', yes],
  ])('%s on %s allows %s: %s', (Action, resource, asked, expected) => {
    expect(allows({ Action, ...(resource !== null && { Resource: resource }) }, asked, '')).toBe(expected);
  });

  test.each<readonly [resource: string | null, on: string, expected: boolean]>([
    [null, '', yes],
    [null, 'b', yes],
    [arn('b'), 'b', yes],
    [arn('b/*'), 'b', yes],
    [arn('b'), 'c', no],
    [arn('b'), '', no],
    [arn('*'), '', yes],
  ])('administration of one bucket, granted on %s, asked about %s: %s', (resource, on, expected) => {
    const statement = { Action: 'admin:SetBucketQuota', ...(resource !== null && { Resource: resource }) };
    expect(allows(statement, 'admin:SetBucketQuota', on)).toBe(expected);
  });

  test.each<readonly [resource: string, key: string, expected: boolean]>([
    ['arn:minio:kms:::key-*', 'key-1', yes],
    ['arn:minio:kms:::key-*', 'other', no],
    ['arn:minio:kms:::key-1', 'key-1', yes],
    ['*', 'key-1', yes],
  ])('a key: %s covers %s: %s', (Resource, key, expected) => {
    expect(allows({ Action: 'kms:CreateKey', Resource }, 'kms:CreateKey', `/${key}`)).toBe(expected);
  });
});

describe('Deny', () => {
  const allow = policy('identity', { Effect: 'Allow', Action: 's3:*', Resource: '*' });
  test.each<readonly [denied: string, resource: string, asked: string, on: string, expected: boolean]>([
    ['s3:DeleteObject', '*', 's3:DeleteObject', 'b/k', no],
    ['s3:DeleteObject', '*', 's3:GetObject', 'b/k', yes],
    ['s3:*', arn('b/private/*'), 's3:GetObject', 'b/private/k', no],
    ['s3:*', arn('b/private/*'), 's3:GetObject', 'b/public/k', yes],
    ['s3:*', arn('b/*'), 's3:ListBucket', 'b', no],
    ['*', '*', 's3:GetObject', 'b/k', no],
    // A version is asked for by a parameter: it opens nothing that is closed.
    ['s3:GetObject', '*', 's3:GetObjectVersion', 'b/k', no],
    ['s3:GetObjectTagging', '*', 's3:GetObjectVersionTagging', 'b/k', no],
    ['s3:GetObjectAcl', '*', 's3:GetObjectVersionAcl', 'b/k', no],
    ['s3:GetObjectAttributes', '*', 's3:GetObjectVersionAttributes', 'b/k', no],
    ['s3:PutObjectAcl', '*', 's3:PutObjectVersionAcl', 'b/k', no],
    ['s3:PutObjectTagging', '*', 's3:PutObjectVersionTagging', 'b/k', no],
    ['s3:DeleteObject', '*', 's3:DeleteObjectVersion', 'b/k', no],
    ['s3:DeleteObjectTagging', '*', 's3:DeleteObjectVersionTagging', 'b/k', no],
    ['s3:GetObjectVersion', '*', 's3:GetObject', 'b/k', yes],
    ['s3:DeleteObjectVersion', '*', 's3:DeleteObject', 'b/k', yes],
    ['s3:DeleteObjectVersion', '*', 's3:DeleteObjectVersion', 'b/k', no],
    ['s3:ListBucketVersions', '*', 's3:ListBucketVersions', 'b', no],
    ['s3:ListBucketVersions', '*', 's3:ListBucket', 'b', yes],
  ])('%s on %s, asked for %s %s: %s', (Action, Resource, action, on, expected) => {
    const deny = policy('identity', { Effect: 'Deny', Action, Resource });
    expect(isAllowed({ action, on }, { identity: [allow, deny] })).toBe(expected);
    expect(isAllowed({ action, on }, { identity: [deny, allow] })).toBe(expected);
  });

  test('what another action implies is not implied against its own denial', () => {
    const may = policy('identity', { Effect: 'Allow', Action: 's3:ListBucket', Resource: '*' });
    const deny = policy('identity', { Effect: 'Deny', Action: 's3:ListBucketVersions', Resource: '*' });
    expect(isAllowed({ action: 's3:ListBucketVersions', on: 'b' }, { identity: [may] })).toBe(true);
    expect(isAllowed({ action: 's3:ListBucketVersions', on: 'b' }, { identity: [may, deny] })).toBe(false);
  });

  test('alone grants nothing', () => {
    const deny = policy('identity', { Effect: 'Deny', Action: 's3:DeleteObject', Resource: '*' });
    expect(isAllowed({ action: 's3:GetObject', on: 'b/k' }, { identity: [deny] })).toBe(false);
  });
});

test('no policy, an empty policy and an unknown action deny', () => {
  expect(isAllowed({ action: 's3:GetObject', on: 'b/k' }, {})).toBe(false);
  expect(isAllowed({ action: 's3:GetObject', on: 'b/k' }, { identity: [policy('identity')] })).toBe(false);
  const all = policy('identity', { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' });
  expect(isAllowed({ action: 's3:NoSuchThing', on: 'b/k' }, { identity: [all] })).toBe(false);
});
