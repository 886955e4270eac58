import { beforeEach, describe, expect, it } from 'vitest';
import { inPieces, signedChunks, unsignedChunks, type ChunkSigner } from '../../support/aws-chunked.js';
import { memoryDigest } from '../../support/memory-digests.js';
import {
  createS3World,
  testAmzDate,
  testScope,
  testSeedSignature,
  testSigningKey,
  type S3World,
} from '../../support/s3-world.js';

const signer: ChunkSigner = {
  key: testSigningKey,
  amzDate: testAmzDate,
  scope: testScope,
  seedSignature: testSeedSignature,
};
const content = 'the quick brown fox jumps over the lazy dog';
const chunks = [content.slice(0, 10), content.slice(10, 33), content.slice(33)];
const crc32 = (text: string) => Buffer.from(memoryDigest('crc32', Buffer.from(text))).toString('base64');

let world: S3World;

beforeEach(async () => {
  world = createS3World();
  await world.objects.createBucket('photos', { region: '' });
});

function send(claim: string, body: string, headers: Record<string, string> = {}, pieceBytes = 7) {
  return world.send({
    method: 'PUT',
    target: '/photos/k',
    body: inPieces(body, pieceBytes),
    headers: {
      'x-amz-content-sha256': claim,
      'x-amz-decoded-content-length': String(content.length),
      'content-encoding': 'aws-chunked',
      ...headers,
    },
  });
}

async function expectStored() {
  expect((await world.send({ target: '/photos/k' })).text).toBe(content);
  expect(world.objects.openUploads).toBe(0);
}

async function expectNothing() {
  expect((await world.send({ target: '/photos/k' })).status).toBe(404);
  expect(world.objects.openUploads).toBe(0);
}

describe('unsigned chunks with a trailer', () => {
  const claim = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  const announced = { 'x-amz-trailer': 'x-amz-checksum-crc32' };

  it.each([1, 2, 7, 1000])('are stored whatever the pieces on the wire (%d bytes)', async (pieceBytes) => {
    const answer = await send(
      claim,
      unsignedChunks(chunks, { 'x-amz-checksum-crc32': crc32(content) }),
      announced,
      pieceBytes,
    );
    expect(answer.status).toBe(200);
    expect(answer.headers['x-amz-checksum-crc32']).toBe(crc32(content));
    await expectStored();
  });

  it('may come by chunked transfer, where only the decoded length is known', async () => {
    const body = unsignedChunks(chunks, { 'x-amz-checksum-crc32': crc32(content) });
    const answer = await world.send({
      method: 'PUT',
      target: '/photos/k',
      body: [body],
      declaredBytes: null,
      headers: { 'x-amz-content-sha256': claim, 'x-amz-decoded-content-length': String(content.length), ...announced },
    });
    expect(answer.status).toBe(200);
    await expectStored();
  });

  it('are held to the checksum of the trailer', async () => {
    expect(
      await send(claim, unsignedChunks(chunks, { 'x-amz-checksum-crc32': crc32('other') }), announced),
    ).toMatchObject({
      status: 400,
      code: 'BadDigest',
    });
    await expectNothing();
  });

  it('must bring the trailer that was announced', async () => {
    expect((await send(claim, unsignedChunks(chunks, {}), announced)).status).toBe(400);
    await expectNothing();
  });

  it('must say their decoded length, and have it', async () => {
    const body = unsignedChunks(chunks, { 'x-amz-checksum-crc32': crc32(content) });
    const missing = await world.send({
      method: 'PUT',
      target: '/photos/k',
      body: [body],
      headers: { 'x-amz-content-sha256': claim, ...announced },
    });
    expect(missing).toMatchObject({ status: 411, code: 'MissingContentLength' });
    for (const length of ['42', '44']) {
      const answer = await send(claim, body, { ...announced, 'x-amz-decoded-content-length': length });
      expect(answer).toMatchObject({ status: 400, code: 'IncompleteBody' });
    }
    expect(await send(claim, body, { ...announced, 'x-amz-decoded-content-length': '-1' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
    await expectNothing();
  });

  it('refuses framing that is none', async () => {
    expect((await send(claim, content, announced)).status).toBe(400);
    await expectNothing();
  });
});

describe('signed chunks', () => {
  const claim = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';

  it.each([1, 50, 5000])('are stored when every signature is right (pieces of %d bytes)', async (pieceBytes) => {
    expect((await send(claim, signedChunks(signer, chunks, null), {}, pieceBytes)).status).toBe(200);
    await expectStored();
  });

  it.each([0, 1, 2])('are refused when a byte of chunk %d changed on the way', async (index) => {
    const body = signedChunks(signer, chunks, null).replace(chunks[index]!, chunks[index]!.toUpperCase());
    expect(await send(claim, body)).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    await expectNothing();
  });

  it('are refused in another order, or signed by somebody else', async () => {
    const other = signedChunks({ ...signer, key: Buffer.alloc(32, 8) }, chunks, null);
    expect(await send(claim, other)).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    const swapped = signedChunks({ ...signer, seedSignature: '6'.repeat(64) }, chunks, null);
    expect(await send(claim, swapped)).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    await expectNothing();
  });

  it('are held to the signature of the trailer', async () => {
    const trailer = { 'x-amz-checksum-crc32': crc32(content) };
    const announced = { 'x-amz-trailer': 'x-amz-checksum-crc32' };
    const body = signedChunks(signer, chunks, trailer);
    expect((await send(`${claim}-TRAILER`, body, announced)).status).toBe(200);
    await expectStored();
    await world.send({ method: 'DELETE', target: '/photos/k' });
    const forged = signedChunks(signer, chunks, { 'x-amz-checksum-crc32': crc32('x') }).replace(
      crc32('x'),
      crc32(content),
    );
    expect(await send(`${claim}-TRAILER`, forged, announced)).toMatchObject({
      status: 403,
      code: 'SignatureDoesNotMatch',
    });
    await expectNothing();
  });
});
