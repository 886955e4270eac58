import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createDispatcher, rootOnly, type OperationSpec, type PayloadProtection } from '../../../src/dispatch/index.js';
import { kernels } from '../../../src/native/index.js';
import { errorResponse } from '../../../src/s3/error-response.js';
import { readDocument } from '../../../src/s3/request-body.js';
import { silentLogger } from '../../../src/telemetry/index.js';
import { inPieces, signedChunks, unsignedChunks, type ChunkSigner } from '../../support/aws-chunked.js';
import { exchange, type RequestShape } from '../../support/exchange.js';
import { memoryDigest } from '../../support/memory-digests.js';
import { rootPrincipal } from '../../support/principals.js';

const content = '<Delete><Object><Key>a</Key></Object></Delete>';
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const crc32 = (text: string) => base64(memoryDigest('crc32', Buffer.from(text)));

/** The key of the real derivation, so that the addon and this test have to agree. */
const amzDate = '20261124T030000Z';
const scope = '20261124/us-east-1/s3/aws4_request';
const seedSignature = 'ab'.repeat(32);
const hmac = (key: Uint8Array | string, text: string) => Buffer.from(kernels.hmacSha256(Buffer.from(key), text));
const signer: ChunkSigner = {
  key: hmac(hmac(hmac(hmac('AWS4secret', '20261124'), 'us-east-1'), 's3'), 'aws4_request'),
  amzDate,
  scope,
  seedSignature,
};

function send(
  shape: Omit<RequestShape, 'target' | 'method'>,
  options: { integrity?: 'optional' | 'required'; payload?: PayloadProtection; bytesMax?: number } = {},
) {
  const { integrity = 'optional', payload = { kind: 'unsigned' }, bytesMax = 1000 } = options;
  const operation: OperationSpec<unknown, null> = {
    name: 'Document',
    parse: () => null,
    permissions: () => [],
    async handle(_, call) {
      const bytes = await readDocument({ digest: memoryDigest }, call, { bytesMax, integrity });
      return { status: 200, headers: [], body: { kind: 'bytes', bytes } };
    },
  };
  const handler = createDispatcher({
    service: {
      deps: null,
      route: () => operation,
      refuse: (refusal, call) => errorResponse(refusal, { ...call, region: '', hostId: '' }),
    },
    authenticate: () => ({
      principal: rootPrincipal('a'),
      authentication: { kind: 'header-v4', accessKey: 'a', region: '', signedAtMs: 0, payload },
    }),
    isAllowed: rootOnly,
    observer: { observe: () => {} },
    log: silentLogger,
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    region: '',
    hostId: '',
    domains: [],
  });
  return exchange(handler, { method: 'POST', target: '/b?delete', ...shape });
}

describe('a document', () => {
  it('arrives whole', async () => {
    expect((await send({ body: inPieces(content, 5) })).text).toBe(content);
    expect((await send({ body: [content], declaredBytes: null })).text).toBe(content);
    expect((await send({})).text).toBe('');
  });

  it('is bounded', async () => {
    const at = (bytesMax: number) => send({ body: [content] }, { bytesMax });
    expect((await at(content.length)).status).toBe(200);
    expect(await at(content.length - 1)).toMatchObject({ status: 400, code: 'EntityTooLarge' });
  });

  it('needs a digest where S3 demands one: any of them', async () => {
    const required = { integrity: 'required' } as const;
    expect(await send({ body: [content] }, required)).toMatchObject({ status: 400, code: 'MissingContentMD5' });
    const md5 = base64(memoryDigest('md5', Buffer.from(content)));
    expect((await send({ body: [content], headers: { 'content-md5': md5 } }, required)).status).toBe(200);
    expect(
      (await send({ body: [content], headers: { 'x-amz-checksum-crc32': crc32(content) } }, required)).status,
    ).toBe(200);
  });

  it('is held to its digests', async () => {
    const of = (headers: Record<string, string>) => send({ body: [content], headers });
    expect(await of({ 'content-md5': base64(memoryDigest('md5', Buffer.from('x'))) })).toMatchObject({
      status: 400,
      code: 'BadDigest',
    });
    expect(await of({ 'content-md5': 'x' })).toMatchObject({ status: 400, code: 'InvalidDigest' });
    expect(await of({ 'x-amz-checksum-crc32': crc32('x') })).toMatchObject({ status: 400, code: 'BadDigest' });
  });

  it('is held to its signed SHA-256', async () => {
    const hex = createHash('sha256').update(content).digest('hex');
    expect((await send({ body: [content] }, { payload: { kind: 'sha256', hex } })).status).toBe(200);
    expect(await send({ body: [`${content} `] }, { payload: { kind: 'sha256', hex } })).toMatchObject({
      status: 400,
      code: 'XAmzContentSHA256Mismatch',
    });
  });

  it('may come in unsigned chunks with its checksum behind it', async () => {
    const of = (text: string) =>
      send(
        {
          body: inPieces(
            unsignedChunks([content.slice(0, 9), content.slice(9)], { 'x-amz-checksum-crc32': crc32(text) }),
            6,
          ),
          headers: { 'x-amz-decoded-content-length': String(content.length), 'x-amz-trailer': 'x-amz-checksum-crc32' },
        },
        { payload: { kind: 'unsigned-chunks' }, integrity: 'required' },
      );
    expect((await of(content)).text).toBe(content);
    expect(await of('x')).toMatchObject({ status: 400, code: 'BadDigest' });
  });
});

describe('a document in signed chunks', () => {
  const protection = (hasTrailer: boolean): PayloadProtection => ({
    kind: 'signed-chunks',
    hasTrailer,
    signingKey: kernels.createSigningKey('secret', '20261124', 'us-east-1', 's3'),
    amzDate,
    scope,
    seedSignature,
  });
  const chunks = [content.slice(0, 9), content.slice(9, 30), content.slice(30)];
  const headers = { 'x-amz-decoded-content-length': String(content.length) };
  const trailing = { ...headers, 'x-amz-trailer': 'x-amz-checksum-crc32' };
  const ofBody = (body: string, hasTrailer: boolean) =>
    send({ body: inPieces(body, 11), headers: hasTrailer ? trailing : headers }, { payload: protection(hasTrailer) });

  it('is taken when every signature is right', async () => {
    expect((await ofBody(signedChunks(signer, chunks, null), false)).text).toBe(content);
    const withTrailer = signedChunks(signer, chunks, { 'x-amz-checksum-crc32': crc32(content) });
    expect((await ofBody(withTrailer, true)).text).toBe(content);
  });

  it('is refused when one byte of it, of a signature or of the trailer is wrong', async () => {
    const refused = { status: 403, code: 'SignatureDoesNotMatch' };
    const right = signedChunks(signer, chunks, null);
    expect(await ofBody(right.replace('<Key>a', '<Key>b'), false)).toMatchObject(refused);
    for (const [found] of right.matchAll(/chunk-signature=[0-9a-f]{64}/g)) {
      const last = found.endsWith('0') ? '1' : '0';
      expect(await ofBody(right.replace(found, found.slice(0, -1) + last), false)).toMatchObject(refused);
    }
    const trailer = signedChunks(signer, chunks, { 'x-amz-checksum-crc32': crc32('x') });
    expect(await ofBody(trailer.replace(crc32('x'), crc32(content)), true)).toMatchObject(refused);
  });
});
