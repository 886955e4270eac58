/**
 * Requests signed by code that is not ours: the signer under the AWS SDK, the SDK's S3 client as a whole,
 * and the minio client. What they sign verifies; what was changed on the way is refused, or means the same.
 */
import { createHash, createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { presignSignatureV4, signV4 } from 'minio/dist/esm/signing.mjs';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import type { ExchangeRequest } from '../../../src/exchange/index.js';
import { kernels } from '../../../src/native/index.js';
import {
  createSignatureVerifier,
  decodePath,
  parseQuery,
  type SigningCredential,
} from '../../../src/signature/index.js';
import { optionsFor, referenceEncode, request, sha256Hex } from './support.js';

const now = new Date('2026-11-24T02:30:00Z');
const permanent: SigningCredential = { accessKey: 'team/access+key', secretKey: 'sécret /key+', sessionToken: null };
const temporary: SigningCredential = { ...permanent, sessionToken: 'FwoG+token/with=padding==' };
const verify = createSignatureVerifier(kernels);
const verifyAt = (input: ExchangeRequest, credential: SigningCredential, nowMs = now.getTime()) =>
  verify(input, optionsFor(credential, { nowMs }));

class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = typeof secret === 'string' ? secret : secret && Buffer.from(secret as Uint8Array);
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {}
}

const hardCharacters = fc.constantFrom(...'ab/ %+&=~!\'()*?#;:@.,é漢😀"<>\\|^`{}[]-_$');
const name = fc
  .oneof(
    fc.string({ unit: hardCharacters, minLength: 1, maxLength: 24 }),
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.constantFrom(
      'a//b',
      '../../etc/passwd',
      './a',
      'a/',
      '/a',
      '%2F',
      '%00',
      '+',
      'a b+c%20d',
      "~!'()*",
      '%e6%bc%a2',
    ),
  )
  .filter((text) => !text.includes('\0'));

/** Percent-encoding as a client may send it: sometimes in lower case, some characters left alone. */
const sloppyEncode = (text: string, isSloppy: boolean, keepSlash: boolean): string => {
  const encoded = referenceEncode(text, keepSlash);
  if (!isSloppy) return encoded;
  return encoded.replace(/%(?:21|27|28|29|2A)|%../g, (escape) =>
    ['%21', '%27', '%28', '%29', '%2A'].includes(escape) ? decodeURIComponent(escape) : escape.toLowerCase(),
  );
};

/** Characters a header value can hold; words apart by single or several spaces. */
const headerValue = fc.string({ unit: fc.constantFrom(...'abc  \t,;="é'), maxLength: 20 });

const requests = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD'),
  key: name,
  query: fc.dictionary(
    name.filter((text) => !/^x-amz-|^__proto__$|^(Signature|AWSAccessKeyId)$/i.test(text)),
    fc.oneof(fc.constant(''), name, fc.array(name, { minLength: 2, maxLength: 3 })),
    { maxKeys: 5 },
  ),
  meta: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/), headerValue, { maxKeys: 4 }),
  payloadHash: fc.constantFrom('UNSIGNED-PAYLOAD', sha256Hex('body'), 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'),
  isSloppy: fc.boolean(),
  isReversed: fc.boolean(),
  isTemporary: fc.boolean(),
});
type Sample = typeof requests extends fc.Arbitrary<infer Value> ? Value : never;

const host = 'granary.example:9000';

function headersOf(sample: Sample): Record<string, string> {
  const headers: Record<string, string> = { host, 'content-type': 'a/b; c="d"' };
  for (const [each, value] of Object.entries(sample.meta)) headers[`x-amz-meta-${each}`] = value;
  return headers;
}

type QueryBag = Record<string, string | string[]>;

function rawQueryOf(bag: QueryBag, sample: Sample): string {
  const pairs = Object.entries(bag).flatMap(([each, value]) =>
    [value].flat().map((one) => {
      const encodedName = sloppyEncode(each, sample.isSloppy, sample.isSloppy);
      // A parameter without a value may come without the equals sign.
      if (one === '' && sample.isSloppy) return encodedName;
      return `${encodedName}=${sloppyEncode(one, sample.isSloppy, sample.isSloppy)}`;
    }),
  );
  return (sample.isReversed ? pairs.reverse() : pairs).join('&');
}

const smithy = (credential: SigningCredential) =>
  new SignatureV4({
    service: 's3',
    region: 'us-east-1',
    uriEscapePath: false,
    applyChecksum: false,
    sha256: Sha256,
    credentials: {
      accessKeyId: credential.accessKey,
      secretAccessKey: credential.secretKey,
      ...(credential.sessionToken === null ? {} : { sessionToken: credential.sessionToken }),
    },
  });

const httpRequest = (sample: Sample, headers: Record<string, string>) => ({
  protocol: 'http:',
  hostname: 'granary.example',
  port: 9000,
  method: sample.method,
  path: '/bucket/' + referenceEncode(sample.key, true),
  query: sample.query,
  headers,
  body: undefined,
});

const rawPathOf = (sample: Sample) => '/bucket/' + sloppyEncode(sample.key, sample.isSloppy, true);

async function signedBySmithy(sample: Sample): Promise<ExchangeRequest> {
  const credential = sample.isTemporary ? temporary : permanent;
  const headers = { ...headersOf(sample), 'x-amz-content-sha256': sample.payloadHash };
  const result = await smithy(credential).sign(httpRequest(sample, headers), { signingDate: now });
  return request({
    method: sample.method,
    rawPath: rawPathOf(sample),
    rawQuery: rawQueryOf(sample.query, sample),
    headers: Object.entries(result.headers),
  });
}

async function presignedBySmithy(sample: Sample): Promise<ExchangeRequest> {
  const credential = sample.isTemporary ? temporary : permanent;
  const headers = { ...headersOf(sample), 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
  const result = await smithy(credential).presign(httpRequest(sample, headers), { signingDate: now, expiresIn: 60 });
  return request({
    method: sample.method,
    rawPath: rawPathOf(sample),
    rawQuery: rawQueryOf(result.query as QueryBag, sample),
    headers: Object.entries(result.headers),
  });
}

/** Sets what the minio client does not get right by itself: tidy header values, and queries its sorting fits. */
function forMinio(sample: Sample): { path: string; headers: Record<string, string> } {
  const headers = headersOf(sample);
  for (const [each, value] of Object.entries(headers))
    headers[each] = value
      .split(/[ \t]+/)
      .filter(Boolean)
      .join(' ');
  const query = Object.entries(sample.query).flatMap(([each, value], index) =>
    // It sorts `name=value` as one text: names of one length keep that equal to sorting by name.
    [value].flat().map((one) => `p${index}=${referenceEncode(each + one, false)}`),
  );
  const path = '/bucket/' + referenceEncode(sample.key, true);
  return { path: query.length === 0 ? path : `${path}?${query.join('&')}`, headers };
}

function fromPath(sample: Sample, path: string, headers: Record<string, string>): ExchangeRequest {
  const [rawPath = '', rawQuery = ''] = path.split('?');
  return request({ method: sample.method, rawPath, rawQuery, headers: Object.entries(headers) });
}

function signedByMinio(sample: Sample): ExchangeRequest {
  const { path, headers } = forMinio(sample);
  const sent: Record<string, string> = {
    ...headers,
    'x-amz-date': '20261124T023000Z',
    'x-amz-content-sha256': sample.payloadHash,
    ...(sample.isTemporary ? { 'x-amz-security-token': temporary.sessionToken ?? '' } : {}),
  };
  sent['authorization'] = signV4(
    { method: sample.method, path, headers: sent } as never,
    permanent.accessKey,
    permanent.secretKey,
    'us-east-1',
    now,
    sample.payloadHash,
  );
  return fromPath(sample, path, sent);
}

function presignedByMinio(sample: Sample): ExchangeRequest {
  const { path } = forMinio(sample);
  const url = presignSignatureV4(
    { method: sample.method, path, headers: { host }, protocol: 'http:' },
    permanent.accessKey,
    permanent.secretKey,
    sample.isTemporary ? (temporary.sessionToken ?? undefined) : undefined,
    'us-east-1',
    now,
    60,
  );
  return fromPath(sample, url.slice(url.indexOf(host) + host.length), { host });
}

const signers = [
  { signer: 'the AWS SDK in headers', sign: signedBySmithy, kind: 'header-v4' },
  { signer: 'the AWS SDK in a URL', sign: presignedBySmithy, kind: 'presigned-v4' },
  { signer: 'the minio client in headers', sign: signedByMinio, kind: 'header-v4' },
  { signer: 'the minio client in a URL', sign: presignedByMinio, kind: 'presigned-v4' },
] as const;

/** What a request asks for, apart from how it is spelled. */
function meaning(input: ExchangeRequest): unknown {
  const headers = [...input.headers.names()]
    .filter((each) => each !== 'authorization' && each !== 'content-type')
    .map((each) => [
      each,
      (input.headers.get(each) ?? '')
        .split(/[ \t\n\v\f\r]+/)
        .filter((word) => word !== '')
        .join(' '),
    ]);
  return {
    method: input.method,
    path: decodePath(input.rawPath),
    query: parseQuery(input.rawQuery)
      .map((pair) => pair.join('\0'))
      .sort(),
    headers: headers.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  };
}

/** The request with one character of one part changed, inserted or removed. */
function tamper(input: ExchangeRequest, place: number, change: number, character: string): ExchangeRequest {
  const alter = (text: string, at: number): string => {
    if (change === 0) return text.slice(0, at) + character + text.slice(at + 1);
    if (change === 1) return text.slice(0, at) + character + text.slice(at);
    return text.slice(0, at) + text.slice(at + 1);
  };
  // Only what is signed: content-type is not, by choice of the minio client.
  const names = [...input.headers.names()].filter((each) => each !== 'content-type');
  const parts = [input.method, input.rawPath, input.rawQuery, ...names.map((each) => input.headers.get(each) ?? '')];
  const index = place % parts.length;
  const part = parts[index] ?? '';
  const changed = parts.with(index, alter(part, Math.floor(place / parts.length) % (part.length + 1)));
  const [method = '', rawPath = '', rawQuery = '', ...values] = changed;
  return request({ method, rawPath, rawQuery, headers: names.map((each, at) => [each, values[at] ?? '']) });
}

describe.each(signers)('signed by $signer', ({ sign, kind }) => {
  it('a request verifies, and another secret refuses it', async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (sample) => {
        const input = await sign(sample);
        const credential = sample.isTemporary ? temporary : permanent;
        expect(verifyAt(input, credential)).toMatchObject({ kind, accessKey: permanent.accessKey });
        const other = { ...credential, secretKey: credential.secretKey + '.' };
        expect(() => verifyAt(input, other)).toThrow(Refusal);
      }),
      { numRuns: 150 },
    );
  });

  it('a changed request is refused, unless it means the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        requests,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 2 }), hardCharacters), { minLength: 20, maxLength: 20 }),
        async (sample, changes) => {
          const input = await sign(sample);
          const credential = sample.isTemporary ? temporary : permanent;
          for (const [place, change, character] of changes) {
            const changed = tamper(input, place, change, character);
            let isAccepted = false;
            try {
              isAccepted = verifyAt(changed, credential).kind !== 'anonymous';
            } catch (error) {
              expect(error).toBeInstanceOf(Refusal);
            }
            if (isAccepted) expect(meaning(changed)).toEqual(meaning(input));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query: QueryBag;
  readonly headers: Record<string, string>;
}

/** An S3 client that sends nothing: its requests are kept as they would go out. */
function recordingClient(credential: SigningCredential): { client: S3Client; sent: Sent[] } {
  const sent: Sent[] = [];
  const client = new S3Client({
    endpoint: 'http://granary.example:9000',
    forcePathStyle: true,
    region: 'us-east-1',
    maxAttempts: 1,
    credentials: {
      accessKeyId: credential.accessKey,
      secretAccessKey: credential.secretKey,
      ...(credential.sessionToken === null ? {} : { sessionToken: credential.sessionToken }),
    },
    requestHandler: {
      handle: (outgoing: Sent) => {
        sent.push(outgoing);
        return Promise.reject(new Error('recorded'));
      },
    },
  });
  return { client, sent };
}

describe('the S3 client of the AWS SDK', () => {
  const key = "odd key/ü/%2F/+/~!'()*/../漢😀/";
  const commands = () => [
    new GetObjectCommand({ Bucket: 'b', Key: key, Range: 'bytes=0-9', ResponseContentType: 'text/x; charset="a b"' }),
    new PutObjectCommand({ Bucket: 'b', Key: key, Body: 'text', Metadata: { a: 'two  words', b: '' } }),
    new PutObjectCommand({ Bucket: 'b', Key: key, Body: Readable.from([Buffer.from('x')]), ContentLength: 1 }),
    new UploadPartCommand({
      Bucket: 'b',
      Key: key,
      UploadId: 'a+/=',
      PartNumber: 1,
      Body: 'x',
      ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==',
    }),
    new ListObjectsV2Command({ Bucket: 'b', Prefix: 'a b+c/', Delimiter: '/', StartAfter: '%', EncodingType: 'url' }),
    new CopyObjectCommand({ Bucket: 'b', Key: key, CopySource: 'b/%E6%BC%A2?versionId=null' }),
  ];

  it.each(commands().map((command, index) => ({ name: command.constructor.name, index })))(
    'sends a $name that verifies',
    async ({ index }) => {
      for (const credential of [permanent, temporary]) {
        const { client, sent } = recordingClient(credential);
        const command = commands()[index] as GetObjectCommand | PutObjectCommand;
        const isStream = 'Body' in command.input && typeof command.input.Body !== 'string';
        await expect(client.send(command)).rejects.toThrow('recorded');
        client.destroy();
        const [outgoing] = sent;
        if (outgoing === undefined) throw new Error('nothing was sent');
        const rawQuery = Object.entries(outgoing.query)
          .map(([each, value]) => `${encodeURIComponent(each)}=${encodeURIComponent(String(value))}`)
          .join('&');
        const input = request({
          method: outgoing.method,
          rawPath: outgoing.path,
          rawQuery,
          headers: Object.entries(outgoing.headers),
        });
        const result = verifyAt(input, credential, Date.now());
        expect(result).toMatchObject({ kind: 'header-v4' });
        if (isStream) expect(result.payload).toEqual({ kind: 'unsigned-chunks' });
      }
    },
  );

  it('presigns URLs that verify', async () => {
    for (const credential of [permanent, temporary]) {
      const { client } = recordingClient(credential);
      for (const command of commands().slice(0, 2)) {
        const url = await getSignedUrl(client, command as GetObjectCommand, { expiresIn: 60 });
        // Not URL: it resolves dot segments, which are text of a key here.
        const [rawPath = '', rawQuery = ''] = url.slice(url.indexOf(host) + host.length).split('?');
        const isPut = command instanceof PutObjectCommand;
        const input = request({
          method: isPut ? 'PUT' : 'GET',
          // The SDK signs the length of the body that it knows.
          declaredBytes: isPut ? 4 : 0,
          rawPath,
          rawQuery,
          headers: [
            ['host', host],
            ['range', 'bytes=0-9'],
          ],
        });
        expect(verifyAt(input, credential, Date.now()).kind).toBe('presigned-v4');
      }
      client.destroy();
    }
  });
});
