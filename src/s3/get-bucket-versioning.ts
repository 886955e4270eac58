import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

/** The element is empty where versioning was never enabled. */
export const getBucketVersioning: OperationSpec<null, S3Deps> = {
  name: 'GetBucketVersioning',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:GetBucketVersioning', bucket, key: '' }],
  handle(deps, { bucket }) {
    const { status, excludedPrefixes, excludesFolders } = deps.objects.versioning(bucket);
    const xml = new XmlWriter('VersioningConfiguration');
    if (status !== null) xml.text('Status', status);
    for (const prefix of excludedPrefixes) xml.open('ExcludedPrefixes').text('Prefix', prefix).close();
    if (excludesFolders) xml.boolean('ExcludeFolders', true);
    return xmlResponse(xml.end());
  },
};
