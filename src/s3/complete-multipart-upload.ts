/**
 * CompleteMultipartUpload. No byte is copied: the object is one record that refers to its parts, so the answer
 * needs no early 200. A repeated request gets the same answer, since the first one may not have reached the client.
 */
import { limits, Refusal } from '../base/index.js';
import type { Authorized, OperationSpec, ParsedCall } from '../dispatch/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { Checksum, CompletedPart, MultipartUploadInfo, ObjectInfo, WritePrecondition } from '../object/index.js';
import {
  checksumAlgorithms,
  checksumHeader,
  parseChecksumValue,
  parseContentMd5,
  verifyContentMd5,
} from './checksum.js';
import { writeChecksum } from './checksum-element.js';
import { completedParts, parseCompleteDocument } from './complete-document.js';
import { parseWritePrecondition } from './conditional.js';
import { parseChecksumType } from './create-multipart-upload.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { refuseUnsupportedWrite } from './metadata.js';
import { versionHeaders } from './object-headers.js';
import { parseUploadId } from './upload-id.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

/** What the client says about the whole object. */
interface ObjectClaims {
  readonly checksum: Pick<Checksum, 'algorithm' | 'value'> | null;
  readonly checksumType: Checksum['type'] | null;
  readonly objectBytes: number | null;
}

export interface CompleteMultipartUploadInput extends ObjectClaims {
  readonly uploadId: string;
  readonly precondition: WritePrecondition | null;
}

export const completeMultipartUpload: OperationSpec<CompleteMultipartUploadInput, S3Deps> = {
  name: 'CompleteMultipartUpload',
  parse({ request: { headers }, query }) {
    refuseUnsupportedWrite(headers);
    return {
      uploadId: parseUploadId(query),
      precondition: parseWritePrecondition(headers),
      checksum: parseObjectChecksum(headers),
      checksumType: parseChecksumType(headers),
      objectBytes: parseObjectBytes(headers),
    };
  },
  permissions: ({ bucket, key }) => [{ action: 's3:PutObject', bucket, key }],
  async handle(deps, call) {
    const { bucket, key, input } = call;
    const listed = await parseCompleteDocument(await readBody(deps, call));
    const { uploadId, precondition, checksum } = input;
    const upload = pendingUpload(deps, call);
    const parts = completedParts(listed, upload);
    if (upload !== null) checkClaims(deps, upload, parts, input);
    const info = await deps.objects.completeMultipartUpload({ bucket, key, uploadId, parts, precondition, checksum });
    checkAnswer(info, input);
    return answer(call, info);
  },
};

/** The checksum headers of this request are about the object, not about this body. */
async function readBody(deps: S3Deps, { request, payload }: Authorized<unknown>): Promise<Uint8Array> {
  const md5 = parseContentMd5(request.headers);
  const { bytes } = await payload.collect(limits.completeBodyBytesMax);
  if (md5 !== null) verifyContentMd5(md5, deps.digest('md5', bytes));
  return bytes;
}

/** Null when it is completed already, or was never there: the object layer knows which. */
function pendingUpload(
  { objects }: S3Deps,
  { bucket, key, input }: Authorized<CompleteMultipartUploadInput>,
): MultipartUploadInfo | null {
  try {
    return objects.multipartUpload(bucket, key, input.uploadId);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'NoSuchUpload') return null;
    throw error;
  }
}

/** Before anything is committed. */
function checkClaims(
  { objects }: S3Deps,
  upload: MultipartUploadInfo,
  parts: readonly CompletedPart[],
  { checksum, checksumType, objectBytes }: ObjectClaims,
): void {
  if (checksumType !== null && checksumType !== upload.checksumType) throw typeMismatch();
  const algorithm = upload.checksumAlgorithm;
  if (checksum !== null && checksum.algorithm !== algorithm) {
    const made = algorithm === null ? 'without a checksum' : `using a ${algorithm.toLowerCase()} checksum`;
    throw s3Error(
      'InvalidRequest',
      `The upload was created ${made}: a ${checksum.algorithm} value cannot be compared.`,
    );
  }
  if (objectBytes === null) return;
  const { bucket, key, uploadId } = upload;
  const stored = objects.listParts(bucket, key, uploadId, 0, limits.partNumberMax).parts;
  const bytesByNumber = new Map(stored.map(({ partNumber, bytes }) => [partNumber, bytes]));
  let sum = 0;
  for (const { partNumber } of parts) {
    const bytes = bytesByNumber.get(partNumber);
    // The commit refuses it, with the right code.
    if (bytes === undefined) return;
    sum += bytes;
  }
  if (sum !== objectBytes) throw sizeMismatch();
}

/** What a repeated request claims is compared with what was made; a first one was checked before. */
function checkAnswer(info: ObjectInfo, { checksum, checksumType, objectBytes }: ObjectClaims): void {
  if (objectBytes !== null && objectBytes !== info.bytes) throw sizeMismatch();
  if (info.checksum === null) return;
  if (checksumType !== null && checksumType !== info.checksum.type) throw typeMismatch();
  if (checksum === null || checksum.algorithm !== info.checksum.algorithm) return;
  if (rawValue(checksum.value) !== rawValue(info.checksum.value)) {
    throw s3Error('BadDigest', `The ${checksum.algorithm} you specified did not match the calculated checksum.`);
  }
}

function answer({ request, bucket, key }: ParsedCall, info: ObjectInfo) {
  const xml = new XmlWriter('CompleteMultipartUploadResult')
    .text('Location', locationOf(request))
    .text('Bucket', bucket)
    .text('Key', key)
    .etag('ETag', info.etag);
  writeChecksum(xml, info.checksum);
  if (info.checksum !== null) xml.text('ChecksumType', info.checksum.type);
  return xmlResponse(xml.end(), versionHeaders(info));
}

/** Where the client addressed the object, in its own style and spelling. */
function locationOf({ secure, headers, rawPath }: ParsedCall['request']): string {
  return `${secure ? 'https' : 'http'}://${headers.get('host') ?? ''}${rawPath}`;
}

function parseObjectChecksum(headers: HeaderMap): ObjectClaims['checksum'] {
  let claim: ObjectClaims['checksum'] = null;
  for (const algorithm of checksumAlgorithms) {
    const value = headers.get(checksumHeader(algorithm))?.trim();
    if (value === undefined) continue;
    if (claim !== null) {
      throw s3Error(
        'InvalidRequest',
        'Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.',
      );
    }
    parseChecksumValue(algorithm, rawValue(value));
    claim = { algorithm, value };
  }
  return claim;
}

/** Without the count of parts that a composite value ends with; clients send it with and without. */
function rawValue(value: string): string {
  return value.replace(/-[0-9]+$/, '');
}

function parseObjectBytes(headers: HeaderMap): number | null {
  const text = headers.get('x-amz-mp-object-size')?.trim();
  if (text === undefined) return null;
  if (!/^[0-9]{1,15}$/.test(text)) throw s3Error('InvalidRequest', 'Value for x-amz-mp-object-size header is invalid.');
  return Number(text);
}

function sizeMismatch(): Refusal {
  return s3Error('InvalidRequest', 'The value of x-amz-mp-object-size is not the size of the object.');
}

function typeMismatch(): Refusal {
  return s3Error('InvalidRequest', 'The value of x-amz-checksum-type is not the checksum type of the upload.');
}
