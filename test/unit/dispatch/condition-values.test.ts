import { describe, expect, test } from 'vitest';
import { conditionValues } from '../../../src/dispatch/condition-values.js';
import { HeaderMap } from '../../../src/exchange/index.js';
import type { Principal } from '../../../src/identity/index.js';
import type { Authentication } from '../../../src/signature/index.js';
import { exchangeRequest } from '../../support/exchange.js';

/** What policies see of a request; above all, what a client cannot make them see. */
const nowMs = Date.UTC(2026, 10, 24, 3, 0, 0, 500);

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly principal?: Principal;
  readonly authentication?: Authentication;
  readonly known?: Readonly<Record<string, readonly string[]>>;
  /** Of a form. */
  readonly fields?: Readonly<Record<string, string>>;
}

type Kind = Exclude<Principal['kind'], 'anonymous'>;
const who = (kind: Kind, more: Partial<Exclude<Principal, { kind: 'anonymous' }>> = {}): Principal => ({
  accessKey: 'key',
  account: 'alice',
  source: 'internal',
  claims: new Map(),
  groups: [],
  ...more,
  kind,
});
const signed = (kind: Exclude<Authentication['kind'], 'anonymous'>): Authentication => ({
  kind,
  accessKey: 'key',
  region: 'us-east-1',
  signedAtMs: nowMs - 1500,
  payload: { kind: 'unsigned' },
});

function values({
  headers = {},
  query = {},
  principal = who('user'),
  authentication = signed('header-v4'),
  known = {},
  fields,
}: Asked) {
  const request = {
    ...exchangeRequest({ method: 'GET', target: '/b/k' }),
    headers: HeaderMap.from(Object.entries(headers)),
    remoteAddress: '10.1.2.3',
    secure: true,
  };
  const call = { request, bucket: 'b', key: 'k', query: new Map(Object.entries(query)) };
  const shown = fields === undefined ? request.headers : HeaderMap.from(Object.entries(fields));
  return conditionValues({ call, headers: shown, principal, authentication, known, clock: { nowMs: () => nowMs } });
}

describe('what the server knows', () => {
  test.each([
    ['aws:sourceip', ['10.1.2.3']],
    ['aws:securetransport', ['true']],
    ['aws:currenttime', ['2026-11-24T03:00:00.500Z']],
    ['aws:epochtime', ['1795489200']],
    ['aws:username', ['alice']],
    ['aws:userid', ['alice']],
    ['aws:principaltype', ['User']],
    ['s3:authtype', ['REST-HEADER']],
    ['s3:signatureversion', ['AWS4-HMAC-SHA256']],
    ['s3:signatureage', ['1500']],
    ['aws:nothing', undefined],
  ])('%s', (name, expected) => {
    expect(values({}).trusted(name)).toEqual(expected);
  });

  test.each<readonly [kind: Exclude<Authentication['kind'], 'anonymous'>, type: string, version: string]>([
    ['header-v4', 'REST-HEADER', 'AWS4-HMAC-SHA256'],
    ['header-v2', 'REST-HEADER', 'AWS'],
    ['presigned-v4', 'REST-QUERY-STRING', 'AWS4-HMAC-SHA256'],
    ['presigned-v2', 'REST-QUERY-STRING', 'AWS'],
    ['form-v4', 'POST', 'AWS4-HMAC-SHA256'],
    ['form-v2', 'POST', 'AWS'],
  ])('signed by %s', (kind, type, version) => {
    const { trusted } = values({ authentication: signed(kind) });
    expect([trusted('s3:authtype'), trusted('s3:signatureversion')]).toEqual([[type], [version]]);
  });

  test('of nobody who signed', () => {
    const { trusted } = values({
      principal: { kind: 'anonymous' },
      authentication: { kind: 'anonymous', payload: { kind: 'unsigned' } },
    });
    expect(trusted('aws:principaltype')).toEqual(['Anonymous']);
    for (const name of ['aws:username', 'aws:userid', 'aws:groups', 's3:authtype', 's3:signatureage', 'jwt:sub']) {
      expect(trusted(name)).toBeUndefined();
    }
  });

  test.each<readonly [type: string, principal: Principal]>([
    ['User', who('user')],
    ['User', who('service-account')],
    ['AssumedRole', who('service-account', { source: 'openid', claims: new Map([['sub', 'x']]) })],
    ['AssumedRole', who('temporary')],
    ['Account', who('root', { source: 'root' })],
    ['Account', who('temporary', { source: 'root' })],
  ])('the type %s', (type, principal) => {
    expect(values({ principal }).trusted('aws:principaltype')).toEqual([type]);
  });
});

describe('claims', () => {
  const claims = new Map<string, string | number | boolean | readonly string[]>([
    ['sub', 'u1'],
    ['Team', ['a', 'b']],
    ['level', 7],
    ['isBoss', true],
    ['policy', 'consoleAdmin'],
    ['exp', 1],
  ]);
  test('of a token are jwt: keys, in any case; reserved ones are none', () => {
    const { trusted } = values({ principal: who('temporary', { source: 'openid', claims, groups: ['g'] }) });
    expect(trusted('jwt:sub')).toEqual(['u1']);
    expect(trusted('jwt:team')).toEqual(['a', 'b']);
    expect(trusted('jwt:level')).toEqual(['7']);
    expect(trusted('jwt:isboss')).toEqual(['true']);
    expect(trusted('aws:groups')).toEqual(['g']);
    for (const name of ['jwt:policy', 'jwt:exp', 'ldap:sub', 'jwt:absent']) expect(trusted(name)).toBeUndefined();
  });

  test('of a directory are ldap: keys', () => {
    const ldap = new Map<string, string | readonly string[]>([
      ['ldapUser', 'cn=al,dc=x'],
      ['ldapUsername', 'al'],
      ['ldapAttrib_mail', ['al@x', 'al@y']],
    ]);
    const { trusted } = values({
      principal: who('temporary', { source: 'ldap', claims: ldap, groups: ['cn=g,dc=x'] }),
    });
    expect(trusted('ldap:user')).toEqual(['cn=al,dc=x']);
    expect(trusted('ldap:username')).toEqual(['al']);
    expect(trusted('ldap:mail')).toEqual(['al@x', 'al@y']);
    expect(trusted('ldap:groups')).toEqual(['cn=g,dc=x']);
    expect(trusted('jwt:user')).toBeUndefined();
  });
});

describe('what the request says', () => {
  test.each<readonly [name: string, asked: Asked, expected: readonly string[] | undefined]>([
    ['aws:referer', { headers: { referer: 'http://x/' } }, ['http://x/']],
    ['aws:useragent', { headers: { 'user-agent': 'curl' } }, ['curl']],
    ['s3:prefix', { query: { prefix: 'a/' } }, ['a/']],
    ['s3:prefix', { query: { prefix: '' } }, ['']],
    ['s3:prefix', {}, undefined],
    ['s3:prefix', { headers: { prefix: 'a/' } }, undefined],
    ['s3:delimiter', { query: { delimiter: '/' } }, ['/']],
    ['s3:max-keys', { query: { 'max-keys': '7' } }, ['7']],
    ['s3:versionid', { query: { versionId: 'v' } }, ['v']],
    ['s3:x-amz-storage-class', { headers: { 'x-amz-storage-class': 'STANDARD' } }, ['STANDARD']],
    ['s3:x-amz-storage-class', { query: { 'x-amz-storage-class': 'STANDARD' } }, undefined],
    ['s3:object-lock-mode', { headers: { 'x-amz-object-lock-mode': 'GOVERNANCE' } }, ['GOVERNANCE']],
    ['s3:requestobjecttag/team', { headers: { 'x-amz-tagging': 'team=a%20b&c=d' } }, ['a b']],
    ['s3:requestobjecttag/x', { headers: { 'x-amz-tagging': 'team=a' } }, undefined],
    ['s3:requestobjecttagkeys', { headers: { 'x-amz-tagging': 'team=a&c=d' } }, ['team', 'c']],
    ['s3:requestobjecttagkeys', {}, undefined],
    ['s3:locationconstraint', { headers: { locationconstraint: 'x' } }, undefined],
  ])('%s of %j', (name, asked, expected) => {
    expect(values(asked).request(name)).toEqual(expected);
  });
});

test('no header and no parameter sets what the server knows', () => {
  const names = ['username', 'userid', 'groups', 'SourceIp', 'CurrentTime', 'principaltype', 'SecureTransport', 'sub']
    .concat('signatureAge', 'authType', 'aws:username', 'jwt:sub', 'X-Forwarded-For')
    .map((name) => [name.toLowerCase(), 'forged'] as const);
  const forged = values({ headers: Object.fromEntries(names), query: Object.fromEntries(names) });
  const honest = values({});
  for (const name of ['aws:username', 'aws:userid', 'aws:groups', 'aws:sourceip', 'aws:currenttime', 'jwt:sub'].concat(
    's3:signatureage',
    's3:authtype',
    'aws:principaltype',
    'aws:securetransport',
  )) {
    expect(forged.trusted(name)).toEqual(honest.trusted(name));
    expect(forged.request(name)).toBeUndefined();
  }
});

test('what the operation knows stands above headers, query and the rest', () => {
  const known = { 's3:x-amz-copy-source': ['b/k'], 's3:versionid': [], 's3:existingobjecttag/a': ['1'] };
  const { trusted, request } = values({ known, headers: { 'x-amz-copy-source': '/%62/k' }, query: { versionId: 'v' } });
  expect(request('s3:x-amz-copy-source')).toEqual(['b/k']);
  expect(request('s3:versionid')).toEqual([]);
  expect(trusted('s3:existingobjecttag/a')).toEqual(['1']);
});

test('of a form the fields count, and not the headers of S3 beside it', () => {
  const headers = { 'x-amz-storage-class': 'STANDARD', 'x-amz-tagging': 'a=1', referer: 'http://x/' };
  const { request } = values({ headers, fields: { 'x-amz-storage-class': 'REDUCED_REDUNDANCY' } });
  expect(request('s3:x-amz-storage-class')).toEqual(['REDUCED_REDUNDANCY']);
  expect(request('s3:requestobjecttag/a')).toBeUndefined();
  expect(request('aws:referer')).toEqual(['http://x/']);
});
