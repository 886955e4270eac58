/** Versioned buckets through the whole table: what each state answers to each operation. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { RequestShape, TestResponse } from '../../support/exchange.js';
import { createS3World, type S3World } from '../../support/s3-world.js';
import { md5Base64 } from './document-fixture.js';

let world: S3World;

beforeEach(async () => {
  world = createS3World();
  await world.send({ method: 'PUT', target: '/bkt' });
});

const configuration = (inner: string) =>
  `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</VersioningConfiguration>`;
const setTo = (inner: string) => world.send({ method: 'PUT', target: '/bkt?versioning', body: [configuration(inner)] });
const enable = () => setTo('<Status>Enabled</Status>');
const suspend = () => setTo('<Status>Suspended</Status>');
const send = (method: string, target: string, rest: Partial<RequestShape> = {}) =>
  world.send({ method, target, ...rest });
const put = async (key: string, body: string): Promise<string> => {
  const answer = await send('PUT', `/bkt/${key}`, { body: [body] });
  expect(answer.status).toBe(200);
  return header(answer, 'x-amz-version-id') ?? 'null';
};
const header = (answer: TestResponse, name: string) => answer.headers[name];
const code = (answer: TestResponse) => /<Code>(.*?)<\/Code>/.exec(answer.text)?.[1] ?? '';
const all = (text: string, element: string) =>
  [...text.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'g'))].map((match) => match[1] ?? '');
/** `V key latest` or `D key latest` for each entry of a listing, in its order. */
const entries = (text: string) =>
  [...text.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(
    ([, kind, inner]) =>
      `${kind?.[0]} ${all(inner ?? '', 'Key')[0]}${inner?.includes('<IsLatest>true') ? ' latest' : ''}`,
  );

describe('the configuration of a bucket', () => {
  test('is empty, then what was put', async () => {
    expect((await send('GET', '/bkt?versioning')).text).not.toContain('Status');
    expect((await enable()).status).toBe(200);
    expect((await send('GET', '/bkt?versioning')).text).toContain('<Status>Enabled</Status>');
    await suspend();
    expect((await send('GET', '/bkt?versioning')).text).toContain('<Status>Suspended</Status>');
  });

  test('keeps what is excluded', async () => {
    const inner =
      '<Status>Enabled</Status><ExcludedPrefixes><Prefix>a&amp;/*/tmp</Prefix></ExcludedPrefixes><ExcludedPrefixes><Prefix>z</Prefix></ExcludedPrefixes><ExcludeFolders>true</ExcludeFolders>';
    expect((await setTo(inner)).status).toBe(200);
    expect((await send('GET', '/bkt?versioning')).text).toContain(inner);
    expect(await put('a&/1/tmp/x', '1')).toBe('null');
    expect(await put('z', '1')).toBe('null');
    expect(await put('folder/', '')).toBe('null');
    expect(await put('a&/tmp', '1')).not.toBe('null');
    expect(await put('y', '1')).not.toBe('null');
  });

  test.each([
    ['<Status>enabled</Status>', 'IllegalVersioningConfigurationException'],
    ['', 'IllegalVersioningConfigurationException'],
    ['<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>', 'NotImplemented'],
    ['<Status>Suspended</Status><ExcludeFolders>true</ExcludeFolders>', 'InvalidRequest'],
    ['<Status>Enabled</Status><ExcludedPrefixes><Prefix></Prefix></ExcludedPrefixes>', 'MalformedXML'],
    ['<Status>Enabled</Status><ExcludeFolders>perhaps</ExcludeFolders>', 'MalformedXML'],
    [`<Status>Enabled</Status>${'<ExcludedPrefixes><Prefix>p</Prefix></ExcludedPrefixes>'.repeat(11)}`, 'MalformedXML'],
  ])('%s is refused', async (inner, expected) => {
    expect(code(await setTo(inner))).toBe(expected);
    expect((await send('GET', '/bkt?versioning')).text).not.toContain('Status');
  });

  test('ten prefixes are fine, MFA delete may be disabled in words', async () => {
    const ten = '<ExcludedPrefixes><Prefix>p</Prefix></ExcludedPrefixes>'.repeat(10);
    expect((await setTo(`<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>${ten}`)).status).toBe(200);
  });

  test('of no bucket', async () => {
    const answer = await send('PUT', '/nowhere?versioning', { body: [configuration('<Status>Enabled</Status>')] });
    expect(code(answer)).toBe('NoSuchBucket');
  });
});

describe('an enabled bucket', () => {
  beforeEach(async () => {
    await enable();
  });

  test('keeps every version and reads each', async () => {
    const first = await put('k', 'one');
    const second = await put('k', 'two');
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(first).not.toBe(second);
    expect(await send('GET', '/bkt/k')).toMatchObject({ status: 200, text: 'two' });
    const old = await send('GET', `/bkt/k?versionId=${first}`);
    expect([old.text, header(old, 'x-amz-version-id')]).toEqual(['one', first]);
    const head = await send('HEAD', `/bkt/k?versionId=${second}`);
    expect([head.status, header(head, 'x-amz-version-id')]).toEqual([200, second]);
  });

  test('covers with a marker: 404 for the key, 405 for the marker, and back when it goes', async () => {
    const version = await put('k', 'one');
    const deleted = await send('DELETE', '/bkt/k');
    const marker = header(deleted, 'x-amz-version-id') ?? '';
    expect([deleted.status, header(deleted, 'x-amz-delete-marker')]).toEqual([204, 'true']);
    for (const method of ['GET', 'HEAD']) {
      const latest = await send(method, '/bkt/k');
      expect(latest.status).toBe(404);
      expect([header(latest, 'x-amz-delete-marker'), header(latest, 'x-amz-version-id')]).toEqual(['true', marker]);
      const named = await send(method, `/bkt/k?versionId=${marker}`);
      expect([named.status, header(named, 'x-amz-delete-marker'), header(named, 'x-amz-version-id')]).toEqual([
        405,
        'true',
        marker,
      ]);
      expect(header(named, 'allow')).toBe('DELETE');
      expect(header(named, 'last-modified')).toMatch(/GMT$/);
    }
    expect(code(await send('GET', '/bkt/k'))).toBe('NoSuchKey');
    expect(code(await send('GET', `/bkt/k?versionId=${marker}`))).toBe('MethodNotAllowed');
    expect((await send('GET', `/bkt/k?versionId=${version}`)).text).toBe('one');
    const gone = await send('DELETE', `/bkt/k?versionId=${marker}`);
    expect([gone.status, header(gone, 'x-amz-version-id'), header(gone, 'x-amz-delete-marker')]).toEqual([
      204,
      marker,
      'true',
    ]);
    expect((await send('GET', '/bkt/k')).text).toBe('one');
  });

  test('makes a marker for a key that never was', async () => {
    const deleted = await send('DELETE', '/bkt/never');
    expect([deleted.status, header(deleted, 'x-amz-delete-marker')]).toEqual([204, 'true']);
  });

  test('ends a version for good, and the one before is the latest again', async () => {
    const first = await put('k', 'one');
    const second = await put('k', 'two');
    const gone = await send('DELETE', `/bkt/k?versionId=${second}`);
    expect([header(gone, 'x-amz-version-id'), header(gone, 'x-amz-delete-marker')]).toEqual([second, undefined]);
    expect((await send('GET', '/bkt/k')).text).toBe('one');
    expect(code(await send('GET', `/bkt/k?versionId=${second}`))).toBe('NoSuchVersion');
    // Twice is as good as once.
    expect((await send('DELETE', `/bkt/k?versionId=${second}`)).status).toBe(204);
    await send('DELETE', `/bkt/k?versionId=${first}`);
    expect(code(await send('GET', '/bkt/k'))).toBe('NoSuchKey');
    expect(header(await send('GET', '/bkt/k'), 'x-amz-delete-marker')).toBeUndefined();
  });

  test.each(['v1', '', '00000000-0000-0000-0000-00000000000', `${'0'.repeat(36)}`])('%j is no version', async (id) => {
    await put('k', 'one');
    const expected = id === '' ? 'InvalidArgument' : 'NoSuchVersion';
    expect(code(await send('GET', `/bkt/k?versionId=${id}`))).toBe(expected);
    expect(code(await send('DELETE', `/bkt/k?versionId=${id}`))).toBe(expected);
    expect((await send('GET', '/bkt/k')).text).toBe('one');
  });

  test('what was there before is the null version', async () => {
    await suspend();
    await put('k', 'zero');
    await enable();
    await put('k', 'one');
    const old = await send('GET', '/bkt/k?versionId=null');
    expect([old.text, header(old, 'x-amz-version-id')]).toEqual(['zero', undefined]);
  });

  test('conditions are about the latest version', async () => {
    const headers = (name: string, value: string) => ({ headers: { [name]: value }, body: ['x'] });
    await put('k', 'one');
    expect((await send('PUT', '/bkt/k', headers('if-none-match', '*'))).status).toBe(412);
    await send('DELETE', '/bkt/k');
    expect((await send('PUT', '/bkt/k', headers('if-match', '*'))).status).toBe(404);
    expect((await send('PUT', '/bkt/k', headers('if-none-match', '*'))).status).toBe(200);
    expect((await send('DELETE', '/bkt/k', { headers: { 'if-match': '"other"' } })).status).toBe(412);
    expect((await send('GET', '/bkt/k')).text).toBe('x');
  });

  test('copies: from a version, back to the top, never from a marker that is named', async () => {
    const first = await put('k', 'one');
    const second = await put('k', 'two');
    const from = (source: string) => ({ headers: { 'x-amz-copy-source': source } });
    const copied = await send('PUT', '/bkt/copy', from(`/bkt/k?versionId=${first}`));
    expect(copied.status).toBe(200);
    expect(header(copied, 'x-amz-copy-source-version-id')).toBe(first);
    expect(header(copied, 'x-amz-version-id')).toBeDefined();
    expect((await send('GET', '/bkt/copy')).text).toBe('one');
    const restored = await send('PUT', '/bkt/k', from(`/bkt/k?versionId=${first}`));
    expect(restored.status).toBe(200);
    expect((await send('GET', '/bkt/k')).text).toBe('one');
    expect((await send('GET', `/bkt/k?versionId=${second}`)).text).toBe('two');
    const marker = header(await send('DELETE', '/bkt/k'), 'x-amz-version-id') ?? '';
    const absent = await send('PUT', '/bkt/copy2', from('/bkt/k'));
    expect([absent.status, code(absent), header(absent, 'x-amz-delete-marker')]).toEqual([404, 'NoSuchKey', undefined]);
    expect(code(await send('PUT', '/bkt/copy2', from(`/bkt/k?versionId=${marker}`)))).toBe('InvalidRequest');
  });

  test('many at once: markers are made and ended, each entry says which', async () => {
    const version = await put('a', 'one');
    await put('b', 'one');
    const marker = header(await send('DELETE', '/bkt/b'), 'x-amz-version-id') ?? '';
    const body = `<Delete><Object><Key>a</Key></Object><Object><Key>a</Key><VersionId>${version}</VersionId></Object><Object><Key>b</Key><VersionId>${marker}</VersionId></Object></Delete>`;
    const answer = await send('POST', '/bkt?delete', { body: [body], headers: { 'content-md5': md5Base64(body) } });
    const made = all(answer.text, 'DeleteMarkerVersionId');
    expect(answer.text).toContain(
      `<Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>${made[0]}</DeleteMarkerVersionId></Deleted>`,
    );
    expect(answer.text).toContain(`<Deleted><Key>a</Key><VersionId>${version}</VersionId></Deleted>`);
    expect(answer.text).toContain(
      `<Deleted><Key>b</Key><VersionId>${marker}</VersionId><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>${marker}</DeleteMarkerVersionId></Deleted>`,
    );
    expect((await send('GET', '/bkt/b')).text).toBe('one');
    expect((await send('GET', '/bkt/a')).status).toBe(404);
  });

  test('the bucket is not empty while a marker is left, and goes by force', async () => {
    await send('DELETE', '/bkt/k');
    expect((await send('GET', '/bkt')).text).not.toContain('<Contents>');
    expect(code(await send('DELETE', '/bkt'))).toBe('BucketNotEmpty');
    const forced = await send('DELETE', '/bkt', { headers: { 'x-minio-force-delete': 'true' } });
    expect(forced.status).toBe(204);
    expect((await send('HEAD', '/bkt')).status).toBe(404);
  });

  test('a folder goes by force with all its versions, and nothing beside it', async () => {
    for (const key of ['f', 'f/1', 'f/1', 'f/2', 'f-1', 'f0']) await put(key, key);
    await send('DELETE', '/bkt/f/2');
    const forced = await send('DELETE', '/bkt/f', { headers: { 'x-minio-force-delete': 'true' } });
    expect([forced.status, header(forced, 'x-amz-delete-marker')]).toEqual([204, undefined]);
    expect(entries((await send('GET', '/bkt?versions')).text)).toEqual(['V f-1 latest', 'V f0 latest']);
    const wrong = await send('DELETE', '/bkt/f0', { headers: { 'x-minio-force-delete': 'yes' } });
    expect(code(wrong)).toBe('InvalidArgument');
    const id = await put('f0', 'x');
    const both = await send('DELETE', `/bkt/f0?versionId=${id}`, { headers: { 'x-minio-force-delete': 'true' } });
    expect(code(both)).toBe('InvalidRequest');
  });
});

describe('a suspended bucket', () => {
  test('has one null version of a key, object or marker', async () => {
    await put('k', 'zero');
    await enable();
    const first = await put('k', 'one');
    await suspend();
    expect(await put('k', 'null')).toBe('null');
    expect(await put('k', 'null again')).toBe('null');
    expect(entries((await send('GET', '/bkt?versions')).text)).toEqual(['V k latest', 'V k']);
    const deleted = await send('DELETE', '/bkt/k');
    expect([header(deleted, 'x-amz-version-id'), header(deleted, 'x-amz-delete-marker')]).toEqual(['null', 'true']);
    expect(entries((await send('GET', '/bkt?versions')).text)).toEqual(['D k latest', 'V k']);
    expect((await send('GET', '/bkt/k?versionId=null')).status).toBe(405);
    expect((await send('GET', `/bkt/k?versionId=${first}`)).text).toBe('one');
    await send('DELETE', '/bkt/k?versionId=null');
    expect((await send('GET', '/bkt/k')).text).toBe('one');
  });
});

describe('the listing of versions', () => {
  test('every element, with owners', async () => {
    await enable();
    const version = await put('a b', 'one');
    const marker = header(await send('DELETE', '/bkt/a%20b'), 'x-amz-version-id') ?? '';
    const { text } = await send('GET', '/bkt?versions&encoding-type=url&prefix=a%20');
    const owner = `<Owner><ID>${'a'.repeat(64)}</ID><DisplayName>granary</DisplayName></Owner>`;
    const time = '<LastModified>2026-11-24T03:00:00.500Z</LastModified>';
    expect(text).toContain(
      '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bkt</Name><Prefix>a+</Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>' +
        `<DeleteMarker><Key>a+b</Key><VersionId>${marker}</VersionId><IsLatest>true</IsLatest>${time}${owner}</DeleteMarker>` +
        `<Version><Key>a+b</Key><VersionId>${version}</VersionId><IsLatest>false</IsLatest>${time}<ETag>&quot;f97c5d29941bfb1b2fdab0874906ab82&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass>${owner}</Version>`,
    );
  });

  test.each([1, 2, 3, 1000])('in pages of %i, across the versions of a key', async (size) => {
    await enable();
    for (const key of ['a', 'b', 'b', 'b', 'd/1', 'd/2', 'e']) await put(key, key);
    await send('DELETE', '/bkt/b');
    await send('DELETE', '/bkt/d/2');
    const found: string[] = [];
    let markers = '';
    for (;;) {
      const { text } = await send('GET', `/bkt?versions&delimiter=/&max-keys=${size}${markers}`);
      found.push(...entries(text), ...all(text, 'CommonPrefixes').map((prefix) => all(prefix, 'Prefix')[0] ?? ''));
      if (!text.includes('<IsTruncated>true')) break;
      const [id = ''] = all(text, 'NextVersionIdMarker');
      markers = `&key-marker=${encodeURIComponent(all(text, 'NextKeyMarker')[0] ?? '')}&version-id-marker=${id}`;
      if (id === '') markers = markers.replace('&version-id-marker=', '');
    }
    expect(found.sort()).toEqual(['D b latest', 'V a latest', 'V b', 'V b', 'V b', 'V e latest', 'd/'].sort());
  });

  test('a marker of a version needs its key; none of zero; the bucket has to be there', async () => {
    expect(code(await send('GET', '/bkt?versions&version-id-marker=null'))).toBe('NotImplemented');
    await put('a', '');
    expect(entries((await send('GET', '/bkt?versions&max-keys=0')).text)).toEqual([]);
    expect(code(await send('GET', '/nowhere?versions&max-keys=0'))).toBe('NoSuchBucket');
  });
});

describe('permissions', () => {
  const asked: string[] = [];
  beforeEach(async () => {
    asked.length = 0;
    world = createS3World({
      isAllowed: (_principal, { action, key }) => {
        asked.push(`${action} ${key}`);
        return action !== 's3:ListBucket' || key !== '';
      },
    });
    await send('PUT', '/bkt');
    await enable();
  });

  test('each operation asks for its own', async () => {
    const id = await put('k', 'x');
    asked.length = 0;
    await send('GET', `/bkt/k?versionId=${id}`);
    await send('GET', '/bkt?versions');
    await send('GET', '/bkt?versioning');
    await enable();
    await send('PUT', '/bkt/l', { headers: { 'x-amz-copy-source': `/bkt/k?versionId=${id}` } });
    await send('DELETE', `/bkt/k?versionId=${id}`);
    await send('DELETE', '/bkt/k');
    expect(asked).toEqual([
      's3:GetObjectVersion k',
      's3:ListBucketVersions ',
      's3:GetBucketVersioning ',
      's3:PutBucketVersioning ',
      's3:PutObject l',
      's3:GetObjectVersion k',
      's3:DeleteObjectVersion k',
      's3:DeleteObject k',
    ]);
  });

  test('whoever may not list does not learn of a marker', async () => {
    await send('DELETE', '/bkt/k');
    const answer = await send('GET', '/bkt/k');
    expect([answer.status, header(answer, 'x-amz-delete-marker')]).toEqual([403, undefined]);
  });

  test('a folder by force asks for every key in it, before it goes', async () => {
    const denied = createS3World({ isAllowed: (_principal, { key }) => key !== 'f/2' });
    world = denied;
    await send('PUT', '/bkt');
    for (const key of ['f/1', 'f/3']) await put(key, key);
    await denied.objects.setVersioning('bkt', { status: 'Enabled', excludedPrefixes: [], excludesFolders: false });
    await denied.objects.deleteObject('bkt', 'f/2', '', null);
    const answer = await send('DELETE', '/bkt/f/', { headers: { 'x-minio-force-delete': 'true' } });
    expect(answer.status).toBe(403);
    expect(entries((await send('GET', '/bkt?versions')).text)).toHaveLength(3);
  });
});
