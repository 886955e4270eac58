/** One call of the security token service, and what the credentials of its answer see. */
import type { Agent } from 'node:https';
import { Client } from 'minio';

export interface Credentials {
  readonly AccessKeyID: string;
  readonly SecretAccessKey: string;
  readonly SessionToken: string;
  /** 1: signature version 4. */
  readonly SignerType: 1;
}

/** A form that is posted to the root. Throws what the service says when it refuses. */
export async function assumeRole(
  endpoint: string,
  action: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Credentials> {
  const response = await fetch(new URL('/', endpoint), {
    method: 'POST',
    body: new URLSearchParams({ Action: action, Version: '2011-06-15', ...parameters }),
  });
  return readCredentials(response.status, await response.text());
}

/** Throws what the service says when it refuses. */
export function readCredentials(status: number, document: string): Credentials {
  const text = (name: string) => unescapeXml(new RegExp(`<${name}>([^<]*)</${name}>`).exec(document)?.[1] ?? '');
  if (status !== 200) throw new Error(`${text('Code') || `HTTP status ${status}`}: ${text('Message')}`);
  return {
    AccessKeyID: text('AccessKeyId'),
    SecretAccessKey: text('SecretAccessKey'),
    SessionToken: text('SessionToken'),
    SignerType: 1,
  };
}

function unescapeXml(text: string): string {
  const words: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text
    .replace(/&#x([0-9A-Fa-f]+);/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/&(amp|lt|gt|quot|apos);/g, (_, word: string) => words[word] ?? '');
}

/** An S3 client with temporary credentials; `agent` for a server whose authority the system does not know. */
export function clientOf(endpoint: string, credentials: Credentials, agent?: Agent): Client {
  const url = new URL(endpoint);
  return new Client({
    endPoint: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
    useSSL: url.protocol === 'https:',
    region: 'us-east-1',
    accessKey: credentials.AccessKeyID,
    secretKey: credentials.SecretAccessKey,
    sessionToken: credentials.SessionToken,
    ...(agent && { transportAgent: agent }),
  });
}

/** What the examples print. It holds a real secret: this is an example, not a thing to put into a log. */
export async function describe(endpoint: string, credentials: Credentials, agent?: Agent): Promise<string> {
  const buckets = await clientOf(endpoint, credentials, agent).listBuckets();
  return JSON.stringify({ buckets: buckets.map(({ name }) => name), credentials }, null, 2);
}
