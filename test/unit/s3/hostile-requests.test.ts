/**
 * Whatever a client sends, it gets an answer of the protocol, nothing of ours breaks, and nothing is held
 * afterwards. fast-check prints the seed of a failure.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestShape } from '../../support/exchange.js';
import { createS3World } from '../../support/s3-world.js';

const text = fc.oneof(fc.string({ maxLength: 30 }), fc.string({ unit: 'binary', maxLength: 30 }));
/** Mostly meant well, seldom right. */
const likely = (...values: string[]) =>
  fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: text });
const escaped = text.map((value) => {
  try {
    return encodeURIComponent(value);
  } catch {
    return value;
  }
});

const path = fc.oneof(
  fc.constantFrom('/photos/there', '/photos/there', '/photos/new'),
  fc.constantFrom(
    '/',
    '//',
    '/photos',
    '/photos/',
    '/photos/there',
    '/photos/multi',
    '/photos/%00',
    '/photos/%',
    '/photos/..',
    '/none/k',
    '',
  ),
  escaped.map((key) => `/photos/${key}`),
  text.map((raw) => `/${raw}`),
);
const queryNames = [
  'acl',
  'uploads',
  'uploadId',
  'partNumber',
  'versionId',
  'list-type',
  'delete',
  'prefix',
  'delimiter',
  'max-keys',
  'marker',
  'continuation-token',
  'start-after',
  'encoding-type',
  'location',
  'versioning',
  'max-uploads',
  'key-marker',
  'max-parts',
  'response-content-type',
  'X-Amz-Signature',
  'x-amz-meta-a',
  'policy',
];
const query = fc
  .array(
    fc.tuple(
      likely(...queryNames),
      fc.oneof(escaped, fc.constantFrom('', '1', '2', '0', '-1', '1000', 'upload-00000001', 'url', '/')),
    ),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));

const headerValues: Readonly<Record<string, fc.Arbitrary<string>>> = {
  range: likely('bytes=0-1', 'bytes=5-', 'bytes=-1', 'bytes=9-3'),
  'if-match': likely('*', '"x"', ''),
  'if-none-match': likely('*', '"x"', ','),
  'if-modified-since': likely('Tue, 24 Nov 2026 03:00:00 GMT'),
  'if-range': likely('"x"'),
  'content-md5': likely('1B2M2Y8AsgTpgAmY7PhCfg==', 'AAAA'),
  'content-encoding': likely('aws-chunked', 'gzip, aws-chunked', ','),
  'x-amz-content-sha256': fc.constantFrom(
    'UNSIGNED-PAYLOAD',
    'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  ),
  'x-amz-decoded-content-length': likely('0', '3', '5', '99999999999999', '-1'),
  'x-amz-trailer': likely('x-amz-checksum-crc32', 'x-amz-checksum-crc32,x-amz-checksum-sha1', 'x-other'),
  'x-amz-checksum-crc32': likely('AAAAAA==', 'NhCmhg=='),
  'x-amz-checksum-sha256': likely('AAAA'),
  'x-amz-checksum-algorithm': likely('CRC32', 'SHA256'),
  'x-amz-checksum-type': likely('FULL_OBJECT', 'COMPOSITE'),
  'x-amz-checksum-mode': likely('ENABLED'),
  'x-amz-copy-source': likely('/photos/there', 'photos/there?versionId=null', '/photos/none', '%'),
  'x-amz-copy-source-range': likely('bytes=0-1', 'bytes=1-'),
  'x-amz-metadata-directive': likely('COPY', 'REPLACE'),
  'x-amz-storage-class': likely('STANDARD', 'REDUCED_REDUNDANCY'),
  'x-amz-meta-a': text,
  'x-amz-acl': likely('private'),
  'x-test-anonymous': fc.constant('1'),
};
const headers = fc
  .subarray(Object.keys(headerValues), { maxLength: 5 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, headerValues[name]!]))));

const body = fc.array(
  fc.oneof(
    fc.constantFrom(
      '',
      'abc',
      '3\r\nabc\r\n0\r\n\r\n',
      '0\r\n\r\n',
      `0;chunk-signature=${'0'.repeat(64)}\r\n\r\n`,
      '<Delete><Object><Key>a</Key></Object></Delete>',
      '<CompleteMultipartUpload>',
      '<!DOCTYPE x>',
    ),
    text,
  ),
  { maxLength: 4 },
);

const shape = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'),
  target: fc.tuple(path, query).map(([rawPath, rawQuery]) => `${rawPath}?${rawQuery}`),
  headers,
  body,
  declaredBytes: fc.constantFrom(undefined, undefined, null),
  abortAfterPieces: fc.constantFrom(Infinity, Infinity, 0, 1),
}) as fc.Arbitrary<RequestShape>;

describe('hostile requests', () => {
  it('get an answer, break nothing and leave nothing behind', async () => {
    const world = createS3World({ highWaterBytes: 8 });
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(shape, async (request) => {
        if (!world.objects.listBuckets().some(({ name }) => name === 'photos')) {
          await world.objects.createBucket('photos', { region: '' });
        }
        await world.send({ method: 'PUT', target: '/photos/there', body: ['hello'] });
        const recordCount = world.records.length;
        const answer = await world.send(request);
        statuses.add(answer.status);
        expect(answer.status, answer.text).not.toBe(500);
        if (answer.status >= 400 && request.method !== 'HEAD') expect(answer.code).toMatch(/^[A-Z][A-Za-z0-9]+$/);
        if (request.method === 'HEAD') expect(answer.bytes).toHaveLength(0);
        if (request.headers?.['x-test-anonymous'] === '1') expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(world.records).toHaveLength(recordCount + 1);
        expect([world.objects.openUploads, world.objects.openSnapshots]).toEqual([0, 0]);
      }),
      { numRuns: 3000 },
    );
    // The generator reaches past the front door.
    for (const status of [200, 204, 400, 403, 404, 405, 501]) expect(statuses).toContain(status);
  });
});
