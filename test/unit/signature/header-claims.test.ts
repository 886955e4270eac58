import { describe, expect, it } from 'vitest';
import { limits } from '../../../src/base/index.js';
import { HeaderClaimsCache, claimsOf } from '../../../src/signature/header-claims.js';

const scope = { accessKey: 'AK', date: '20260101', region: 'eu-1', service: 's3', terminator: 'aws4_request' };

function reader() {
  const cache = new HeaderClaimsCache();
  const start = 'ALGORITHM ';
  let parses = 0;
  const read = (text: string, context = { service: 's3', region: 'eu-1' }) => {
    const known = cache.recall(start + text, context);
    return known ?? parsed(text, context);
  };
  const parsed = (text: string, context: { service: string; region: string }) =>
    cache.read(text, start, context, (whole) => {
      parses++;
      if (whole.includes('wrong')) throw new Error('wrong');
      return { claims: claimsOf(scope, ['host']), signature: 'parsed' };
    });
  return { read, parses: () => parses };
}

describe('claims of Authorization headers', () => {
  it('are parsed once for all signatures behind them', () => {
    const { read, parses } = reader();
    expect(read('Credential=a, SignedHeaders=host, Signature=1').signature).toBe('parsed');
    const again = read('Credential=a, SignedHeaders=host, Signature= 2 ');
    expect(again.signature).toBe('2');
    expect(again.claims).toMatchObject({ scopeLine: '20260101/eu-1/s3/aws4_request', signedHeaders: ['host'] });
    expect(again.claims.keyName).toBe('AK/20260101/eu-1/s3/aws4_request');
    expect(parses()).toBe(1);
  });

  it('of clients that take turns stay apart, whatever is behind the signature', () => {
    const { read, parses } = reader();
    const text = (name: string, signature: string) => `Credential=${name}, SignedHeaders=host, Signature=${signature}`;
    const [x, y] = ['x'.repeat(64), 'y'.repeat(64)];
    for (const name of ['a', 'b']) read(text(name, x));
    for (const name of ['a', 'a', 'b', 'a', 'b', 'b']) {
      expect(read(text(name, y)).signature).toBe(y);
      expect(read(text(name, ` ${'z'.repeat(63)}`)).signature.trim()).toBe('z'.repeat(63));
    }
    expect(parses()).toBe(2);
    read(text('b', y), { service: 's3', region: '' });
    expect(parses()).toBe(3);
  });

  it('are parsed anew in another context, in another order, and when something follows the signature', () => {
    const { read, parses } = reader();
    const text = 'Credential=a, SignedHeaders=host, Signature=1';
    read(text);
    read(text, { service: 's3', region: '' });
    read('Signature=1, Credential=a, SignedHeaders=host');
    read('Signature=1, Credential=a, SignedHeaders=host');
    read(`${text}, Credential=b`);
    read(`${text}, Credential=b`);
    expect(parses()).toBe(6);
  });

  it('are refused each time when they are wrong', () => {
    const { read, parses } = reader();
    for (let time = 0; time < 3; time++) expect(() => read('Credential=wrong, Signature=1')).toThrow('wrong');
    expect(parses()).toBe(3);
  });

  it('are kept within bounds of number and length', () => {
    const { read, parses } = reader();
    for (let index = 0; index <= limits.headerClaimsMax; index++) read(`Credential=${index}, Signature=1`);
    read('Credential=0, Signature=1');
    expect(parses()).toBe(limits.headerClaimsMax + 2);
    const long = `Credential=${'x'.repeat(limits.headerClaimsCharsMax)}, Signature=1`;
    read(long);
    read(long);
    expect(parses()).toBe(limits.headerClaimsMax + 4);
  });
});
