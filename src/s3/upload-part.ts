import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { ingest } from './ingest.js';
import { refuseUnsupportedWrite } from './metadata.js';
import { checksumHeaders } from './object-headers.js';
import { parsePartTarget, type PartTarget } from './parameters.js';

export const uploadPart: OperationSpec<PartTarget, S3Deps> = {
  name: 'UploadPart',
  parse(call) {
    refuseUnsupportedWrite(call.request.headers);
    return parsePartTarget(call);
  },
  permissions: ({ bucket, key }) => [{ action: 's3:PutObject', bucket, key }],
  handle: upload,
};

async function upload(deps: S3Deps, call: Authorized<PartTarget>): Promise<ExchangeResponse> {
  const { uploadId, partNumber } = call.input;
  const { metadata, checksumAlgorithm } = deps.objects.multipartUpload(call.bucket, call.key, uploadId);
  const ingested = await ingest(deps, call, { storageClass: metadata.storageClass, algorithm: checksumAlgorithm });
  const { checksum } = ingested;
  const part = await ingested.upload.commitPart({ uploadId, partNumber, checksum });
  const headers = [['ETag', `"${part.etag}"`] as const, ...checksumHeaders(checksum).slice(0, 1)];
  return { status: 200, headers, body: { kind: 'empty' } };
}
