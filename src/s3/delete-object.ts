import type { OperationSpec } from '../dispatch/index.js';
import type { WritePrecondition } from '../object/index.js';
import { parseEntityTags } from './conditional.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { parseVersionId } from './parameters.js';

export interface DeleteObjectInput {
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
    return {
      versionId: parseVersionId(call),
      precondition: ifMatch === undefined ? null : { ifMatch: parseEntityTags(ifMatch) },
    };
  },
  permissions: ({ bucket, key }, { versionId }) => [
    { action: versionId === '' ? 's3:DeleteObject' : 's3:DeleteObjectVersion', bucket, key },
  ],
  async handle(deps, call) {
    const { versionId, precondition } = call.input;
    await deps.objects.deleteObject(call.bucket, call.key, versionId, precondition);
    return { status: 204, headers: [], body: { kind: 'empty' } };
  },
};
