import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type {
  ChecksumAlgorithm,
  ObjectInfo,
  ObjectMetadata,
  ObjectSnapshot,
  WritePrecondition,
} from '../object/index.js';
import { parseChecksumAlgorithm } from './checksum.js';
import { checkPreconditionEarly, parseWritePrecondition } from './conditional.js';
import {
  copyBytes,
  copyPermissions,
  openCopySource,
  parseCopySource,
  sourceVersionHeaders,
  type CopySource,
} from './copy-source.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { parseObjectMetadata, refuseUnsupportedWrite } from './metadata.js';
import { versionHeaders } from './object-headers.js';
import { xmlResponse, XmlWriter } from './xml/index.js';

export interface CopyObjectInput {
  readonly source: CopySource;
  readonly directive: 'COPY' | 'REPLACE';
  /** As the headers of this request have it: all of it with REPLACE, else storage class and website. */
  readonly metadata: ObjectMetadata;
  readonly precondition: WritePrecondition | null;
  /** Null: the one of the source. */
  readonly algorithm: ChecksumAlgorithm | null;
  /** The request names something that a copy onto itself would change. */
  readonly changesAttributes: boolean;
}

/** Each that fails has seen another write of the key get through: dozens write one key at once when this is not enough. */
const attemptsMax = 100;
const websiteHeader = 'x-amz-website-redirect-location';

export const copyObject: OperationSpec<CopyObjectInput, S3Deps> = {
  name: 'CopyObject',
  parse({ request }) {
    const { headers } = request;
    refuseUnsupportedWrite(headers);
    const algorithm = headers.get('x-amz-checksum-algorithm');
    parseDirective('x-amz-tagging-directive', headers.get('x-amz-tagging-directive'));
    return {
      source: parseCopySource(headers),
      directive: parseDirective('x-amz-metadata-directive', headers.get('x-amz-metadata-directive')),
      metadata: parseObjectMetadata(headers),
      precondition: parseWritePrecondition(headers),
      algorithm: algorithm === undefined ? null : parseChecksumAlgorithm(algorithm),
      changesAttributes: headers.has('x-amz-storage-class') || headers.has(websiteHeader) || algorithm !== undefined,
    };
  },
  permissions: ({ bucket, key }, { source }) => copyPermissions(bucket, key, source),
  handle: copy,
};

async function copy(deps: S3Deps, call: Authorized<CopyObjectInput>): Promise<ExchangeResponse> {
  const { source, directive, precondition, changesAttributes } = call.input;
  // The destination answers first: a source is not opened for a bucket that is not there.
  deps.objects.bucket(call.bucket);
  if (precondition !== null) checkPreconditionEarly(deps.objects, call.bucket, call.key, precondition);
  const isSelf = source.bucket === call.bucket && source.key === call.key;
  // A version that is named becomes the latest again, whatever it changes.
  if (isSelf && source.versionId === '' && directive === 'COPY' && !changesAttributes) {
    throw s3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const snapshot = openCopySource(deps, source);
    const isReplacing = isSelf && keepsBytes(call.input, snapshot.info);
    const info = await (isReplacing ? replace(deps, call, snapshot) : rewrite(deps, call, snapshot));
    if (info !== null) return answer(info, snapshot.info);
    // Replaced by others since it was opened: what is there now is copied, if there is anything.
  }
  throw s3Error('SlowDownWrite', 'The object was replaced by others each time that it was to be copied. Try again.');
}

/** Same bytes, same layout on the drives, same checksum. */
function keepsBytes({ metadata, algorithm }: CopyObjectInput, source: ObjectInfo): boolean {
  const isSameChecksum = algorithm === null || algorithm === source.checksum?.algorithm;
  return isSameChecksum && metadata.storageClass === source.metadata.storageClass;
}

async function replace(
  deps: S3Deps,
  call: Authorized<CopyObjectInput>,
  snapshot: ObjectSnapshot,
): Promise<ObjectInfo | null> {
  const { precondition } = call.input;
  try {
    return await deps.objects.replaceMetadata(snapshot, copiedMetadata(call.input, snapshot.info), precondition);
  } finally {
    snapshot.close();
  }
}

async function rewrite(deps: S3Deps, call: Authorized<CopyObjectInput>, snapshot: ObjectSnapshot): Promise<ObjectInfo> {
  const { input } = call;
  const { info } = snapshot;
  const metadata = copiedMetadata(input, info);
  const algorithm = input.algorithm ?? info.checksum?.algorithm ?? null;
  const range = { startByte: 0, endByte: info.bytes };
  const { upload, checksum } = await copyBytes(deps, call, snapshot, range, {
    storageClass: metadata.storageClass,
    algorithm,
  });
  const { checksum: known } = info;
  if (known?.type === 'FULL_OBJECT' && known.algorithm === algorithm && known.value !== checksum?.value) {
    upload.abort();
    throw new Error('the bytes of a copy source do not have the checksum that is stored with them');
  }
  return upload.commitObject({ metadata, checksum, precondition: input.precondition });
}

/** Storage class and website redirect always come from the request. */
function copiedMetadata({ directive, metadata }: CopyObjectInput, source: ObjectInfo): ObjectMetadata {
  if (directive === 'REPLACE') return metadata;
  const headers = { ...source.metadata.headers };
  delete headers[websiteHeader];
  const website = metadata.headers[websiteHeader];
  if (website !== undefined) headers[websiteHeader] = website;
  return { headers, storageClass: metadata.storageClass };
}

function answer(info: ObjectInfo, source: ObjectInfo): ExchangeResponse {
  const xml = new XmlWriter('CopyObjectResult').time('LastModified', info.modifiedMs).etag('ETag', info.etag);
  if (info.checksum !== null) {
    xml.text(`Checksum${info.checksum.algorithm}`, info.checksum.value).text('ChecksumType', info.checksum.type);
  }
  return xmlResponse(xml.end(), [...versionHeaders(info), ...sourceVersionHeaders(source)]);
}

function parseDirective(header: string, value: string | undefined): 'COPY' | 'REPLACE' {
  if (value === undefined || value === 'COPY') return 'COPY';
  if (value === 'REPLACE') return 'REPLACE';
  throw s3Error('InvalidArgument', `Unknown ${header.slice('x-amz-'.length)}.`, {
    ArgumentName: header,
    ArgumentValue: value,
  });
}
