/** The security token service at the level of bytes: forms signed here, answers read here. */
import { sign, type Request, type Target } from './wire.js';

export interface TemporaryCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  readonly expiration: string;
}

export interface StsAnswer {
  readonly status: number;
  readonly text: string;
  /** Of a refusal. */
  readonly code: string | null;
  readonly message: string | null;
  /** Of any other answer. */
  readonly credentials: TemporaryCredentials | null;
}

export const stsVersion = '2011-06-15';

export function formOf(parameters: Readonly<Record<string, string>>): string {
  return new URLSearchParams({ Version: stsVersion, ...parameters }).toString();
}

/** The request of a client that signs the digest of its form without sending it. */
export function stsRequest(parameters: Readonly<Record<string, string>>, changes: Partial<Request> = {}): Request {
  return {
    method: 'POST',
    path: '/',
    service: 'sts',
    hidesDigest: true,
    body: formOf(parameters),
    ...changes,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', ...changes.headers },
  };
}

export function signSts(target: Target, request: Request): Record<string, string> {
  return sign(target, request).headers;
}

function element(text: string, name: string): string | null {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  if (found === undefined) return null;
  return found.replace(
    /&(?:lt|gt|quot|amp);/g,
    (entity) => ({ '&lt;': '<', '&gt;': '>', '&quot;': '"' })[entity] ?? '&',
  );
}

export function readStsAnswer(status: number, text: string): StsAnswer {
  const [accessKey, secretKey] = [element(text, 'AccessKeyId'), element(text, 'SecretAccessKey')];
  const [sessionToken, expiration] = [element(text, 'SessionToken'), element(text, 'Expiration')];
  const hasAll = accessKey !== null && secretKey !== null && sessionToken !== null && expiration !== null;
  return {
    status,
    text,
    code: status >= 400 ? element(text, 'Code') : null,
    message: status >= 400 ? element(text, 'Message') : null,
    credentials: hasAll ? { accessKey, secretKey, sessionToken, expiration } : null,
  };
}

/** What a session token says, without a look at its signature. */
export function claimsOf(token: string): { header: unknown; payload: Readonly<Record<string, unknown>> } {
  const [header = '', payload = ''] = token.split('.');
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  return { header: parse(header), payload: parse(payload) };
}
