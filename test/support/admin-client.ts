/** The administration API at the level of bytes: requests signed for no region, payloads sealed here. */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import { keyDerivation } from '../../src/native/index.js';
import { send, type Answer, type Target } from './wire.js';

export interface AdminCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

/** Of an answer in JSON, however deep. */
export interface Json {
  readonly [name: string]: Json;
}

export interface AdminAnswer {
  readonly status: number;
  /** Of a refusal. */
  readonly code: string | null;
  readonly message: string | null;
  readonly headers: Answer['headers'];
  readonly body: Buffer;
  /** Opened or plain, parsed. */
  json(): Promise<Json>;
  opened(): Promise<Buffer>;
}

export interface AdminRequest {
  readonly method: string;
  /** Behind `/minio/admin/v3/`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | string;
  /** Sent as it is. */
  readonly body?: Uint8Array | string;
  /** Sent as JSON under the secret key. */
  readonly sealed?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type AdminClient = (request: AdminRequest) => Promise<AdminAnswer>;

export function adminClient(target: Pick<Target, 'port'>, credentials: AdminCredentials): AdminClient {
  const { accessKey, secretKey, sessionToken } = credentials;
  return async ({ method, path, query = {}, body, sealed, headers = {} }) => {
    const text = typeof query === 'string' ? query : new URLSearchParams(query).toString().replaceAll('+', '%20');
    const answer = await send(
      { port: target.port, accessKey, secretKey, region: '' },
      {
        method,
        path: `/minio/admin/v3/${path}`,
        ...(text !== '' && { query: text }),
        body: sealed === undefined ? (body ?? '') : seal(secretKey, Buffer.from(JSON.stringify(sealed))),
        headers: {
          'content-type': 'application/octet-stream',
          ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
          ...headers,
        },
      },
    );
    return adminAnswer(answer, secretKey);
  };
}

export function adminAnswer({ status, headers, body }: Answer, secretKey: string): AdminAnswer {
  const refusal = (status >= 400 ? tryParse(body) : null) as { Code?: string; Message?: string } | null;
  const opened = () => open(secretKey, body);
  return {
    status,
    headers,
    code: refusal?.Code ?? null,
    message: refusal?.Message ?? null,
    body,
    opened,
    json: async () => (tryParse(body) ?? JSON.parse((await opened()).toString())) as Json,
  };
}

function tryParse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return null;
  }
}

const chunkBytes = 16_384;

function nonce(prefix: Buffer, number: number): Buffer {
  const counter = Buffer.alloc(4);
  counter.writeUInt32LE(number);
  return Buffer.concat([prefix, counter]);
}

function gcm(key: Uint8Array, iv: Buffer, associated: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(associated);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** With PBKDF2, the kind that costs a test least. */
export function seal(secretKey: string, plain: Buffer): Buffer {
  const salt = randomBytes(32);
  const prefix = randomBytes(8);
  const key = pbkdf2Sync(secretKey, salt, 8192, 32, 'sha256');
  const tag = gcm(key, nonce(prefix, 0), Buffer.alloc(0), Buffer.alloc(0));
  const chunks: Buffer[] = [];
  for (let at = 0; at === 0 || at < plain.length; at += chunkBytes) {
    const flag = Buffer.of(at + chunkBytes >= plain.length ? 0x80 : 0);
    const iv = nonce(prefix, chunks.length + 1);
    chunks.push(gcm(key, iv, Buffer.concat([flag, tag]), plain.subarray(at, at + chunkBytes)));
  }
  return Buffer.concat([salt, Buffer.of(2), prefix, ...chunks]);
}

export async function open(secretKey: string, sealed: Buffer): Promise<Buffer> {
  const salt = sealed.subarray(0, 32);
  const prefix = sealed.subarray(33, 41);
  if (sealed[32] !== 0) throw new Error('not sealed with Argon2id and AES-GCM');
  const key = await keyDerivation.argon2id(Buffer.from(secretKey), salt, 1, 65_536, 4, 32);
  const tag = gcm(key, nonce(prefix, 0), Buffer.alloc(0), Buffer.alloc(0));
  const chunks: Buffer[] = [];
  for (let at = 41; at < sealed.length; at += chunkBytes + 16) {
    const end = Math.min(at + chunkBytes + 16, sealed.length);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(prefix, chunks.length + 1));
    decipher.setAAD(Buffer.concat([Buffer.of(end === sealed.length ? 0x80 : 0), tag]));
    decipher.setAuthTag(sealed.subarray(end - 16, end));
    chunks.push(Buffer.concat([decipher.update(sealed.subarray(at, end - 16)), decipher.final()]));
  }
  return Buffer.concat(chunks);
}
