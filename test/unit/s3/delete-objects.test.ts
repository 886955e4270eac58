import { beforeEach, describe, expect, test } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { deleteObjects } from '../../../src/s3/delete-objects.js';
import { XmlWriter } from '../../../src/s3/xml/index.js';
import {
  DocumentFixture,
  errorCode,
  fullChecksum,
  md5Base64,
  readXml,
  refusal,
  text,
  texts,
  type Sent,
} from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
});

interface Item {
  readonly Key: string;
  readonly VersionId?: string;
  readonly ETag?: string;
  readonly Size?: string;
}

function documentOf(items: readonly Item[], quiet?: string): string {
  const xml = new XmlWriter('Delete');
  for (const item of items) {
    xml.open('Object');
    for (const [name, value] of Object.entries(item)) xml.text(name, value as string);
    xml.close();
  }
  if (quiet !== undefined) xml.text('Quiet', quiet);
  return xml.end();
}

const send = (body: string, options: Partial<Sent> = {}) =>
  fixture.send(deleteObjects, {
    method: 'POST',
    target: '/bucket?delete',
    body,
    headers: { 'content-md5': md5Base64(body) },
    ...options,
  });

async function remove(items: readonly Item[], quiet?: string, options: Partial<Sent> = {}) {
  const answer = await send(documentOf(items, quiet), options);
  expect(answer).toMatchObject({ status: 200 });
  const root = readXml(answer.text);
  expect(root).toMatchObject({ name: 'DeleteResult', attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' });
  return root;
}

const removed = { versionId: null, isMarker: false };
const errors = (root: Awaited<ReturnType<typeof remove>>) =>
  texts(root, 'Error/Key').map((key, index) => `${key} ${texts(root, 'Error/Code')[index]}`);
const left = async () => {
  const all = { prefix: '', delimiter: '', startAfter: '', countMax: 2000 };
  return (await fixture.objects.list({ bucket: 'bucket', ...all })).entries.map(({ key }) => key);
};

test('deletes what is there, and what is not', async () => {
  for (const key of ['a', 'b', 'c']) await fixture.put(key);
  const root = await remove([{ Key: 'a' }, { Key: 'nothing' }, { Key: 'c', VersionId: 'null' }]);
  expect(texts(root, 'Deleted/Key')).toEqual(['a', 'nothing', 'c']);
  expect(texts(root, 'Deleted/VersionId')).toEqual(['null']);
  expect(await left()).toEqual(['b']);
});

test('any key: markup, control characters, spaces, a leading slash, dots', async () => {
  const keys = ['<&>"', '\u0001\t\r\n', ' a ', '/a', '../a', '\u{1f33e}', '\ufffe'];
  for (const key of keys) await fixture.put(key);
  expect(texts(await remove(keys.map((Key) => ({ Key }))), 'Deleted/Key')).toEqual(keys);
  expect(await left()).toEqual([]);
});

test('quiet: only what went wrong', async () => {
  for (const quiet of ['true', 'True', ' true ']) {
    await fixture.put('a');
    const root = await remove([{ Key: 'a' }, { Key: 'b', VersionId: 'v1' }], quiet);
    expect(texts(root, 'Deleted')).toEqual([]);
    expect(errors(root)).toEqual(['b NoSuchVersion']);
  }
  expect(texts(await remove([{ Key: 'a' }], 'false'), 'Deleted/Key')).toEqual(['a']);
  expect(errorCode(await send(documentOf([{ Key: 'a' }], 'maybe')))).toBe('MalformedXML');
});

test('the same object twice is one entry', async () => {
  const root = await remove([
    { Key: 'a' },
    { Key: 'b' },
    { Key: 'a' },
    { Key: 'a', VersionId: 'null' },
    { Key: 'a', VersionId: '' },
  ]);
  expect(texts(root, 'Deleted/Key')).toEqual(['a', 'b', 'a']);
});

test('all are submitted before any is done', async () => {
  const started: string[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  fixture.objects.deleteObject = async (_bucket, key) => {
    started.push(key);
    if (started.length === 1000) release();
    await gate;
    return removed;
  };
  const items = Array.from({ length: 1000 }, (_, index) => ({ Key: `k${index}` }));
  expect(texts(await remove(items), 'Deleted/Key')).toEqual(items.map(({ Key }) => Key));
});

describe('entries that fail', () => {
  test('versions that are not there', async () => {
    await fixture.put('a');
    const root = await remove([{ Key: 'a', VersionId: '8f2a' }]);
    expect(errors(root)).toEqual(['a NoSuchVersion']);
    expect(text(root, 'Error/VersionId')).toBe('8f2a');
    expect(text(root, 'Error/Message')).toBe('The specified version does not exist.');
    expect(await left()).toEqual(['a']);
  });

  test('keys of 1,023 and 1,024 bytes are fine, 1,025 are too long', async () => {
    const key = (bytes: number) => '\u00e9'.repeat(bytes >> 1) + 'x'.repeat(bytes & 1);
    const root = await remove([1023, 1024, 1025].map((bytes) => ({ Key: key(bytes) })));
    expect(texts(root, 'Deleted/Key')).toEqual([key(1023), key(1024)]);
    expect(errors(root)).toEqual([`${key(1025)} KeyTooLongError`]);
  });

  test('one entity tag that fits, one that does not', async () => {
    const { etag } = await fixture.put('a');
    for (const key of ['b', 'c']) await fixture.put(key);
    const root = await remove([
      { Key: 'a', ETag: `"${etag}"` },
      { Key: 'b', ETag: etag },
      { Key: 'c', ETag: '*' },
    ]);
    expect(texts(root, 'Deleted/Key')).toEqual(['a', 'c']);
    expect(errors(root)).toEqual(['b PreconditionFailed']);
    expect(await left()).toEqual(['b']);
  });

  test('a condition that we do not have is not passed over', async () => {
    await fixture.put('a');
    expect(errors(await remove([{ Key: 'a', Size: '1' }]))).toEqual(['a NotImplemented']);
    expect(await left()).toEqual(['a']);
  });

  test('refusals of the store', async () => {
    fixture.objects.deleteObject = async (_bucket, key) => {
      if (key !== 'ok') throw refusal(key);
      return removed;
    };
    const root = await remove([{ Key: 'SlowDownWrite' }, { Key: 'ok' }, { Key: 'Unheard' }]);
    expect(texts(root, 'Deleted/Key')).toEqual(['ok']);
    expect(errors(root)).toEqual(['SlowDownWrite SlowDownWrite', 'Unheard InternalError']);
  });

  test('what a store says of a refusal is told, but not what it says of a code that is not ours', async () => {
    for (const [code, told] of [
      ['XMinioStorageFull', true],
      ['Unheard', false],
    ] as const) {
      fixture.objects.deleteObject = () => Promise.reject(new Refusal(code, 'No room for markers.'));
      expect(text(await remove([{ Key: 'a' }]), 'Error/Message') === 'No room for markers.').toBe(told);
    }
  });

  test('a fault of ours fails the request, and its text is in the log only', async () => {
    fixture.objects.deleteObject = async () => {
      throw new Error('secret cause');
    };
    const answer = await send(documentOf([{ Key: 'a' }]));
    expect([answer.status, errorCode(answer)]).toEqual([500, 'InternalError']);
    expect(answer.text).not.toContain('secret');
    expect(JSON.stringify(fixture.faults)).toContain('InternalError');
  });
});

describe('who may', () => {
  test('each key is decided for itself', async () => {
    for (const key of ['mine', 'yours', 'versioned']) await fixture.put(key);
    const allowed = new Set(['s3:DeleteObject mine', 's3:DeleteObjectVersion versioned', 's3:DeleteObject versioned?']);
    const items = [
      { Key: 'mine' },
      { Key: 'yours' },
      { Key: 'versioned', VersionId: 'null' },
      { Key: 'mine', VersionId: 'null' },
    ];
    const root = await remove(items, undefined, {
      isAllowed: ({ action, bucket, key }) => bucket === 'bucket' && allowed.has(`${action} ${key}`),
    });
    expect(texts(root, 'Deleted/Key')).toEqual(['mine', 'versioned']);
    expect(errors(root)).toEqual(['yours AccessDenied', 'mine AccessDenied']);
    expect(await left()).toEqual(['yours']);
  });

  test('who may nothing does not learn whether the bucket is there', async () => {
    for (const target of ['/bucket?delete', '/nowhere?delete']) {
      const root = await remove([{ Key: 'a' }], undefined, { target, isAnonymous: true });
      expect(errors(root)).toEqual(['a AccessDenied']);
    }
  });

  test('no such bucket', async () => {
    const answer = await send(documentOf([{ Key: 'a' }]), { target: '/nowhere?delete' });
    expect([answer.status, errorCode(answer)]).toEqual([404, 'NoSuchBucket']);
  });
});

describe('documents', () => {
  test('999 and 1,000 keys; 1,001 and none are refused', async () => {
    const items = (count: number) => Array.from({ length: count }, (_, index) => ({ Key: `k${index}` }));
    for (const count of [999, 1000]) expect(texts(await remove(items(count)), 'Deleted')).toHaveLength(count);
    for (const count of [0, 1001]) expect(errorCode(await send(documentOf(items(count))))).toBe('MalformedXML');
  });

  test.each([
    '',
    'x',
    '<Delete><Object></Object></Delete>',
    '<Delete><Object><Key></Key></Object></Delete>',
    '<Remove/>',
  ])('MalformedXML: %j', async (body) => {
    expect(errorCode(await send(body))).toBe('MalformedXML');
  });

  test('1,000 keys of 1,024 bytes, each byte a reference', async () => {
    const key = (index: number) => `${String(index).padStart(4, '0')}${'\u0001'.repeat(1020)}`;
    const objects = Array.from(
      { length: 1000 },
      (_, index) =>
        `<Object><Key>${key(index).replace(/./gs, (c) => `&#x${c.charCodeAt(0).toString(16)};`)}</Key></Object>`,
    );
    const answer = await send(`<Delete><Quiet>true</Quiet>${objects.join('')}</Delete>`);
    expect(answer).toMatchObject({ status: 200 });
    expect(texts(readXml(answer.text), 'Error')).toEqual([]);
  });

  test('one of 12 MiB is read, one byte more is not', async () => {
    const whole = documentOf([{ Key: 'a' }]);
    const padded = (bytes: number) => whole + ' '.repeat(bytes - whole.length);
    expect((await send(padded(12 * 1024 * 1024))).status).toBe(200);
    expect(errorCode(await send(padded(12 * 1024 * 1024 + 1)))).toBe('EntityTooLarge');
  });
});

describe('integrity', () => {
  const body = documentOf([{ Key: 'a' }]);

  test('is required', async () => {
    await fixture.put('a');
    const answer = await send(body, { headers: {} });
    expect([answer.status, errorCode(answer)]).toEqual([400, 'MissingContentMD5']);
    expect(await left()).toEqual(['a']);
  });

  test.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)('by %s', async (algorithm) => {
    const header = `x-amz-checksum-${algorithm.toLowerCase()}`;
    const { value } = fullChecksum(algorithm, Buffer.from(body));
    expect((await send(body, { headers: { [header]: value } })).status).toBe(200);
    const wrong = fullChecksum(algorithm, Buffer.from('x')).value;
    expect(errorCode(await send(body, { headers: { [header]: wrong } }))).toBe('BadDigest');
  });

  test('a wrong Content-MD5, and one that is none', async () => {
    expect(errorCode(await send(body, { headers: { 'content-md5': md5Base64('x') } }))).toBe('BadDigest');
    expect(errorCode(await send(body, { headers: { 'content-md5': 'x' } }))).toBe('InvalidDigest');
  });
});
