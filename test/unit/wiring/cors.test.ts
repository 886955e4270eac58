import { describe, expect, test } from 'vitest';
import type { ExchangeHandler } from '../../../src/exchange/index.js';
import { withCors } from '../../../src/wiring/cors.js';
import { exchange } from '../../support/exchange.js';

let reached = 0;
const inner: ExchangeHandler = () => {
  reached++;
  return { status: 200, headers: [['ETag', '"x"']], body: { kind: 'empty' } };
};
const ask = (origins: readonly string[], headers: Record<string, string>, method = 'GET') =>
  exchange(
    withCors(inner, () => origins),
    { target: '/b/k', method, headers },
  );

describe('an origin', () => {
  test.each([
    ['*', 'https://any.example', true],
    ['https://a.example', 'https://a.example', true],
    ['https://a.example', 'HTTPS://A.example', true],
    ['https://a.example', 'https://b.example', false],
    ['https://a.example', 'https://a.example.evil', false],
    ['https://a.example', 'http://a.example', false],
    ['https://*.example', 'https://deep.a.example', true],
    ['https://*.example', 'https://example', false],
    ['http://localhost:*', 'http://localhost:3000', true],
    ['http://a*b*c', 'http://a-b-c', true],
    ['http://a*b*b', 'http://ab', false],
  ])('%s allows %s: %s', async (pattern, origin, isAllowed) => {
    const { headers } = await ask([pattern], { origin });
    const expected = pattern === '*' ? '*' : origin;
    expect(headers['access-control-allow-origin']).toBe(isAllowed ? expected : undefined);
    // Never for any origin together with what a browser adds by itself.
    expect(headers['access-control-allow-credentials']).toBe(isAllowed && pattern !== '*' ? 'true' : undefined);
    expect(headers['etag']).toBe('"x"');
  });

  test('that is not there changes nothing', async () => {
    expect((await ask(['*'], {})).headers).toEqual({ etag: '"x"' });
  });

  test('with none allowed, answers go out without a word', async () => {
    expect((await ask([], { origin: 'https://a.example' })).headers).toEqual({ etag: '"x"' });
  });
});

describe('a preflight', () => {
  const preflight = { origin: 'https://a.example', 'access-control-request-method': 'PUT' };

  test('is answered without the operation', async () => {
    reached = 0;
    const answer = await ask(
      ['https://a.example'],
      { ...preflight, 'access-control-request-headers': 'x-amz-date, range' },
      'OPTIONS',
    );
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-headers': 'x-amz-date, range',
      'access-control-max-age': '600',
    });
    expect(answer.headers['access-control-allow-methods']).toContain('PUT');
    expect(reached).toBe(0);
  });

  test('of a foreign origin says nothing that allows anything', async () => {
    const { status, headers } = await ask(['https://b.example'], preflight, 'OPTIONS');
    expect(status).toBe(204);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  test('does not repeat headers that are none', async () => {
    const asked = { ...preflight, 'access-control-request-headers': 'a\u00e9b' };
    const { headers } = await ask(['*'], asked, 'OPTIONS');
    expect(headers['access-control-allow-headers']).toBeUndefined();
  });

  test('without the method is an ordinary OPTIONS', async () => {
    reached = 0;
    await ask(['*'], { origin: 'https://a.example' }, 'OPTIONS');
    expect(reached).toBe(1);
  });
});
