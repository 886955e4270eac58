/** SigV4 as a client does it, in the Authorization header, over the headers that must be signed. */
import { createHash, createHmac } from 'node:crypto';

export interface Signer {
  /** Host header. */
  readonly host: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  /** Of the scope; `s3` when left out. */
  readonly service?: 'sts';
}

export interface UnsignedRequest {
  readonly method: string;
  /** Percent-encoded. */
  readonly path: string;
  /** Encoded and sorted; empty for none. */
  readonly query: string;
  /** Hex SHA-256 or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string;
}

export const emptyHash = createHash('sha256').digest('hex');
export const unsignedPayload = 'UNSIGNED-PAYLOAD';

/** The headers of one request; the key of the day is derived once. */
export function createHeaderSigner(signer: Signer, now: Date): (request: UnsignedRequest) => Record<string, string> {
  const amzDate = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const day = amzDate.slice(0, 8);
  const service = signer.service ?? 's3';
  const scope = `${day}/${signer.region}/${service}/aws4_request`;
  const { sessionToken } = signer;
  const signedHeaders = `host;x-amz-content-sha256;x-amz-date${sessionToken === undefined ? '' : ';x-amz-security-token'}`;
  const tokenLine = sessionToken === undefined ? '' : `x-amz-security-token:${sessionToken}\n`;
  let key: Buffer | string = `AWS4${signer.secretKey}`;
  for (const part of [day, signer.region, service, 'aws4_request'])
    key = createHmac('sha256', key).update(part).digest();
  const signingKey = key;
  return ({ method, path, query, payloadHash }) => {
    const headers = `host:${signer.host}\nx-amz-content-sha256:${payloadHash}\nx-amz-date:${amzDate}\n${tokenLine}`;
    const canonical = `${method}\n${path}\n${query}\n${headers}\n${signedHeaders}\n${payloadHash}`;
    const digest = createHash('sha256').update(canonical).digest('hex');
    const signature = createHmac('sha256', signingKey)
      .update(`AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${digest}`)
      .digest('hex');
    return {
      Host: signer.host,
      'x-amz-content-sha256': payloadHash,
      'x-amz-date': amzDate,
      ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
      Authorization: `AWS4-HMAC-SHA256 Credential=${signer.accessKey}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
    };
  };
}
