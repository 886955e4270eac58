import { describe, expect, test } from 'vitest';
import { isAllowed, policy } from '../../support/policy-requests.js';

/** `${…}` in resources and values: substituted as text, which never becomes a pattern. */
const yes = true;
const no = false;
type Values = Readonly<Record<string, string | readonly string[]>>;

describe('in resources', () => {
  test.each<readonly [path: string, trusted: Values, key: string, expected: boolean]>([
    ['home/${aws:username}/*', {}, 'home/alice/a', yes],
    ['home/${aws:username}/*', {}, 'home/bob/a', no],
    ['home/${AWS:UserName}/*', {}, 'home/alice/a', yes],
    ['home/${aws:userid}/*', {}, 'home/alice/a', yes],
    ['${aws:username}${aws:username}', {}, 'alicealice', yes],
    ['${jwt:sub}/*', { 'jwt:sub': 'u1' }, 'u1/a', yes],
    ['${jwt:sub}/*', { 'jwt:sub': 'u1' }, 'u2/a', no],
    ['${jwt:Preferred_Username}/*', { 'jwt:preferred_username': 'al' }, 'al/a', yes],
    ['${jwt:https://example.org/team}/*', { 'jwt:https://example.org/team': 't' }, 't/a', yes],
    ['${ldap:user}/*', { 'ldap:user': 'cn=al,dc=x' }, 'cn=al,dc=x/a', yes],
    // The first of several.
    ['${jwt:groups}/*', { 'jwt:groups': ['a', 'b'] }, 'a/k', yes],
    ['${jwt:groups}/*', { 'jwt:groups': ['a', 'b'] }, 'b/k', no],
    // Absent or empty: left as it is spelled, which is the name of no object that anybody meant.
    ['${jwt:sub}/*', {}, 'anything/a', no],
    ['${jwt:sub}/*', {}, '/a', no],
    ['${jwt:sub}/*', { 'jwt:sub': '' }, '/a', no],
    ['${jwt:sub}/*', {}, '${jwt:sub}/a', yes],
    ["${jwt:sub, 'guest'}/*", {}, 'guest/a', yes],
    ["${jwt:sub,'guest'}/*", { 'jwt:sub': 'u1' }, 'u1/a', yes],
    ["${jwt:sub, 'guest'}/*", { 'jwt:sub': 'u1' }, 'guest/a', no],
    ["${jwt:sub, ''}x/*", {}, 'x/a', yes],
    // What is substituted is text.
    ['${jwt:sub}/*', { 'jwt:sub': '*' }, 'u1/a', no],
    ['${jwt:sub}/*', { 'jwt:sub': '*' }, '*/a', yes],
    ['${jwt:sub}/*', { 'jwt:sub': 'u?' }, 'u1/a', no],
    ['${jwt:sub}/*', { 'jwt:sub': 'u?' }, 'u?/a', yes],
    ["${jwt:sub, '*'}/*", {}, 'u1/a', no],
    ['${jwt:sub}/*', { 'jwt:sub': '${aws:username}' }, 'alice/a', no],
    ['${jwt:sub}/*', { 'jwt:sub': '${aws:username}' }, '${aws:username}/a', yes],
    // The characters themselves.
    ['a${*}b', {}, 'a*b', yes],
    ['a${*}b', {}, 'aXb', no],
    ['a${?}b', {}, 'a?b', yes],
    ['a${?}b', {}, 'aXb', no],
    ['a${$}{x}', {}, 'a${x}', yes],
    // What is no variable.
    ['${made:up}', {}, '${made:up}', yes],
    ['${jwt:exp}', { 'jwt:exp': '1' }, '1', no],
    ['${aws:username', {}, '${aws:username', yes],
    ['$aws:username', {}, '$aws:username', yes],
    ['${}', {}, '${}', yes],
    ['x${aws:username}*', {}, 'xalice-and-more', yes],
    ['*${aws:username}*y', {}, '--alice--y', yes],
    ['?${aws:username}', {}, 'xalice', yes],
    ['?${aws:username}', {}, 'alice', no],
  ])('%s with %j covers %s: %s', (path, trusted, key, expected) => {
    const identity = [
      policy('identity', { Effect: 'Allow', Action: 's3:GetObject', Resource: `arn:aws:s3:::b/${path}` }),
    ];
    expect(isAllowed({ action: 's3:GetObject', on: `b/${key}`, trusted }, { identity })).toBe(expected);
  });

  test('of a bucket', () => {
    const identity = [
      policy('identity', { Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::${aws:username}-*' }),
    ];
    const ask = (account: string, on: string) => isAllowed({ action: 's3:ListBucket', on, account }, { identity });
    expect([ask('alice', 'alice-1'), ask('bob', 'alice-1'), ask('*', 'alice-1')]).toEqual([true, false, false]);
  });

  test('of a denial', () => {
    const identity = [
      policy('identity', { Effect: 'Allow', Action: 's3:*', Resource: '*' }),
      policy('identity', { Effect: 'Deny', Action: 's3:*', NotResource: 'arn:aws:s3:::b/${aws:username}/*' }),
    ];
    const ask = (account: string, on: string) => isAllowed({ action: 's3:GetObject', on, account }, { identity });
    expect([ask('alice', 'b/alice/k'), ask('alice', 'b/bob/k'), ask('*', 'b/bob/k')]).toEqual([true, false, false]);
  });
});

describe('in values', () => {
  test.each<readonly [operator: string, value: string, prefix: string, expected: boolean]>([
    ['StringEquals', 'home/${aws:username}', 'home/alice', yes],
    ['StringEquals', 'home/${aws:username}', 'home/bob', no],
    ['StringEquals', '${aws:username}*', 'alice*', yes],
    ['StringEquals', '${aws:username}*', 'alice1', no],
    ['StringEquals', '${*}', '*', yes],
    ['StringEqualsIgnoreCase', '${aws:username}', 'ALICE', yes],
    ['StringLike', 'home/${aws:username}/*', 'home/alice/x', yes],
    ['StringLike', 'home/${aws:username}/*', 'home/bob/x', no],
    ['StringNotEquals', '${aws:username}', 'alice', no],
    ['StringNotLike', '${aws:username}*', 'bob', yes],
    ['StringLike', '${jwt:sub}*', 'anything', no],
  ])('%s %s, given %s: %s', (operator, value, prefix, expected) => {
    const Condition = { [operator]: { 's3:prefix': value } };
    const identity = [policy('identity', { Effect: 'Allow', Action: 's3:ListBucket', Resource: '*', Condition })];
    const asked = { action: 's3:ListBucket', on: 'b', request: { 's3:prefix': prefix } };
    expect(isAllowed(asked, { identity })).toBe(expected);
  });

  test('of an ARN, where the colon in a name is none of the ARN', () => {
    const Condition = { ArnEquals: { 'jwt:role': 'arn:aws:iam::${jwt:tenant}:role/x' } };
    const identity = [policy('identity', { Effect: 'Allow', Action: 's3:GetObject', Resource: '*', Condition })];
    const ask = (role: string) =>
      isAllowed({ action: 's3:GetObject', on: 'b/k', trusted: { 'jwt:tenant': '7', 'jwt:role': role } }, { identity });
    expect([ask('arn:aws:iam::7:role/x'), ask('arn:aws:iam::8:role/x')]).toEqual([true, false]);
  });

  test('of an anonymous caller, who has no name', () => {
    const Condition = { StringEquals: { 's3:prefix': '${aws:username}' } };
    const bucket = policy('bucket', {
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:ListBucket',
      Resource: '*',
      Condition,
    });
    const ask = (prefix: string) =>
      isAllowed({ action: 's3:ListBucket', on: 'b', account: '', request: { 's3:prefix': prefix } }, { bucket });
    expect([ask(''), ask('alice'), ask('${aws:username}')]).toEqual([false, false, true]);
  });
});
