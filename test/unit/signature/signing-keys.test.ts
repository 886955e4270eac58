import { describe, expect, it } from 'vitest';
import { SigningKeyCache } from '../../../src/signature/signing-keys.js';

const entry = (secretKey: string) => ({ secretKey, signingKey: Buffer.from(`key of ${secretKey}`) });

describe('the cache of signing keys', () => {
  it('finds what it remembers, for the same secret only', () => {
    const cache = new SigningKeyCache(2);
    cache.remember('a', entry('one'));
    expect(cache.find('a', 'one')).toEqual(Buffer.from('key of one'));
    expect(cache.find('a', 'two')).toBeNull();
    expect(cache.find('b', 'one')).toBeNull();
    cache.remember('a', entry('two'));
    expect(cache.find('a', 'two')).toEqual(Buffer.from('key of two'));
    expect(cache.size).toBe(1);
  });

  it('holds no more than its bound, and drops what was unused for longest', () => {
    const cache = new SigningKeyCache(3);
    for (const key of ['a', 'b', 'c']) cache.remember(key, entry(key));
    expect(cache.find('a', 'a')).not.toBeNull();
    cache.remember('d', entry('d'));
    expect(cache.size).toBe(3);
    expect(cache.find('b', 'b')).toBeNull();
    for (const key of ['a', 'c', 'd']) expect(cache.find(key, key)).not.toBeNull();
  });
});
