import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { hostSuffixes, parseQueryMap, parseTarget } from '../../../src/dispatch/target.js';
import { HeaderMap } from '../../../src/exchange/index.js';

const target = (rawPath: string, host = 'localhost:9000', domains: readonly string[] = []) =>
  parseTarget({ rawPath, headers: HeaderMap.from([['host', host]]) }, hostSuffixes(domains));

function codeOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return String(error.code);
    throw error;
  }
}

describe('path style', () => {
  it.each([
    ['/', '', ''],
    ['//', '', ''],
    ['/b', 'b', ''],
    ['/b/', 'b', ''],
    ['/b/k', 'b', 'k'],
    ['/b/k/', 'b', 'k/'],
    ['/b//', 'b', '/'],
    ['/b//k', 'b', '/k'],
    ['/b/a//b', 'b', 'a//b'],
    ['/b/../x', 'b', '../x'],
    ['/b/.', 'b', '.'],
    ['/b/%2e%2e', 'b', '..'],
    ['/b/a%2Fb', 'b', 'a/b'],
    ['/b/a+b', 'b', 'a+b'],
    ['/b/a%20b%25', 'b', 'a b%'],
    ['/b/%C3%A9%F0%9F%98%80', 'b', 'é😀'],
    ['/b/%01%1f', 'b', '\u0001\u001f'],
    ['//k', '', 'k'],
  ])('%s', (rawPath, bucket, key) => {
    expect(target(rawPath)).toEqual({ bucket, key, hostBucket: '' });
  });

  it.each([
    '/b/%00',
    '/b/a%00b',
    '/b%00/k',
    '/b/%',
    '/b/%2',
    '/b/%zz',
    '/b/%ff',
    '/b/%C3',
    '/b/%ED%A0%80',
    '/b/%C0%AF',
    'b/k',
    '',
  ])('refuses %s', (rawPath) => {
    expect(codeOf(() => target(rawPath))).toBe('InvalidURI');
  });

  it('bounds keys by their bytes, not their characters', () => {
    expect(target(`/b/${'k'.repeat(1023)}`).key).toHaveLength(1023);
    expect(target(`/b/${'k'.repeat(1024)}`).key).toHaveLength(1024);
    expect(codeOf(() => target(`/b/${'k'.repeat(1025)}`))).toBe('KeyTooLongError');
    const twoBytes = encodeURIComponent('é');
    expect(target(`/b/${twoBytes.repeat(512)}`).key).toHaveLength(512);
    expect(codeOf(() => target(`/b/${twoBytes.repeat(512)}k`))).toBe('KeyTooLongError');
  });

  it('gives back every key that a client encodes', () => {
    const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(key, (text) => {
        expect(target(`/bucket/${encodeURIComponent(text)}`)).toMatchObject({ bucket: 'bucket', key: text });
        // Slashes may come encoded or not.
        const readable = encodeURIComponent(text).replaceAll('%2F', '/');
        expect(target(`/bucket/${readable}`)).toMatchObject({ bucket: 'bucket', key: text });
      }),
    );
  });

  it('answers any path with a target or a refusal', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        const code = codeOf(() => target(`/${text}`));
        expect([null, 'InvalidURI', 'KeyTooLongError']).toContain(code);
      }),
    );
  });
});

describe('virtual-host style', () => {
  const domains = ['s3.example.org', 'Other.Test'];

  it.each([
    ['/', 'photos.s3.example.org', 'photos', ''],
    ['/k', 'photos.s3.example.org:9000', 'photos', 'k'],
    ['//k', 'PHOTOS.S3.example.org', 'photos', '/k'],
    ['/a/b', 'my.dotted.other.test', 'my.dotted', 'a/b'],
    ['/photos/k', 's3.example.org', 'photos', 'k'],
    ['/photos/k', 's3.example.org:9000', 'photos', 'k'],
    ['/photos/k', 'xs3.example.org', 'photos', 'k'],
    ['/photos/k', '', 'photos', 'k'],
    ['/photos/k', '[::1]:9000', 'photos', 'k'],
  ])('%s on %s', (rawPath, host, bucket, key) => {
    expect(target(rawPath, host, domains)).toMatchObject({ bucket, key });
  });

  it('is told apart: SigV2 signs the bucket of the host with the path', () => {
    expect(target('/k', 'Photos.s3.example.org:9000', domains).hostBucket).toBe('photos');
    expect(target('/photos/k', 's3.example.org', domains).hostBucket).toBe('');
  });

  it('needs a configured domain', () => {
    expect(target('/a/b', 'photos.s3.example.org')).toMatchObject({ bucket: 'a', key: 'b', hostBucket: '' });
  });
});

describe('query', () => {
  it('is decoded, first value first', () => {
    const query = parseQueryMap('acl&prefix=a%2Fb+c&prefix=x&empty=');
    expect([...query]).toEqual([
      ['acl', ''],
      ['prefix', 'a/b c'],
      ['empty', ''],
    ]);
    expect(parseQueryMap('').size).toBe(0);
  });
});
