import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import {
  copyBytes,
  copyPermissions,
  openCopySource,
  parseCopySource,
  sourceVersionHeaders,
  type CopySource,
} from './copy-source.js';
import type { S3Deps } from './deps.js';
import { refuseUnsupportedWrite } from './metadata.js';
import { parsePartTarget, type PartTarget } from './parameters.js';
import { resolveCopyRange, type ByteRange } from './range.js';
import { xmlResponse, XmlWriter } from './xml/index.js';

export interface UploadPartCopyInput extends PartTarget {
  readonly source: CopySource;
  readonly range: string | null;
}

export const uploadPartCopy: OperationSpec<UploadPartCopyInput, S3Deps> = {
  name: 'UploadPartCopy',
  parse(call) {
    const { headers } = call.request;
    refuseUnsupportedWrite(headers);
    return {
      ...parsePartTarget(call),
      source: parseCopySource(headers),
      range: headers.get('x-amz-copy-source-range') ?? null,
    };
  },
  permissions: ({ bucket, key }, { source }) => copyPermissions(bucket, key, source),
  handle: copyPart,
};

async function copyPart(deps: S3Deps, call: Authorized<UploadPartCopyInput>): Promise<ExchangeResponse> {
  const { uploadId, partNumber, source, range } = call.input;
  const { metadata, checksumAlgorithm } = deps.objects.multipartUpload(call.bucket, call.key, uploadId);
  const snapshot = openCopySource(deps, source);
  let bytes: ByteRange;
  try {
    bytes =
      range === null ? { startByte: 0, endByte: snapshot.info.bytes } : resolveCopyRange(range, snapshot.info.bytes);
  } catch (error) {
    snapshot.close();
    throw error;
  }
  const target = { storageClass: metadata.storageClass, algorithm: checksumAlgorithm };
  const { upload, checksum } = await copyBytes(deps, call, snapshot, bytes, target);
  const part = await upload.commitPart({ uploadId, partNumber, checksum });
  const xml = new XmlWriter('CopyPartResult').time('LastModified', part.modifiedMs).etag('ETag', part.etag);
  if (checksum !== null) xml.text(`Checksum${checksum.algorithm}`, checksum.value);
  return xmlResponse(xml.end(), sourceVersionHeaders(snapshot.info));
}
