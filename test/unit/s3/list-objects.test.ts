import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { listObjectsV1, listObjectsV2 } from '../../../src/s3/list-objects.js';
import { compareKeys } from '../../support/memory-object-layer.js';
import { DocumentFixture, errorCode, readXml, text, texts, type Element } from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
});

const versions = [
  ['V1', listObjectsV1, ''],
  ['V2', listObjectsV2, 'list-type=2&'],
] as const;

async function listing(version: (typeof versions)[number], query: string): Promise<Element> {
  const answer = await fixture.send<unknown>(version[1], { target: `/bucket?${version[2]}${query}` });
  expect(answer.text).toContain('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
  expect(answer).toMatchObject({ status: 200 });
  expect(answer.headers.get('content-type')).toBe('application/xml');
  return readXml(answer.text);
}

const codeOf = async (version: (typeof versions)[number], query: string, target = '/bucket') =>
  errorCode(await fixture.send<unknown>(version[1], { target: `${target}?${version[2]}${query}` }));

const names = (root: Element) => root.children.map(({ name }) => name);

describe.each(versions.map((version) => ({ label: version[0], version })))('List $label', ({ version }) => {
  test('an empty bucket', async () => {
    const root = await listing(version, '');
    expect(text(root, 'Name')).toBe('bucket');
    expect(text(root, 'Prefix')).toBe('');
    expect(text(root, 'MaxKeys')).toBe('1000');
    expect(text(root, 'IsTruncated')).toBe('false');
    expect(names(root)).not.toContain('Contents');
    expect(names(root)).not.toContain('Delimiter');
    expect(names(root)).not.toContain('EncodingType');
  });

  test('an entry', async () => {
    await fixture.put('a/b.txt', 'hello');
    const [entry] = (await listing(version, 'fetch-owner=true')).children.filter(({ name }) => name === 'Contents');
    const values = Object.fromEntries(
      entry!.children.map((child) => [child.name, child.text || texts(child, 'ID')[0]]),
    );
    expect(values).toEqual({
      Key: 'a/b.txt',
      LastModified: '2026-11-24T02:40:00.007Z',
      ETag: '"5d41402abc4b2a76b9719d911017c592"',
      Size: '5',
      Owner: 'f'.repeat(64),
      StorageClass: 'STANDARD',
    });
  });

  test('order is that of the bytes, also beyond the basic plane', async () => {
    const keys = ['\uffee', '\u{10000}', 'Z', 'a', '\u00e9', 'a/', 'a-b', 'a0'];
    for (const key of keys) await fixture.put(key);
    expect(texts(await listing(version, ''), 'Contents/Key')).toEqual([
      'Z',
      'a',
      'a-b',
      'a/',
      'a0',
      '\u00e9',
      '\uffee',
      '\u{10000}',
    ]);
  });

  test('prefix and delimiter', async () => {
    for (const key of ['a', 'd/1', 'd/2/x', 'd/2/y', 'd/3', 'e/1']) await fixture.put(key);
    const root = await listing(version, 'prefix=d/&delimiter=/');
    expect(texts(root, 'Contents/Key')).toEqual(['d/1', 'd/3']);
    expect(texts(root, 'CommonPrefixes/Prefix')).toEqual(['d/2/']);
    expect([text(root, 'Prefix'), text(root, 'Delimiter')]).toEqual(['d/', '/']);
  });

  test('a delimiter of several characters', async () => {
    for (const key of ['1::2::3', '1::9', '1:2', '4']) await fixture.put(key);
    const root = await listing(version, 'delimiter=%3A%3A');
    expect(texts(root, 'Contents/Key')).toEqual(['1:2', '4']);
    expect(texts(root, 'CommonPrefixes/Prefix')).toEqual(['1::']);
  });

  test('encoding-type=url', async () => {
    const key = 'd ir/a+b~\u0001\u00e9&<';
    await fixture.put(key);
    await fixture.put('d ir|x y|z');
    const root = await listing(version, 'encoding-type=url&prefix=d%20&delimiter=%7C&marker=%20m&start-after=%20m');
    expect(text(root, 'EncodingType')).toBe('url');
    expect(texts(root, 'Contents/Key')).toEqual(['d+ir/a%2Bb%7E%01%C3%A9%26%3C']);
    expect(texts(root, 'CommonPrefixes/Prefix')).toEqual(['d+ir%7C']);
    expect([text(root, 'Prefix'), text(root, 'Delimiter')]).toEqual(['d+', '%7C']);
    expect(text(root, version[0] === 'V1' ? 'Marker' : 'StartAfter')).toBe('+m');
    expect(texts(await listing(version, 'prefix=d%20'), 'Contents/Key')).toContain(key);
  });

  test('max-keys: 0, 1, 999, 1000, 1001, clamped', async () => {
    for (let index = 0; index < 1001; index++) await fixture.put(`k${String(index).padStart(4, '0')}`, '');
    for (const [asked, count] of [
      ['0', 0],
      ['1', 1],
      ['999', 999],
      ['1000', 1000],
      ['1001', 1000],
      ['2147483647', 1000],
      ['', 1000],
    ] as const) {
      const root = await listing(version, `max-keys=${asked}`);
      expect(texts(root, 'Contents/Key')).toHaveLength(count);
      expect(text(root, 'MaxKeys')).toBe(String(asked === '' ? 1000 : Math.min(Number(asked), 1000)));
      expect(text(root, 'IsTruncated')).toBe(String(count > 0));
    }
  });

  test('checksum of an entry', async () => {
    const upload = fixture.objects.openUpload({
      bucket: 'bucket',
      key: 'c',
      bytes: 0,
      sha256: false,
      checksum: null,
      signedStream: null,
      storageClass: 'STANDARD',
    });
    await upload.finish();
    const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' } as const;
    await upload.commitObject({
      metadata: { headers: {}, storageClass: 'REDUCED_REDUNDANCY' },
      checksum,
      precondition: null,
    });
    const root = await listing(version, '');
    expect(text(root, 'Contents/ChecksumAlgorithm')).toBe('CRC32');
    expect(text(root, 'Contents/ChecksumType')).toBe('FULL_OBJECT');
    expect(text(root, 'Contents/StorageClass')).toBe('REDUCED_REDUNDANCY');
  });

  test.each([
    'max-keys=-1',
    'max-keys=1.5',
    'max-keys=x',
    'max-keys=2147483648',
    'max-keys=99999999999',
    'encoding-type=xml',
  ])('refuses %s', async (query) => {
    expect(await codeOf(version, query)).toBe('InvalidArgument');
  });

  test('names of 1,023 and 1,024 bytes; 1,025 is too long', async () => {
    for (const name of ['prefix', 'delimiter', version[0] === 'V1' ? 'marker' : 'start-after']) {
      for (const length of [1023, 1024]) await listing(version, `${name}=${'n'.repeat(length)}`);
      expect(await codeOf(version, `${name}=${'n'.repeat(1025)}`)).toBe('KeyTooLongError');
      expect(await codeOf(version, `${name}=${'%C3%A9'.repeat(513)}`)).toBe('KeyTooLongError');
    }
  });

  test('no such bucket, also when nothing is asked for', async () => {
    expect(await codeOf(version, '', '/nowhere')).toBe('NoSuchBucket');
    expect(await codeOf(version, 'max-keys=0', '/nowhere')).toBe('NoSuchBucket');
  });

  test('needs s3:ListBucket', async () => {
    const asked: unknown[] = [];
    const answer = await fixture.send<unknown>(version[1], {
      target: `/bucket?${version[2]}`,
      isAllowed: (permission) => asked.push(permission) === 0,
    });
    expect(answer.status).toBe(403);
    expect(asked).toEqual([{ action: 's3:ListBucket', bucket: 'bucket', key: '' }]);
  });
});

describe('V1', () => {
  test('markers', async () => {
    for (const key of ['a', 'b', 'c']) await fixture.put(key);
    const first = await listing(versions[0], 'max-keys=2');
    expect([text(first, 'Marker'), text(first, 'NextMarker')]).toEqual(['', 'b']);
    const second = await listing(versions[0], 'max-keys=2&marker=b');
    expect(texts(second, 'Contents/Key')).toEqual(['c']);
    expect([text(second, 'Marker'), text(second, 'NextMarker')]).toEqual(['b', undefined]);
  });

  test('a marker outside the prefix starts or ends the listing', async () => {
    for (const key of ['p/1', 'p/2']) await fixture.put(key);
    expect(texts(await listing(versions[0], 'prefix=p/&marker=a'), 'Contents/Key')).toEqual(['p/1', 'p/2']);
    expect(texts(await listing(versions[0], 'prefix=p/&marker=z'), 'Contents/Key')).toEqual([]);
  });

  test('always names the owner', async () => {
    await fixture.put('a');
    expect(text(await listing(versions[0], ''), 'Contents/Owner/DisplayName')).toBe('granary');
  });
});

describe('V2', () => {
  test('KeyCount counts keys and prefixes', async () => {
    for (const key of ['a', 'b/1', 'b/2', 'c']) await fixture.put(key);
    expect(text(await listing(versions[1], 'delimiter=/'), 'KeyCount')).toBe('3');
    expect(text(await listing(versions[1], 'max-keys=0'), 'KeyCount')).toBe('0');
  });

  test('names the owner only when asked', async () => {
    await fixture.put('a');
    expect(text(await listing(versions[1], ''), 'Contents/Owner/ID')).toBeUndefined();
    expect(text(await listing(versions[1], 'fetch-owner=false'), 'Contents/Owner/ID')).toBeUndefined();
  });

  test('start-after counts on the first page only', async () => {
    for (const key of ['a', 'b', 'c', 'd']) await fixture.put(key);
    const first = await listing(versions[1], 'start-after=a&max-keys=1');
    expect(texts(first, 'Contents/Key')).toEqual(['b']);
    const token = text(first, 'NextContinuationToken')!;
    const second = await listing(versions[1], `start-after=c&max-keys=1&continuation-token=${token}`);
    expect(texts(second, 'Contents/Key')).toEqual(['c']);
    expect([text(second, 'StartAfter'), text(second, 'ContinuationToken')]).toEqual(['c', token]);
    const last = await listing(versions[1], `continuation-token=${text(second, 'NextContinuationToken')!}`);
    expect(text(last, 'NextContinuationToken')).toBeUndefined();
  });

  test.each(['', 'YQ==', '%00', 'x'.repeat(2000)])('refuses the token %j', async (token) => {
    expect(await codeOf(versions[1], `continuation-token=${token}`)).toBe('InvalidArgument');
  });

  test('refuses the token of another bucket', async () => {
    await fixture.bucket('other');
    for (const key of ['a', 'b']) await fixture.put(key, key, 'other');
    const answer = await fixture.send(listObjectsV2, { target: '/other?list-type=2&max-keys=1' });
    const token = text(readXml(answer.text), 'NextContinuationToken')!;
    expect(await codeOf(versions[1], `continuation-token=${token}`)).toBe('InvalidArgument');
  });
});

/** What a listing must give, said as simply as possible. */
function model(keys: readonly string[], prefix: string, delimiter: string): string[] {
  const found = new Set<string>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    found.add(at === -1 ? `key ${key}` : `prefix ${key.slice(0, at + delimiter.length)}`);
  }
  return [...found].sort((a, b) => compareKeys(a.replace(/^\w+ /, ''), b.replace(/^\w+ /, '')));
}

test('pages of any size hold together what the model says, once each and in byte order', async () => {
  const letters = fc.constantFrom('a', 'b', '/', '-', ' ', '\u0001', '&', '%', '\u00e9', '\uffee', '\u{10000}');
  const key = fc.string({ unit: letters, minLength: 1, maxLength: 6 });
  const shape = fc.record({
    keys: fc.uniqueArray(key, { maxLength: 30 }),
    prefix: fc.oneof(fc.constant(''), fc.string({ unit: letters, maxLength: 2 })),
    delimiter: fc.constantFrom('', '/', '-', 'a', 'ab', '/-', '\u00e9'),
    pageKeys: fc.integer({ min: 1, max: 12 }),
    version: fc.constantFrom(...versions),
    isEncoded: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ keys, prefix, delimiter, pageKeys, version, isEncoded }) => {
      fixture = new DocumentFixture();
      await fixture.bucket();
      for (const name of keys) await fixture.put(name, '');
      const read = (name: string) => (isEncoded ? decodeURIComponent(name.replaceAll('+', ' ')) : name);
      const query = `prefix=${encodeURIComponent(prefix)}&delimiter=${encodeURIComponent(delimiter)}&max-keys=${pageKeys}`;
      const found: string[] = [];
      let position = '';
      for (let page = 0; ; page++) {
        expect(page).toBeLessThanOrEqual(keys.length);
        const root = await listing(version, `${query}${isEncoded ? '&encoding-type=url' : ''}${position}`);
        const items = [
          ...texts(root, 'Contents/Key').map((name) => `key ${read(name)}`),
          ...texts(root, 'CommonPrefixes/Prefix').map((name) => `prefix ${read(name)}`),
        ];
        expect(items.length).toBeLessThanOrEqual(pageKeys);
        found.push(...items.sort((a, b) => compareKeys(a.replace(/^\w+ /, ''), b.replace(/^\w+ /, ''))));
        if (text(root, 'IsTruncated') === 'false') break;
        expect(items).toHaveLength(pageKeys);
        position =
          version[0] === 'V1'
            ? `&marker=${encodeURIComponent(read(text(root, 'NextMarker')!))}`
            : `&continuation-token=${text(root, 'NextContinuationToken')!}`;
      }
      expect(found).toEqual(model(keys, prefix, delimiter));
    }),
    { numRuns: 300, verbose: 1 },
  );
});
