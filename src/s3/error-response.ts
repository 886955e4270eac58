/**
 * The answer to a refusal. What the caller may know is in the refusal; anything else stays in the log.
 */
import type { Refusal } from '../base/index.js';
import type { ExchangeRequest, ExchangeResponse } from '../exchange/index.js';
import { AnswerRefusal, describeRefusal } from './errors.js';
import { markerHeaders, markerOf } from './delete-marker.js';
import { escapeXml } from './xml/index.js';

/** What the error document says about the request. */
export interface ErrorContext {
  readonly request: Pick<ExchangeRequest, 'id' | 'method' | 'rawPath'>;
  readonly bucket: string;
  readonly key: string;
  readonly region: string;
  readonly hostId: string;
}

/** What a client that was told to slow down should wait. */
const retryAfterSeconds = '60';

export function errorResponse(refusal: Refusal, context: ErrorContext): ExchangeResponse {
  const { code, status, message } = describeRefusal(refusal);
  const headers: (readonly [string, string])[] = refusal instanceof AnswerRefusal ? [...refusal.headers] : [];
  const marker = markerOf(refusal);
  if (marker !== null) headers.push(...markerHeaders(marker, refusal.code));
  if (status === 503 || status === 429) headers.push(['Retry-After', retryAfterSeconds]);
  const { request } = context;
  const objectBytes = refusal.detail['ActualObjectSize'];
  if (status === 416 && objectBytes !== undefined) headers.push(['Content-Range', `bytes */${objectBytes}`]);
  if (request.method === 'HEAD') {
    headers.push(['X-Minio-Error-Code', code], ['X-Minio-Error-Desc', `"${headerText(message)}"`]);
    return { status, headers, body: { kind: 'empty' } };
  }
  headers.push(['Content-Type', 'application/xml']);
  return { status, headers, body: { kind: 'bytes', bytes: errorDocument(code, message, refusal.detail, context) } };
}

function errorDocument(
  code: string,
  message: string,
  detail: Readonly<Record<string, string>>,
  { request, bucket, key, region, hostId }: ErrorContext,
): string {
  let xml = '<?xml version="1.0" encoding="UTF-8"?>\n<Error>';
  xml += element('Code', code) + element('Message', message);
  if (key !== '') xml += element('Key', key);
  if (bucket !== '') xml += element('BucketName', bucket);
  xml += element('Resource', request.rawPath);
  if (region !== '') xml += element('Region', region);
  xml += element('RequestId', request.id) + element('HostId', hostId);
  for (const [name, value] of Object.entries(detail)) {
    // SDKs read the region that a signature should have used from the one Region element.
    if (name !== 'Region' || region === '') xml += element(name, value);
  }
  return `${xml}</Error>`;
}

function element(name: string, value: string): string {
  return `<${name}>${escapeXml(value)}</${name}>`;
}

function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
