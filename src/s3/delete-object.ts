import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { ExchangeResponse, HeaderPairs } from '../exchange/index.js';
import type { WritePrecondition } from '../object/index.js';
import { parseEntityTags } from './conditional.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { forEachVersion } from './every-version.js';
import { parseVersionId } from './parameters.js';

export interface DeleteObjectInput {
  /** x-minio-force-delete: every version of the key and of all keys below it, for good. */
  readonly isForced: boolean;
  readonly versionId: string;
  readonly precondition: WritePrecondition | null;
}

/** Conditions that we do not have: a delete that ignores them would delete too much. */
const unsupportedConditions = ['x-amz-if-match-last-modified-time', 'x-amz-if-match-size', 'if-none-match'];

export const deleteObject: OperationSpec<DeleteObjectInput, S3Deps> = {
  name: 'DeleteObject',
  parse(call) {
    const { headers } = call.request;
    for (const name of unsupportedConditions) {
      if (headers.has(name)) throw s3Error('NotImplemented', undefined, { Header: name });
    }
    const ifMatch = headers.get('if-match');
    const isForced = parseForced(headers.get('x-minio-force-delete'));
    const versionId = parseVersionId(call);
    if (isForced && (versionId !== '' || ifMatch !== undefined)) {
      throw s3Error('InvalidRequest', 'A forced delete takes neither a version nor a condition.');
    }
    return {
      isForced,
      versionId,
      precondition: ifMatch === undefined ? null : { ifMatch: parseEntityTags(ifMatch) },
    };
  },
  permissions({ bucket, key }, { versionId, isForced }) {
    if (isForced) return ['s3:DeleteObject', 's3:DeleteObjectVersion'].map((action) => ({ action, bucket, key }));
    return [{ action: versionId === '' ? 's3:DeleteObject' : 's3:DeleteObjectVersion', bucket, key }];
  },
  async handle(deps, call) {
    if (call.input.isForced) return deleteBelow(deps, call);
    const { versionId, precondition } = call.input;
    const outcome = await deps.objects.deleteObject(call.bucket, call.key, versionId, precondition);
    const headers: [string, string][] = [];
    if (outcome.versionId !== null) headers.push(['x-amz-version-id', outcome.versionId]);
    if (outcome.isMarker) headers.push(['x-amz-delete-marker', 'true']);
    return noContent(headers);
  },
};

/** The key itself, and what lies below it as if it were a folder. Page by page and not as one step. */
async function deleteBelow({ objects }: S3Deps, call: Authorized<DeleteObjectInput>): Promise<ExchangeResponse> {
  const { bucket, key } = call;
  const folder = key.endsWith('/') ? key : `${key}/`;
  const isBelow = (name: string): boolean => name === key || name.startsWith(folder);
  for (const prefix of new Set([key, folder])) {
    await forEachVersion(objects, call, prefix, async (page) => {
      const versions = page.filter((version) => isBelow(version.key));
      for (const { key: name } of versions) {
        for (const action of ['s3:DeleteObject', 's3:DeleteObjectVersion']) {
          if (!(await call.isAllowed({ action, bucket, key: name }))) throw s3Error('AccessDenied');
        }
      }
      await Promise.all(versions.map((version) => objects.deleteObject(bucket, version.key, version.versionId, null)));
      // Keys that only begin with the same characters would be read through for nothing.
      return page.length === versions.length;
    });
  }
  return noContent([]);
}

function noContent(headers: HeaderPairs): ExchangeResponse {
  return { status: 204, headers, body: { kind: 'empty' } };
}

function parseForced(value: string | undefined): boolean {
  const text = value?.trim().toLowerCase() ?? 'false';
  if (text !== 'true' && text !== 'false') {
    throw s3Error('InvalidArgument', 'The x-minio-force-delete header must be true or false.');
  }
  return text === 'true';
}
