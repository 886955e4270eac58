/** Requests without a socket, and the kernels of the signature room on node:crypto: an oracle of its own. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal } from '../../../src/base/index.js';
import { HeaderMap, type ExchangeRequest } from '../../../src/exchange/index.js';
import type { SignatureKernels, SigningCredential, VerifyOptions } from '../../../src/signature/index.js';

export const hmac = (key: Uint8Array | string, message: Uint8Array | string): Buffer =>
  createHmac('sha256', key).update(message).digest();
export const sha256Hex = (message: Uint8Array | string): string => createHash('sha256').update(message).digest('hex');

export const deriveKey = (secret: string, date: string, region: string, service: string): Buffer =>
  hmac(hmac(hmac(hmac('AWS4' + secret, date), region), service), 'aws4_request');

export function signatureOf(key: Uint8Array, amzDate: string, scope: string, canonicalRequest: string): string {
  return hmac(key, `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${sha256Hex(canonicalRequest)}`).toString('hex');
}

/** Counts key derivations, for the tests of the cache. */
export function nodeKernels(): SignatureKernels & { derivationCount: number } {
  const kernels = {
    derivationCount: 0,
    createSigningKey(secret: string, date: string, region: string, service: string): Uint8Array {
      kernels.derivationCount++;
      return deriveKey(secret, date, region, service);
    },
    verifyRequest(key: Uint8Array, amzDate: string, scope: string, canonicalRequest: string, text: string): boolean {
      return kernels.constantTimeEqual(signatureOf(key, amzDate, scope, canonicalRequest), text);
    },
    constantTimeEqual(a: Uint8Array | string, b: Uint8Array | string): boolean {
      return Buffer.byteLength(a) === Buffer.byteLength(b) && timingSafeEqual(Buffer.from(a), Buffer.from(b));
    },
    sha256Hex,
    hmacSha1(key: Uint8Array, message: Uint8Array | string): Uint8Array {
      return createHmac('sha1', key).update(message).digest();
    },
  };
  return kernels;
}

export interface RequestParts {
  readonly method?: string;
  readonly rawPath?: string;
  readonly rawQuery?: string;
  readonly headers?: Iterable<readonly [string, string]>;
  /** Null: chunked transfer coding. */
  readonly declaredBytes?: number | null;
}

export function request(parts: RequestParts): ExchangeRequest {
  return {
    id: '0000000000000001',
    method: parts.method ?? 'GET',
    rawPath: parts.rawPath ?? '/',
    rawQuery: parts.rawQuery ?? '',
    headers: HeaderMap.from(parts.headers ?? []),
    remoteAddress: '127.0.0.1',
    secure: false,
    body: {
      declaredBytes: parts.declaredBytes === undefined ? 0 : parts.declaredBytes,
      consume: () => {},
      pause: () => {},
      resume: () => {},
    },
    isAborted: () => false,
    onAborted: () => {},
  };
}

export const exampleCredential: SigningCredential = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
};

export const exampleDate = '20130524T000000Z';
export const exampleNowMs = Date.UTC(2013, 4, 24);

export function optionsFor(credential: SigningCredential, changes: Partial<VerifyOptions> = {}): VerifyOptions {
  return {
    service: 's3',
    region: 'us-east-1',
    nowMs: exampleNowMs,
    lookup: (accessKey) => (accessKey === credential.accessKey ? credential : null),
    ...changes,
  };
}

/** What `act` refuses with; fails when it does not refuse. */
export function refusalOf(act: () => unknown): Refusal {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return error as Refusal;
    throw error;
  }
  throw new Error('expected a refusal');
}

const unreserved = /[A-Za-z0-9\-._~]/;

/** Percent-encoding byte by byte, written apart from the code under test. */
export function referenceEncode(text: string, keepSlash: boolean): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const character = String.fromCharCode(byte);
    const isKept = byte < 0x80 && (unreserved.test(character) || (keepSlash && character === '/'));
    encoded += isKept ? character : '%' + byte.toString(16).toUpperCase().padStart(2, '0');
  }
  return encoded;
}
