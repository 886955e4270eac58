/** One request as an audit entry, in the form that collectors of other servers of this API read. No secrets. */
import { shownAnswerHeaders, shownQuery, shownRequestHeaders } from './redact.js';
import type { RequestRecord, RequestWire } from './requests.js';

export interface AuditNames {
  readonly deploymentId: string;
  readonly endpoint: string;
  readonly siteName: string;
}

const formVersion = '1';
const claimsMax = 64;

export function auditEntry(
  record: RequestRecord,
  request: Omit<RequestWire, 'answerHeaders'>,
  answer: RequestWire['answerHeaders'],
  { deploymentId, endpoint, siteName }: AuditNames,
  nowMs: number,
): string {
  const { account, accessKey, claims, errorCode } = record;
  return JSON.stringify({
    version: formVersion,
    deploymentid: deploymentId,
    ...(siteName !== '' && { siteName }),
    time: new Date(nowMs).toISOString(),
    event: '',
    trigger: 'incoming',
    api: {
      ...(record.operation !== null && { name: record.operation }),
      ...(record.bucket !== '' && { bucket: record.bucket }),
      ...objectOf(record),
      status: errorCode ?? (record.status < 400 ? 'OK' : String(record.status)),
      statusCode: record.status,
      rx: record.bytesReceived,
      tx: record.bytesSent,
      ...timed('timeToFirstByte', record.timeToFirstByteMs),
      ...timed('timeToResponse', record.durationMs),
    },
    remotehost: record.remoteAddress,
    requestID: record.requestId,
    ...(record.userAgent !== null && { userAgent: record.userAgent }),
    requestPath: record.rawPath,
    requestHost: request.headers.get('host') ?? '',
    requestNode: endpoint,
    ...(claims.size > 0 && { requestClaims: Object.fromEntries([...claims].slice(0, claimsMax)) }),
    requestQuery: queryOf(request.rawQuery),
    requestHeader: joined(shownRequestHeaders(request.headers)),
    responseHeader: joined(shownAnswerHeaders(answer)),
    ...(accessKey !== null && { accessKey }),
    ...(account !== null && account !== accessKey && { parentUser: account }),
    ...(errorCode !== null && { error: errorCode }),
  });
}

/** What the path says behind the bucket; nothing where it is no object's. */
function objectOf({ bucket, rawPath }: RequestRecord): { readonly object?: string } {
  if (bucket === '') return {};
  const path = decoded(rawPath);
  const isPathStyle = path === `/${bucket}` || path.startsWith(`/${bucket}/`);
  const object = path.slice(isPathStyle ? bucket.length + 2 : 1);
  return object === '' ? {} : { object };
}

function timed(name: string, ms: number): Readonly<Record<string, string>> {
  const nanoseconds = Math.round(ms * 1e6);
  return { [name]: `${nanoseconds}ns`, [`${name}InNS`]: String(nanoseconds) };
}

function queryOf(rawQuery: string): Readonly<Record<string, string>> {
  return Object.fromEntries(new URLSearchParams(shownQuery(rawQuery)));
}

function joined(headers: Readonly<Record<string, readonly string[]>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(',')]));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
