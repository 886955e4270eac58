import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { scrapeCredential, type Credential } from '../../../src/identity/index.js';

const nowMs = 1_800_000_000_000;
const nowSeconds = nowMs / 1000;
const principal = { kind: 'anonymous' } as const;
const ann: Credential = { accessKey: 'ann', secretKey: 'secret-of-ann', sessionToken: null, principal };
const session: Credential = { ...ann, accessKey: 'temporary', sessionToken: 'token' };
const credentials = { lookup: (name: string) => [ann, session].find(({ accessKey }) => accessKey === name) ?? null };
const claims = { exp: nowSeconds + 60, sub: 'ann', iss: 'prometheus' };

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
function token(payload: unknown, { alg = 'HS512', hash = 'sha512', secret = ann.secretKey } = {}): string {
  const signed = `${encode({ alg, typ: 'JWT' })}.${encode(payload)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}
const accepted = (text: string) => scrapeCredential(text, credentials, nowMs)?.accessKey ?? null;

describe('a scrape token', () => {
  test.each([
    ['HS256', 'sha256'],
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
  ])('signed with %s by the secret of its account is accepted', (alg, hash) => {
    expect(accepted(token(claims, { alg, hash }))).toBe('ann');
  });

  test('may name the account in accessKey, which wins over sub', () => {
    expect(accepted(token({ ...claims, accessKey: 'ann', sub: 'somebody' }))).toBe('ann');
    expect(accepted(token({ ...claims, accessKey: 'somebody' }))).toBeNull();
  });

  test.each<[string, string]>([
    ['another secret', token(claims, { secret: 'other' })],
    ['no signature', `${token(claims).split('.').slice(0, 2).join('.')}.`],
    ['the algorithm none', `${encode({ alg: 'none' })}.${encode(claims)}.`],
    ['an algorithm by another name', token(claims, { alg: 'constructor' })],
    ['an algorithm that is not the one of its signature', token(claims, { alg: 'HS256' })],
    ['an account that is not there', token({ ...claims, sub: 'bob' })],
    ['no account', token({ ...claims, sub: undefined })],
    ['another issuer', token({ ...claims, iss: 'somebody' })],
    ['no issuer', token({ ...claims, iss: undefined })],
    ['an end that has passed', token({ ...claims, exp: nowSeconds })],
    ['no end', token({ ...claims, exp: undefined })],
    ['an end that is no number', token({ ...claims, exp: '9999999999' })],
    ['a beginning that is to come', token({ ...claims, nbf: nowSeconds + 1 })],
    ['a session', token({ ...claims, sub: 'temporary' })],
    ['one part too many', `${token(claims)}.x`],
    ['more than a header may hold', token({ ...claims, x: 'x'.repeat(9000) })],
    ['claims that are no object', token([])],
    ['no JSON', 'a.b.c'],
    ['nothing', ''],
  ])('with %s is not', (_what, text) => {
    expect(accepted(text)).toBeNull();
  });

  test('changed anywhere is not', () => {
    const good = token(claims);
    for (let index = 0; index < good.length - 2; index += 7) {
      const other = good[index] === 'A' ? 'B' : 'A';
      expect(accepted(good.slice(0, index) + other + good.slice(index + 1))).toBeNull();
    }
  });
});
