import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { ObjectMetadata, WritePrecondition } from '../object/index.js';
import { checkPreconditionEarly, parseWritePrecondition } from './conditional.js';
import type { S3Deps } from './deps.js';
import { ingest } from './ingest.js';
import { parseObjectMetadata, refuseUnsupportedWrite } from './metadata.js';
import { checksumHeaders } from './object-headers.js';

export interface PutObjectInput {
  readonly metadata: ObjectMetadata;
  readonly precondition: WritePrecondition | null;
}

export const putObject: OperationSpec<PutObjectInput, S3Deps> = {
  name: 'PutObject',
  parse({ request }) {
    refuseUnsupportedWrite(request.headers);
    return {
      metadata: parseObjectMetadata(request.headers),
      precondition: parseWritePrecondition(request.headers),
    };
  },
  permissions: ({ bucket, key }) => [{ action: 's3:PutObject', bucket, key }],
  handle: put,
};

async function put(deps: S3Deps, call: Authorized<PutObjectInput>): Promise<ExchangeResponse> {
  const { metadata, precondition } = call.input;
  // Decided at the commit; asked here too, so that a lost race does not cost the whole upload.
  if (precondition !== null) checkPreconditionEarly(deps.objects, call.bucket, call.key, precondition);
  const { upload, checksum } = await ingest(deps, call, { storageClass: metadata.storageClass, algorithm: null });
  const info = await upload.commitObject({ metadata, checksum, precondition });
  const version: [string, string][] = info.versionId === 'null' ? [] : [['x-amz-version-id', info.versionId]];
  const headers = [['ETag', `"${info.etag}"`] as const, ...checksumHeaders(checksum), ...version];
  return { status: 200, headers, body: { kind: 'empty' } };
}
