import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

/** Versioning was never enabled on any bucket: the element is empty. */
export const getBucketVersioning: OperationSpec<null, S3Deps> = {
  name: 'GetBucketVersioning',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:GetBucketVersioning', bucket, key: '' }],
  handle(deps, { bucket }) {
    deps.objects.bucket(bucket);
    return xmlResponse(new XmlWriter('VersioningConfiguration').end());
  },
};
