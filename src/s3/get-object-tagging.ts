import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { parseVersionId } from './parameters.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

/**
 * Tags can not be set yet, so no object has any: the set is empty. The AWS CLI asks before it copies a large
 * object on the server, and gives up without an answer.
 */
export const getObjectTagging: OperationSpec<{ readonly versionId: string }, S3Deps> = {
  name: 'GetObjectTagging',
  parse: (call) => ({ versionId: parseVersionId(call) }),
  permissions: ({ bucket, key }, { versionId }) => [
    { action: versionId === '' ? 's3:GetObjectTagging' : 's3:GetObjectVersionTagging', bucket, key },
  ],
  handle(deps, { bucket, key, input }) {
    const { versionId } = deps.objects.head(bucket, key, input.versionId);
    const xml = new XmlWriter('Tagging').open('TagSet').close().end();
    return xmlResponse(xml, versionId === 'null' ? [] : [['x-amz-version-id', versionId]]);
  },
};
