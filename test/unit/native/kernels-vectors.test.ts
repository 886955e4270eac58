/** Known answers from the published sources. */
import { describe, expect, it } from 'vitest';
import { Digest, kernels } from '../../../src/native/index.js';
import { hex, sequence, text } from './support.js';

describe('digests', () => {
  // RFC 1321 A.5; FIPS 180-4 examples (NIST); the CRC catalogue's check values.
  it.each([
    ['MD5 of nothing', Digest.md5, '', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['MD5', Digest.md5, 'abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['MD5', Digest.md5, 'message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['MD5', Digest.md5, '1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
    ['SHA-1', Digest.sha1, 'abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['SHA-1 of a million a', Digest.sha1, 'a'.repeat(1_000_000), '34aa973cd4c4daa4f61eeb2bdbad27316534016f'],
    ['SHA-256', Digest.sha256, 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'SHA-256',
      Digest.sha256,
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    [
      'SHA-256 of a million a',
      Digest.sha256,
      'a'.repeat(1_000_000),
      'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
    ],
    ['CRC32', Digest.crc32, '123456789', 'cbf43926'],
    ['CRC32C', Digest.crc32c, '123456789', 'e3069283'],
    ['CRC64NVME', Digest.crc64nvme, '123456789', 'ae8b14860a799888'],
    ['CRC32 of nothing', Digest.crc32, '', '00000000'],
  ])('%s', (_name, digest, message, expected) => {
    expect(hex(kernels.digest(digest, text(message)))).toBe(expected);
  });

  it('CRC32C of 32 zero bytes and 32 descending bytes (RFC 3720 B.4)', () => {
    expect(hex(kernels.digest(Digest.crc32c, new Uint8Array(32)))).toBe('8a9136aa');
    expect(hex(kernels.digest(Digest.crc32c, sequence(32).reverse()))).toBe('113fdb5c');
  });
});

describe('HMAC', () => {
  // RFC 4231 test cases 1, 2, 3, 6 and 7; RFC 2202 test cases 1 and 2 for SHA-1.
  const longKey = new Uint8Array(131).fill(0xaa);
  const longText =
    'This is a test using a larger than block-size key and a larger than block-size data. ' +
    'The key needs to be hashed before being used by the HMAC algorithm.';
  it.each([
    [new Uint8Array(20).fill(0x0b), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [text('Jefe'), 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
    [
      new Uint8Array(20).fill(0xaa),
      new Uint8Array(50).fill(0xdd),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      longKey,
      'Test Using Larger Than Block-Size Key - Hash Key First',
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
    [longKey, longText, '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2'],
  ])('SHA-256', (key, message, expected) => {
    expect(hex(kernels.hmacSha256(key, message))).toBe(expected);
  });

  it.each([
    [new Uint8Array(20).fill(0x0b), 'Hi There', 'b617318655057264e28bc0b6fb378c8ef146be00'],
    [text('Jefe'), 'what do ya want for nothing?', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
  ])('SHA-1', (key, message, expected) => {
    expect(hex(kernels.hmacSha1(key, message))).toBe(expected);
  });
});

describe('HighwayHash-256', () => {
  // The reference vectors of google/highwayhash: key 00…1f, message 00, 01, … of each length.
  it.each([
    [0, 'f574c8c22a4844dd1f35c713730146d9ff1487b9ccbeaeb3f41d75453123da41'],
    [1, '54825fe4bc41b9ed0fc6ca3def440de2474a32cb9b1b657284e475b24c627320'],
    [2, '54e4af24dff9df3f73e80a1b1abfc4117a592269cc6951112cb4330d59f60812'],
    [3, '5cd9d10dd7a00a48d0d111697c5e22895a86bb8b6b42a88e22c7e190c3fb3de2'],
    [4, 'dce42b2197c4cfc99b92d2aff69d5fa89e10f41d219fda1f9b4f4d377a27e407'],
    [5, 'b385dca466f5b4b44201465eba634bbfe31ddccd688ef415c68580387d58740f'],
    [6, 'b4b9ad860ac74564b6ceb48427fb9ca913dbb2a0409de2da70119d9af26d52b6'],
    [7, '81ad8709a0b166d6376d8ceb38f8f1a430e063d4076e22e96c522c067dd65457'],
    [8, 'c08b76edb005b9f1453afffcf36f97e67897d0d98d51be4f330d1e37ebafa0d9'],
    [32, 'fec3a139908ce3bc8912c1a32663d542a9aefc64f79555e3995a47c96b3cb0c9'],
    [64, '7524c16affe6d890f2c1da6e192a421a02b08e1ffe65379ebecf51c3c4d7bdc1'],
  ])('of %i bytes', (length, expected) => {
    expect(hex(kernels.highwayHash256(sequence(32), sequence(length)))).toBe(expected);
  });
});

describe('Reed-Solomon', () => {
  it('gives the parity of the Backblaze reference example (5 data, 5 parity, 2 bytes each)', () => {
    const arena = new SharedArrayBuffer(4096);
    const bytes = new Uint8Array(arena);
    kernels.attachArena(arena);
    bytes.set([0, 1, 4, 5, 2, 3, 6, 7, 8, 9]);
    const offsets = Float64Array.from({ length: 10 }, (_, shard) => 2 * shard);
    kernels.encode(5, 5, 2, offsets);
    expect([...bytes.subarray(10, 20)]).toEqual([12, 13, 10, 11, 14, 15, 90, 91, 94, 95]);
  });
});

describe('Signature Version 4', () => {
  const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
  const scope = '20130524/us-east-1/s3/aws4_request';
  const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  const key = kernels.createSigningKey(secret, '20130524', 'us-east-1', 's3');

  it('signs the GET object example of the S3 documentation', () => {
    const canonicalRequest = [
      'GET',
      '/test.txt',
      '',
      'host:examplebucket.s3.amazonaws.com',
      'range:bytes=0-9',
      `x-amz-content-sha256:${emptySha256}`,
      'x-amz-date:20130524T000000Z',
      '',
      'host;range;x-amz-content-sha256;x-amz-date',
      emptySha256,
    ].join('\n');
    const signature = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
    expect(kernels.sha256Hex(canonicalRequest)).toBe(
      '7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972',
    );
    const is = (text: string) => kernels.verifyRequest(key, '20130524T000000Z', scope, canonicalRequest, text);
    expect(is(signature)).toBe(true);
    const others = ['', signature.slice(1), `${signature}0`, signature.toUpperCase(), signature.replace(/1$/, '2')];
    expect(others.filter(is)).toEqual([]);
    const stringToSign = `AWS4-HMAC-SHA256\n20130524T000000Z\n${scope}\n${kernels.sha256Hex(canonicalRequest)}`;
    expect(kernels.sign(key, stringToSign)).toBe(signature);
  });

  it('signs the presigned URL example of the S3 documentation', () => {
    const query =
      'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
      '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host';
    const canonicalRequest = `GET\n/test.txt\n${query}\nhost:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD`;
    const signature = 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
    expect(kernels.verifyRequest(key, '20130524T000000Z', scope, canonicalRequest, signature)).toBe(true);
    expect(kernels.verifyRequest(key, '20130524T000001Z', scope, canonicalRequest, signature)).toBe(false);
  });

  it('does not show the secret in the key', () => {
    expect(key).toHaveLength(64);
    expect(Buffer.from(key).includes(secret)).toBe(false);
  });
});
