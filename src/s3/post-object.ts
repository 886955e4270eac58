/**
 * PostObject: a browser's form upload. The form carries the signature, over a policy that says what may be
 * uploaded; the fields take the place of headers.
 */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import { HeaderMap, type ExchangeResponse } from '../exchange/index.js';
import type { Checksum, ObjectInfo } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { parseBoundary, type FormHead } from './form-data.js';
import { FormUpload } from './form-upload.js';
import { ingest, type IngestBody } from './ingest.js';
import { parseObjectMetadata, refuseUnsupportedWrite } from './metadata.js';
import { checksumHeaders } from './object-headers.js';
import { checkLengthRange, checkPostPolicy, parsePostPolicy, type PostPolicy } from './post-policy.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

export interface PostObjectInput {
  readonly boundary: string;
}

export const postObject: OperationSpec<PostObjectInput, S3Deps> = {
  name: 'PostObject',
  parse({ request }) {
    const boundary = parseBoundary(request.headers.get('content-type') ?? '');
    if (boundary === null) {
      throw s3Error('PreconditionFailed', undefined, {
        Condition: 'Bucket POST must be of the enclosure-type multipart/form-data',
      });
    }
    if (request.body.declaredBytes === null) throw s3Error('MissingContentLength');
    return { boundary };
  },
  // Who asks is known once the fields are read: decided in `admit`, before anything is stored.
  permissions: () => [],
  handle: post,
};

async function post(deps: S3Deps, call: Authorized<PostObjectInput>): Promise<ExchangeResponse> {
  const { authentication, payload } = call;
  if (authentication.kind !== 'anonymous' || authentication.payload.kind !== 'unsigned') {
    throw s3Error('InvalidArgument', 'A form upload is signed by the policy in its form, and in no other way.');
  }
  const form = new FormUpload(payload, call.input.boundary);
  try {
    const head = await form.fields();
    const upload = await admit(deps, call, head);
    return await store(deps, call, upload, await form.file());
  } catch (error) {
    payload.detach();
    throw error;
  }
}

interface AdmittedForm {
  readonly key: string;
  readonly fields: ReadonlyMap<string, string>;
  readonly policy: PostPolicy | null;
}

/** Verifies, authorizes and applies the policy. */
async function admit(
  deps: S3Deps,
  call: Authorized<PostObjectInput>,
  { fields, fileName }: FormHead,
): Promise<AdmittedForm> {
  const { bucket } = call;
  const template = fields.get('key');
  if (template === undefined || template === '') {
    throw s3Error('InvalidArgument', "Bucket POST must contain a field named 'key'.", { ArgumentName: 'key' });
  }
  const key = template.replaceAll('${filename}', () => fileName);
  if (key === '' || key.includes('\0'))
    throw s3Error('InvalidArgument', 'The key is not valid.', { ArgumentName: 'key' });
  if (Buffer.byteLength(key) > limits.keyBytesMax) throw s3Error('KeyTooLongError');
  call.authenticateForm((name) => fields.get(name));
  const text = fields.get('policy');
  const policy = text === undefined ? null : parsePostPolicy(text);
  if (policy !== null) {
    const asApplied = new Map(fields).set('key', key).set('bucket', bucket);
    checkPostPolicy(policy, asApplied, deps.clock.nowMs());
  }
  if (!(await call.isAllowed({ action: 's3:PutObject', bucket, key, headers: headersOf(fields) })))
    throw s3Error('AccessDenied');
  // The bucket answers first: no file is read for one that is not there.
  deps.objects.bucket(bucket);
  return { key, fields, policy };
}

async function store(
  deps: S3Deps,
  call: Authorized<PostObjectInput>,
  { key, fields, policy }: AdmittedForm,
  file: IngestBody,
): Promise<ExchangeResponse> {
  const { bucket } = call;
  const headers = headersOf(fields);
  refuseUnsupportedWrite(headers);
  const metadata = parseObjectMetadata(headers);
  if (policy !== null) checkLengthRange(policy, file.contentBytes() ?? 0);
  const options = { storageClass: metadata.storageClass, algorithm: null };
  const { upload, checksum } = await ingest(deps, { request: { headers }, payload: file, bucket, key }, options);
  const info = await upload.commitObject({ metadata, checksum, precondition: null });
  return answer(call, fields, info, checksum);
}

/** Fields that are headers of PutObject under another name. */
const headerOfField: Readonly<Record<string, string>> = { acl: 'x-amz-acl', tagging: 'x-amz-tagging' };
const headerFields: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-type',
  'expires',
]);
/** Of the signature. */
const signatureFields: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-signature',
]);

function headersOf(fields: ReadonlyMap<string, string>): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of fields) {
    const header = headerOfField[name] ?? name;
    if (signatureFields.has(header)) continue;
    if (headerFields.has(header) || header.startsWith('x-amz-')) headers.append(header, value);
  }
  return headers;
}

function answer(
  { request, bucket }: Authorized<PostObjectInput>,
  fields: ReadonlyMap<string, string>,
  info: ObjectInfo,
  checksum: Checksum | null,
): ExchangeResponse {
  const etag = `"${info.etag}"`;
  const location = `${request.secure ? 'https' : 'http'}://${request.headers.get('host') ?? ''}${objectPath(request.rawPath, info.key)}`;
  const common = [['ETag', etag] as const, ...checksumHeaders(checksum)];
  if (info.versionId !== 'null') common.push(['x-amz-version-id', info.versionId]);
  const redirect = redirectUrl(fields.get('success_action_redirect') ?? fields.get('redirect') ?? '');
  if (redirect !== null) {
    redirect.searchParams.append('bucket', bucket);
    redirect.searchParams.append('key', info.key);
    redirect.searchParams.append('etag', etag);
    return { status: 303, headers: [...common, ['Location', redirect.href]], body: { kind: 'empty' } };
  }
  const headers = [...common, ['Location', location] as const];
  const wished = fields.get('success_action_status');
  if (wished === '201') {
    const document = new XmlWriter('PostResponse', null)
      .text('Location', location)
      .text('Bucket', bucket)
      .text('Key', info.key)
      .etag('ETag', info.etag)
      .end();
    const response = xmlResponse(document);
    return { ...response, status: 201, headers: [...response.headers, ...headers] };
  }
  return { status: wished === '200' ? 200 : 204, headers, body: { kind: 'empty' } };
}

/** In the style that the form was posted in: the path names the bucket, or the host does. */
function objectPath(rawPath: string, key: string): string {
  const bucketPath = rawPath.endsWith('/') ? rawPath : `${rawPath}/`;
  return bucketPath + key.split('/').map(encodeURIComponent).join('/');
}

/** Null for what is no address of a page: S3 then answers as if there were none. */
function redirectUrl(text: string): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : null;
}
