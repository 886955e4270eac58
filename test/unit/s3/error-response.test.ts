import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { errorResponse } from '../../../src/s3/error-response.js';
import { AnswerRefusal, s3Error } from '../../../src/s3/errors.js';
import { readResponse } from '../../support/exchange.js';

const context = {
  request: { id: 'ID', method: 'GET', rawPath: '/b/a%3Cb' },
  bucket: 'b',
  key: 'a<b\u0000',
  region: 'us-east-1',
  hostId: 'host',
};
const answer = (refusal: Refusal, change: Partial<typeof context> = {}) =>
  readResponse(errorResponse(refusal, { ...context, ...change }));

describe('error answers', () => {
  it('have the form that clients parse', async () => {
    const { status, headers, text } = await answer(s3Error('NoSuchKey'));
    expect(status).toBe(404);
    expect(headers['content-type']).toBe('application/xml');
    expect(text).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>' +
        '<Key>a&lt;b&#x0;</Key><BucketName>b</BucketName><Resource>/b/a%3Cb</Resource><Region>us-east-1</Region>' +
        '<RequestId>ID</RequestId><HostId>host</HostId></Error>',
    );
  });

  it('leave out what the request did not name', async () => {
    const { text } = await answer(s3Error('AccessDenied'), { bucket: '', key: '', region: '' });
    expect(text).not.toMatch(/<Key>|<BucketName>|<Region>/);
  });

  it('carry the text and the details of a refusal', async () => {
    const { text } = await answer(s3Error('InvalidArgument', 'Not <that>.', { ArgumentName: 'x&y' }));
    expect(text).toContain('<Message>Not &lt;that&gt;.</Message>');
    expect(text).toContain('<ArgumentName>x&amp;y</ArgumentName>');
  });

  it('use the text of the table for a refusal that only has a code', async () => {
    expect((await answer(new Refusal('NoSuchBucket'))).text).toContain('The specified bucket does not exist.');
  });

  it.each([
    new Refusal('NoSuchCode', 'private text'),
    new Refusal('InternalError', 'private text'),
    new Refusal('toString', 'private text'),
  ])('say nothing about what nobody foresaw: %s', async (refusal) => {
    const { status, text } = await answer(refusal);
    expect(status).toBe(500);
    expect(text).toContain('<Code>InternalError</Code>');
    expect(text).not.toContain('private');
  });

  it('have no body for HEAD, but name the code', async () => {
    const { status, headers, bytes } = await answer(s3Error('NoSuchKey'), {
      request: { ...context.request, method: 'HEAD' },
    });
    expect([status, bytes.length]).toEqual([404, 0]);
    expect(headers).toMatchObject({ 'x-minio-error-code': 'NoSuchKey' });
    expect(headers['content-type']).toBeUndefined();
  });

  it.each([
    ['SlowDownRead', 503],
    ['SlowDownWrite', 503],
    ['ServerBusy', 503],
  ] as const)('ask the client to wait: %s', async (code, status) => {
    const busy = await answer(s3Error(code));
    expect([busy.status, busy.headers['retry-after']]).toEqual([status, '60']);
  });

  it('name the region that a signature should have used, once', async () => {
    const { text } = await answer(new Refusal('AuthorizationHeaderMalformed', 'wrong region', { Region: 'us-east-1' }));
    expect(text.match(/<Region>/g)).toHaveLength(1);
  });

  it('carry headers of their own', async () => {
    const { headers } = await answer(new AnswerRefusal('PreconditionFailed', [['ETag', '"x"']]));
    expect(headers['etag']).toBe('"x"');
  });
});
