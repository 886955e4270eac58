/** The worked examples of the S3 documentation ("Authenticating Requests (AWS Signature Version 4)"). */
import { describe, expect, it } from 'vitest';
import { AwsChunkedDecoder } from '../../../src/signature/aws-chunked.js';
import { createSignatureVerifier } from '../../../src/signature/verifier.js';
import {
  deriveKey,
  exampleCredential,
  exampleDate,
  exampleNowMs,
  hmac,
  nodeKernels,
  optionsFor,
  refusalOf,
  request,
  sha256Hex,
  type RequestParts,
} from './support.js';

const emptyHash = sha256Hex('');
const scope = '20130524/us-east-1/s3/aws4_request';
const authorization = (signedHeaders: string, signature: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/${scope},SignedHeaders=${signedHeaders},Signature=${signature}`;

interface Vector {
  readonly name: string;
  readonly request: RequestParts;
  readonly payload: object;
}

const host = ['Host', 'examplebucket.s3.amazonaws.com'] as const;
const date = ['x-amz-date', exampleDate] as const;

const vectors: Vector[] = [
  {
    name: 'GET object with a range',
    request: {
      rawPath: '/test.txt',
      headers: [
        host,
        date,
        ['Range', 'bytes=0-9'],
        ['x-amz-content-sha256', emptyHash],
        [
          'Authorization',
          authorization(
            'host;range;x-amz-content-sha256;x-amz-date',
            'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
          ),
        ],
      ],
    },
    payload: { kind: 'sha256', hex: emptyHash },
  },
  {
    name: 'PUT object with a dollar sign in its key',
    request: {
      method: 'PUT',
      rawPath: '/test$file.text',
      headers: [
        host,
        date,
        ['Date', 'Fri, 24 May 2013 00:00:00 GMT'],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', sha256Hex('Welcome to Amazon S3.')],
        [
          'Authorization',
          authorization(
            'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
            '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
          ),
        ],
      ],
    },
    payload: { kind: 'sha256', hex: '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072' },
  },
  {
    name: 'GET bucket lifecycle',
    request: {
      rawQuery: 'lifecycle',
      headers: [
        host,
        date,
        ['x-amz-content-sha256', emptyHash],
        [
          'Authorization',
          authorization(
            'host;x-amz-content-sha256;x-amz-date',
            'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
          ),
        ],
      ],
    },
    payload: { kind: 'sha256', hex: emptyHash },
  },
  {
    name: 'list objects',
    request: {
      rawQuery: 'prefix=J&max-keys=2',
      headers: [
        host,
        date,
        ['x-amz-content-sha256', emptyHash],
        [
          'Authorization',
          authorization(
            'host;x-amz-content-sha256;x-amz-date',
            '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
          ),
        ],
      ],
    },
    payload: { kind: 'sha256', hex: emptyHash },
  },
];

const streamingHeaders = [
  ['Host', 's3.amazonaws.com'],
  date,
  ['Content-Encoding', 'aws-chunked'],
  ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
  ['x-amz-decoded-content-length', '66560'],
] as const;

const signedStream: RequestParts = {
  method: 'PUT',
  rawPath: '/examplebucket/chunkObject.txt',
  declaredBytes: 66824,
  headers: [
    ...streamingHeaders,
    ['Content-Length', '66824'],
    ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'],
    [
      'Authorization',
      authorization(
        'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
        '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      ),
    ],
  ],
};

const signedTrailerStream: RequestParts = {
  method: 'PUT',
  rawPath: '/examplebucket/chunkObject.txt',
  declaredBytes: 66946,
  headers: [
    ...streamingHeaders,
    ['x-amz-trailer', 'x-amz-checksum-crc32c'],
    ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'],
    [
      'Authorization',
      authorization(
        'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
        '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      ),
    ],
  ],
};

const presignedQuery =
  'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
  '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
  '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';

describe('documented examples', () => {
  it.each(vectors)('$name', ({ request: parts, payload }) => {
    const verify = createSignatureVerifier(nodeKernels());
    expect(verify(request(parts), optionsFor(exampleCredential))).toEqual({
      kind: 'header-v4',
      accessKey: 'AKIAIOSFODNN7EXAMPLE',
      region: 'us-east-1',
      signedAtMs: exampleNowMs,
      payload,
    });
  });

  it('presigned GET', () => {
    const verify = createSignatureVerifier(nodeKernels());
    const parts = { rawPath: '/test.txt', rawQuery: presignedQuery, headers: [host] };
    expect(verify(request(parts), optionsFor(exampleCredential))).toEqual({
      kind: 'presigned-v4',
      accessKey: 'AKIAIOSFODNN7EXAMPLE',
      region: 'us-east-1',
      signedAtMs: exampleNowMs,
      payload: { kind: 'unsigned' },
    });
  });

  it.each([
    { name: 'without trailer', parts: signedStream, hasTrailer: false },
    { name: 'with trailer', parts: signedTrailerStream, hasTrailer: true },
  ])('streaming PUT $name', ({ parts, hasTrailer }) => {
    const verify = createSignatureVerifier(nodeKernels());
    const { payload } = verify(request(parts), optionsFor(exampleCredential));
    expect(payload).toEqual({
      kind: 'signed-chunks',
      hasTrailer,
      signingKey: deriveKey(exampleCredential.secretKey, '20130524', 'us-east-1', 's3'),
      amzDate: exampleDate,
      scope,
      seedSignature: hasTrailer
        ? '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e'
        : '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
    });
  });

  it('the chunks and the trailer of the streaming examples decode to what their signatures cover', () => {
    const body = Buffer.alloc(66560, 'a');
    const signatures = [
      'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    ];
    const trailerSignature = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
    const wire = Buffer.concat([
      Buffer.from(`10000;chunk-signature=${signatures[0]}\r\n`),
      body.subarray(0, 65536),
      Buffer.from(`\r\n400;chunk-signature=${signatures[1]}\r\n`),
      body.subarray(65536),
      Buffer.from(`\r\n0;chunk-signature=${signatures[2]}\r\n`),
      Buffer.from(`x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${trailerSignature}\r\n\r\n`),
    ]);
    const key = deriveKey(exampleCredential.secretKey, '20130524', 'us-east-1', 's3');
    let previous = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
    let chunk: Buffer[] = [];
    const seen: string[] = [];
    const decoder = new AwsChunkedDecoder(
      { signed: true, hasTrailer: true, decodedBytes: body.length, trailerNames: ['x-amz-checksum-crc32c'] },
      {
        data: (bytes, start, end) => chunk.push(Buffer.from(bytes.subarray(start, end))),
        endChunk: (signature) => {
          const lines = ['AWS4-HMAC-SHA256-PAYLOAD', exampleDate, scope, previous, emptyHash];
          previous = hmac(key, [...lines, sha256Hex(Buffer.concat(chunk))].join('\n')).toString('hex');
          expect(Buffer.from(signature).toString('hex')).toBe(previous);
          seen.push(previous);
          chunk = [];
        },
      },
    );
    decoder.push(wire);
    const end = decoder.end();
    expect(seen).toEqual(signatures);
    expect(end.trailers).toEqual(new Map([['x-amz-checksum-crc32c', 'sOO8/Q==']]));
    const lines = ['AWS4-HMAC-SHA256-TRAILER', exampleDate, scope, previous, sha256Hex(end.trailerBlock ?? '')];
    expect(hmac(key, lines.join('\n')).toString('hex')).toBe(trailerSignature);
    expect(Buffer.from(end.trailerSignature ?? []).toString('hex')).toBe(trailerSignature);
  });

  it('every other secret is refused', () => {
    const verify = createSignatureVerifier(nodeKernels());
    const other = { ...exampleCredential, secretKey: exampleCredential.secretKey + 'x' };
    for (const vector of [...vectors.map((each) => each.request), signedStream, signedTrailerStream]) {
      expect(refusalOf(() => verify(request(vector), optionsFor(other))).code).toBe('SignatureDoesNotMatch');
    }
  });
});
