import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../src/policy/index.js';
import { document, isAllowed, policy, type Question } from '../../support/policy-requests.js';

/** Every operator against values that are there, that are not, and that are none. */
type Given = string | readonly string[] | undefined;
type Row = readonly [operator: string, values: unknown, given: Given, expected: boolean];
const yes = true;
const no = false;

function holds(operator: string, key: string, values: unknown, given: Given, more: Partial<Question> = {}): boolean {
  const statement = {
    Effect: 'Allow',
    Action: 's3:GetObject',
    Resource: '*',
    Condition: { [operator]: { [key]: values } },
  };
  const name = key.toLowerCase();
  const values_ = given === undefined ? {} : { [name]: given };
  const asked = { action: 's3:GetObject', on: 'b/k', trusted: values_, request: values_, ...more };
  return isAllowed(asked, { identity: [policy('identity', statement)] });
}

function table(key: string, rows: readonly Row[]): void {
  test.each(rows)(`%s ${key} %j, given %j: %s`, (operator, values, given, expected) => {
    expect(holds(operator, key, values, given)).toBe(expected);
  });
}

describe('text', () => {
  table('aws:UserAgent', [
    ['StringEquals', 'a', 'a', yes],
    ['StringEquals', 'a', 'A', no],
    ['StringEquals', 'a', 'ab', no],
    ['StringEquals', 'a*', 'ab', no],
    ['StringEquals', 'a*', 'a*', yes],
    ['StringEquals', '', '', yes],
    ['StringEquals', ['a', 'b'], 'b', yes],
    ['StringEquals', ['a', 'b'], 'c', no],
    ['StringEquals', 'a', undefined, no],
    ['StringEqualsIfExists', 'a', undefined, yes],
    ['StringEqualsIfExists', 'a', 'a', yes],
    ['StringEqualsIfExists', 'a', 'b', no],
    ['StringNotEquals', 'a', 'b', yes],
    ['StringNotEquals', 'a', 'a', no],
    ['StringNotEquals', ['a', 'b'], 'b', no],
    ['StringNotEquals', ['a', 'b'], 'c', yes],
    ['StringNotEquals', 'a', undefined, yes],
    ['StringNotEqualsIfExists', 'a', undefined, yes],
    ['StringNotEqualsIfExists', 'a', 'a', no],
    ['StringEqualsIgnoreCase', 'Curl', 'cURL', yes],
    ['StringEqualsIgnoreCase', 'Curl', 'wget', no],
    ['StringEqualsIgnoreCase', 'a', undefined, no],
    ['StringEqualsIgnoreCaseIfExists', 'a', undefined, yes],
    ['StringNotEqualsIgnoreCase', 'Curl', 'cURL', no],
    ['StringNotEqualsIgnoreCase', 'Curl', 'wget', yes],
    ['StringNotEqualsIgnoreCase', 'Curl', undefined, yes],
    ['StringLike', 'a*', 'abc', yes],
    ['StringLike', 'a*', 'bac', no],
    ['StringLike', '*a*', 'bac', yes],
    ['StringLike', 'a?c', 'abc', yes],
    ['StringLike', 'a?c', 'ac', no],
    ['StringLike', '*', '', yes],
    ['StringLike', '*', undefined, no],
    ['StringLikeIfExists', 'a*', undefined, yes],
    ['StringLike', ['x*', 'a*'], 'abc', yes],
    ['StringNotLike', 'a*', 'abc', no],
    ['StringNotLike', 'a*', 'bac', yes],
    ['StringNotLike', 'a*', undefined, yes],
    ['StringNotLike', ['a*', 'b*'], 'bac', no],
    ['StringNotLikeIfExists', 'a*', 'abc', no],
    ['BinaryEquals', 'aGVsbG8=', 'hello', yes],
    ['BinaryEquals', 'aGVsbG8=', 'Hello', no],
    ['BinaryEquals', 'aGVsbG8=', undefined, no],
    ['BinaryEqualsIfExists', 'aGVsbG8=', undefined, yes],
    ['BinaryEquals', ['AAAA', 'aGVsbG8='], 'hello', yes],
  ]);
});

describe('numbers', () => {
  table('s3:signatureAge', [
    ['NumericEquals', 10, '10', yes],
    ['NumericEquals', '10', '10', yes],
    ['NumericEquals', '10', '11', no],
    ['NumericEquals', '10', '10.0', yes],
    ['NumericEquals', ['10', '11'], '11', yes],
    ['NumericEquals', '10', 'ten', no],
    ['NumericEquals', '10', '', no],
    ['NumericEquals', '10', undefined, no],
    ['NumericEqualsIfExists', '10', undefined, yes],
    ['NumericEqualsIfExists', '10', '11', no],
    ['NumericNotEquals', '10', '11', yes],
    ['NumericNotEquals', '10', '10', no],
    ['NumericNotEquals', '10', 'ten', no],
    ['NumericNotEquals', '10', undefined, no],
    ['NumericNotEqualsIfExists', '10', undefined, yes],
    ['NumericLessThan', '10', '9', yes],
    ['NumericLessThan', '10', '10', no],
    ['NumericLessThan', '10', '-10', yes],
    ['NumericLessThan', '10', '9.99', yes],
    ['NumericLessThan', '10', undefined, no],
    ['NumericLessThanEquals', '10', '10', yes],
    ['NumericLessThanEquals', '10', '11', no],
    ['NumericGreaterThan', '10', '11', yes],
    ['NumericGreaterThan', '10', '10', no],
    ['NumericGreaterThan', '9', '10', yes],
    ['NumericGreaterThan', '10', '1e9', no],
    ['NumericGreaterThan', '10', '0x10', no],
    ['NumericGreaterThan', '10', 'Infinity', no],
    ['NumericGreaterThan', '10', undefined, no],
    ['NumericGreaterThanIfExists', '10', undefined, yes],
    ['NumericGreaterThanEquals', '10', '10', yes],
    ['NumericGreaterThanEquals', '10', '9', no],
  ]);
});

describe('dates', () => {
  const noon = '2026-01-31T12:00:00Z';
  table('aws:CurrentTime', [
    ['DateEquals', noon, noon, yes],
    ['DateEquals', noon, '2026-01-31T13:00:00+01:00', yes],
    ['DateEquals', noon, '2026-01-31T12:00:00.000Z', yes],
    ['DateEquals', noon, '2026-01-31T12:00:01Z', no],
    ['DateEquals', '2026-01-31', '2026-01-31T00:00:00Z', yes],
    ['DateEquals', '1769860800', noon, yes],
    ['DateNotEquals', noon, '2026-01-31T12:00:01Z', yes],
    ['DateNotEquals', noon, noon, no],
    ['DateNotEquals', noon, undefined, no],
    ['DateLessThan', noon, '2026-01-31T11:59:59Z', yes],
    ['DateLessThan', noon, noon, no],
    ['DateLessThanEquals', noon, noon, yes],
    ['DateLessThanEquals', noon, '2026-01-31T12:00:00.001Z', no],
    ['DateGreaterThan', noon, '2026-01-31T12:00:00.001Z', yes],
    ['DateGreaterThan', noon, noon, no],
    ['DateGreaterThan', noon, 'tomorrow', no],
    ['DateGreaterThan', noon, undefined, no],
    ['DateGreaterThanIfExists', noon, undefined, yes],
    ['DateGreaterThanEquals', noon, noon, yes],
    ['DateGreaterThanEquals', noon, '2026-01-30T12:00:00Z', no],
    ['DateLessThan', ['2026-01-01', noon], '2026-01-31T11:00:00Z', yes],
  ]);
  test('seconds since 1970 are a number and a date', () => {
    expect(holds('NumericLessThan', 'aws:EpochTime', '1769860801', '1769860800')).toBe(true);
    expect(holds('DateLessThan', 'aws:EpochTime', '2026-01-31T12:00:01Z', '1769860800')).toBe(true);
    expect(holds('DateLessThan', 'aws:EpochTime', '2026-01-31T12:00:00Z', '1769860800')).toBe(false);
  });
});

describe('true and false', () => {
  table('aws:SecureTransport', [
    ['Bool', 'true', 'true', yes],
    ['Bool', true, 'true', yes],
    ['Bool', 'true', 'false', no],
    ['Bool', 'True', 'true', yes],
    ['Bool', false, 'false', yes],
    ['Bool', 'false', 'true', no],
    ['Bool', ['true', 'false'], 'false', yes],
    ['Bool', 'false', undefined, no],
    ['BoolIfExists', 'false', undefined, yes],
    ['Bool', 'false', 'no', no],
    ['Bool', 'true', '1', no],
  ]);
});

describe('whether a key is there', () => {
  table('aws:Referer', [
    ['Null', 'true', undefined, yes],
    ['Null', true, undefined, yes],
    ['Null', 'true', 'x', no],
    ['Null', 'true', '', no],
    ['Null', 'false', 'x', yes],
    ['Null', false, undefined, no],
    ['Null', ['true', 'false'], undefined, yes],
    ['Null', 'true', [], yes],
  ]);
});

describe('addresses', () => {
  table('aws:SourceIp', [
    ['IpAddress', '10.0.0.0/8', '10.255.1.2', yes],
    ['IpAddress', '10.0.0.0/8', '11.0.0.1', no],
    ['IpAddress', '10.1.2.3', '10.1.2.3', yes],
    ['IpAddress', '10.1.2.3', '10.1.2.4', no],
    ['IpAddress', '10.1.2.3/32', '10.1.2.3', yes],
    ['IpAddress', '10.1.2.3/24', '10.1.2.250', yes],
    ['IpAddress', '10.1.2.0/25', '10.1.2.128', no],
    ['IpAddress', '0.0.0.0/0', '8.8.8.8', yes],
    ['IpAddress', '0.0.0.0/0', '::1', no],
    ['IpAddress', ['10.0.0.0/8', '192.168.0.0/16'], '192.168.7.7', yes],
    ['IpAddress', '10.0.0.0/8', '::ffff:10.1.2.3', yes],
    ['IpAddress', '::ffff:10.0.0.0/104', '10.1.2.3', yes],
    ['IpAddress', '2001:db8::/32', '2001:db8:1::1', yes],
    ['IpAddress', '2001:db8::/32', '2001:db9::1', no],
    ['IpAddress', '2001:DB8::1', '2001:db8:0:0:0:0:0:1', yes],
    ['IpAddress', '::/0', '2001:db8::1', yes],
    ['IpAddress', '::1', '::1', yes],
    ['IpAddress', 'fe80::/10', 'fe80::1%eth0', yes],
    ['IpAddress', '10.0.0.0/8', undefined, no],
    ['IpAddressIfExists', '10.0.0.0/8', undefined, yes],
    ['IpAddress', '10.0.0.0/8', '', no],
    ['IpAddress', '10.0.0.0/8', '10.1', no],
    ['IpAddress', '10.0.0.0/8', '010.1.2.3', no],
    ['IpAddress', '0.0.0.0/0', '1.2.3.4, 10.0.0.1', no],
    ['NotIpAddress', '10.0.0.0/8', '11.0.0.1', yes],
    ['NotIpAddress', '10.0.0.0/8', '10.0.0.1', no],
    ['NotIpAddress', ['10.0.0.0/8', '11.0.0.0/8'], '11.0.0.1', no],
    ['NotIpAddress', '10.0.0.0/8', undefined, yes],
    ['NotIpAddressIfExists', '10.0.0.0/8', '10.0.0.1', no],
  ]);
});

describe('ARNs', () => {
  table('jwt:role', [
    ['ArnEquals', 'arn:aws:iam::1:role/a', 'arn:aws:iam::1:role/a', yes],
    ['ArnEquals', 'arn:aws:iam::1:role/*', 'arn:aws:iam::1:role/a/b', yes],
    ['ArnLike', 'arn:aws:iam::*:role/a', 'arn:aws:iam::22:role/a', yes],
    ['ArnLike', 'arn:aws:iam::?:role/a', 'arn:aws:iam::22:role/a', no],
    ['ArnLike', 'arn:*:*:*:*:role/a', 'arn:aws:iam::1:role/a', yes],
    // A star does not reach over a colon, but for the last part.
    ['ArnLike', 'arn:aws:*:role/a:*:x', 'arn:aws:iam::1:role/a', no],
    ['ArnLike', 'arn:aws:i*:::a', 'arn:aws:iam:x::a', no],
    ['ArnLike', 'arn:aws:sns:::*', 'arn:aws:sns:::a:b', yes],
    ['ArnLike', 'arn:aws:iam::1:role/a', 'role/a', no],
    ['ArnLike', 'arn:aws:iam::1:role/a', undefined, no],
    ['ArnLikeIfExists', 'arn:aws:iam::1:role/a', undefined, yes],
    ['ArnNotEquals', 'arn:aws:iam::1:role/a', 'arn:aws:iam::1:role/b', yes],
    ['ArnNotEquals', 'arn:aws:iam::1:role/a', 'arn:aws:iam::1:role/a', no],
    ['ArnNotLike', 'arn:aws:iam::*:role/a', 'arn:aws:iam::1:role/a', no],
    ['ArnNotLike', 'arn:aws:iam::*:role/a', undefined, yes],
  ]);
});

describe('several values', () => {
  table('jwt:groups', [
    ['StringEquals', 'a', ['x', 'a'], yes],
    ['StringEquals', 'a', ['x', 'y'], no],
    ['StringNotEquals', 'a', ['x', 'y'], yes],
    ['StringNotEquals', 'a', ['x', 'a'], no],
    ['ForAnyValue:StringEquals', 'a', ['x', 'a'], yes],
    ['ForAnyValue:StringEquals', 'a', ['x'], no],
    ['ForAnyValue:StringEquals', 'a', undefined, no],
    ['ForAnyValue:StringEquals', 'a', [], no],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'], yes],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a'], yes],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], no],
    ['ForAllValues:StringEquals', 'a', undefined, yes],
    ['ForAllValues:StringEquals', 'a', [], yes],
    ['ForAnyValue:StringLike', 'team-*', ['x', 'team-1'], yes],
    ['ForAllValues:StringLike', 'team-*', ['team-1', 'team-2'], yes],
    ['ForAllValues:StringLike', 'team-*', ['team-1', 'x'], no],
    ['ForAnyValue:StringNotEquals', 'a', ['a', 'b'], yes],
    ['ForAnyValue:StringNotEquals', 'a', ['a'], no],
    ['ForAllValues:StringNotEquals', 'a', ['b', 'c'], yes],
    ['ForAllValues:StringNotEquals', 'a', ['b', 'a'], no],
    ['ForAllValues:StringNotLike', 'a*', ['b', 'abc'], no],
    ['ForAnyValue:StringEqualsIgnoreCase', 'A', ['x', 'a'], yes],
    ['ForAllValues:StringEqualsIfExists', 'a', undefined, yes],
    ['ForAnyValue:StringEqualsIfExists', 'a', undefined, yes],
    ['Bool', 'true', ['true', 'false'], yes],
    ['Bool', 'true', ['false', 'true'], no],
    ['NumericEquals', '1', ['2', '1'], no],
    ['Null', 'false', ['a', 'b'], yes],
  ]);

  test('of a key that has one, only the first counts', () => {
    expect(holds('StringEquals', 'aws:UserAgent', 'b', ['a', 'b'])).toBe(false);
    expect(holds('StringEquals', 'aws:UserAgent', 'a', ['a', 'b'])).toBe(true);
    expect(holds('ForAnyValue:StringEquals', 'aws:UserAgent', 'b', ['a', 'b'])).toBe(false);
  });
});

describe('all conditions of a statement hold together', () => {
  const condition = {
    StringEquals: { 'aws:UserAgent': 'a', 'aws:Referer': ['r', 's'] },
    Bool: { 'aws:SecureTransport': 'true' },
  };
  const identity = [
    policy('identity', { Effect: 'Allow', Action: 's3:GetObject', Resource: '*', Condition: condition }),
  ];
  const all = { 'aws:useragent': 'a', 'aws:referer': 's' };
  test.each<readonly [request: Record<string, string>, secure: string, expected: boolean]>([
    [all, 'true', yes],
    [all, 'false', no],
    [{ ...all, 'aws:useragent': 'b' }, 'true', no],
    [{ ...all, 'aws:referer': 't' }, 'true', no],
    [{ 'aws:useragent': 'a' }, 'true', no],
  ])('%j over TLS %s: %s', (request, secure, expected) => {
    const asked = { action: 's3:GetObject', on: 'b/k', request, trusted: { 'aws:securetransport': secure } };
    expect(isAllowed(asked, { identity })).toBe(expected);
  });

  test('and a Deny with a condition denies only when it holds', () => {
    const deny = {
      Effect: 'Deny',
      Action: 's3:*',
      Resource: '*',
      Condition: { Bool: { 'aws:SecureTransport': false } },
    };
    const identity = [policy('identity', { Effect: 'Allow', Action: 's3:*', Resource: '*' }, deny)];
    const ask = (secure: string) =>
      isAllowed({ action: 's3:GetObject', on: 'b/k', trusted: { 'aws:securetransport': secure } }, { identity });
    expect([ask('true'), ask('false')]).toEqual([true, false]);
  });
});

describe('who is asked for a value', () => {
  const trusted = [
    'aws:CurrentTime',
    'aws:EpochTime',
    'aws:PrincipalType',
    'aws:SecureTransport',
    'aws:SourceIp',
    'aws:groups',
    'aws:userid',
    'aws:username',
    's3:authType',
    's3:signatureAge',
    's3:signatureversion',
    'jwt:sub',
    'jwt:anything',
    'ldap:user',
    'ldap:mail',
    's3:ExistingObjectTag/team',
  ];
  test.each(trusted)('%s: the server, and never headers or query', (key) => {
    const name = key.startsWith('s3:ExistingObjectTag') ? 's3:existingobjecttag/team' : key.toLowerCase();
    expect(holds('StringEquals', key, 'x', undefined, { request: { [name]: 'x' }, trusted: { [name]: [] } })).toBe(no);
    expect(holds('StringEquals', key, 'x', undefined, { request: {}, trusted: { [name]: 'x' } })).toBe(yes);
  });
  test.each(['aws:Referer', 'aws:UserAgent', 's3:x-amz-content-sha256', 's3:versionid'])('%s: the request', (key) => {
    const name = key.toLowerCase();
    expect(holds('StringEquals', key, 'x', undefined, { request: { [name]: 'x' }, trusted: {} })).toBe(yes);
    expect(holds('StringEquals', key, 'x', undefined, { request: {}, trusted: { [name]: 'x' } })).toBe(no);
  });

  test('names are found in any case; the name of a tag counts as it is', () => {
    expect(holds('StringEquals', 'AWS:UserAGENT', 'x', undefined, { request: { 'aws:useragent': 'x' } })).toBe(yes);
    const tag = { trusted: { 's3:existingobjecttag/Team': 'x' } };
    expect(holds('StringEquals', 's3:existingObjectTag/Team', 'x', undefined, tag)).toBe(yes);
    expect(holds('StringEquals', 's3:ExistingObjectTag/team', 'x', undefined, tag)).toBe(no);
  });
});

describe('keys belong to actions', () => {
  const parses = (action: string, key: string): boolean => {
    const condition = { StringEquals: { [key]: '1' } };
    const statement = { Effect: 'Allow', Action: action, Resource: '*', Condition: condition };
    try {
      parsePolicy(document(statement), 'identity');
      return true;
    } catch {
      return false;
    }
  };
  test.each<readonly [action: string, key: string, expected: boolean]>([
    ['s3:ListBucket', 's3:prefix', yes],
    ['s3:ListBucket', 's3:delimiter', yes],
    ['s3:ListBucket', 's3:max-keys', yes],
    ['s3:ListBucketVersions', 's3:prefix', yes],
    ['s3:GetObject', 's3:prefix', no],
    ['s3:*', 's3:prefix', yes],
    ['s3:List*', 's3:prefix', yes],
    ['s3:Put*', 's3:prefix', no],
    ['s3:GetObject', 's3:ExistingObjectTag/team', yes],
    ['s3:GetObject', 's3:versionid', yes],
    ['s3:GetObject', 's3:x-amz-copy-source', no],
    ['s3:PutObject', 's3:x-amz-copy-source', yes],
    ['s3:PutObject', 's3:x-amz-storage-class', yes],
    ['s3:PutObject', 's3:x-amz-server-side-encryption', yes],
    ['s3:PutObject', 's3:RequestObjectTag/team', yes],
    ['s3:PutObject', 's3:RequestObjectTagKeys', yes],
    ['s3:PutObject', 's3:object-lock-mode', yes],
    ['s3:GetObject', 's3:object-lock-mode', no],
    ['s3:PutObjectRetention', 's3:object-lock-remaining-retention-days', yes],
    ['s3:CreateBucket', 's3:LocationConstraint', yes],
    ['sts:AssumeRole', 'sts:DurationSeconds', yes],
    ['s3:GetObject', 'sts:DurationSeconds', no],
    ['admin:CreateServiceAccount', 'svc:DurationSeconds', yes],
    ['admin:CreateUser', 'svc:DurationSeconds', no],
    ['admin:ServerInfo', 'aws:SourceIp', yes],
    ['kms:CreateKey', 'aws:username', yes],
    ['s3:GetObject', 'jwt:made-up', yes],
    ['s3:GetObject', 'jwt:https://example.org/team', yes],
    ['s3:GetObject', 'ldap:memberOf', yes],
    ['s3:GetObject', 'jwt:policy', no],
    ['s3:GetObject', 'jwt:exp', no],
    ['s3:GetObject', 'jwt:sessionPolicy', no],
    ['s3:GetObject', 'jwt:', no],
    ['s3:GetObject', 's3:ExistingObjectTag/', no],
    ['s3:GetObject', 's3:ExistingObjectTag', no],
    ['s3:GetObject', 'aws:MadeUp', no],
    ['s3:GetObject', 'username', no],
  ])('%s with %s: %s', (action, key, expected) => {
    expect(parses(action, key)).toBe(expected);
  });
});
