/** SigV4 as a client does it, in the Authorization header, over the three headers that must be signed. */
import { createHash, createHmac } from 'node:crypto';

export interface Signer {
  /** Host header. */
  readonly host: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
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
const signedHeaders = 'host;x-amz-content-sha256;x-amz-date';

/** The headers of one request; the key of the day is derived once. */
export function createHeaderSigner(signer: Signer, now: Date): (request: UnsignedRequest) => Record<string, string> {
  const amzDate = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const day = amzDate.slice(0, 8);
  const scope = `${day}/${signer.region}/s3/aws4_request`;
  let key: Buffer | string = `AWS4${signer.secretKey}`;
  for (const part of [day, signer.region, 's3', 'aws4_request']) key = createHmac('sha256', key).update(part).digest();
  const signingKey = key;
  return ({ method, path, query, payloadHash }) => {
    const headers = `host:${signer.host}\nx-amz-content-sha256:${payloadHash}\nx-amz-date:${amzDate}\n`;
    const canonical = `${method}\n${path}\n${query}\n${headers}\n${signedHeaders}\n${payloadHash}`;
    const digest = createHash('sha256').update(canonical).digest('hex');
    const signature = createHmac('sha256', signingKey)
      .update(`AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${digest}`)
      .digest('hex');
    return {
      Host: signer.host,
      'x-amz-content-sha256': payloadHash,
      'x-amz-date': amzDate,
      Authorization: `AWS4-HMAC-SHA256 Credential=${signer.accessKey}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
    };
  };
}
