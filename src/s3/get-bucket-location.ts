import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

/** The first region has no name here: that is what clients expect of it. */
const unnamedRegion = 'us-east-1';

export const getBucketLocation: OperationSpec<null, S3Deps> = {
  name: 'GetBucketLocation',
  // The answer is the region: whoever asks may not know it yet.
  anyRegion: true,
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:GetBucketLocation', bucket, key: '' }],
  handle(deps, call) {
    const bucket = deps.objects.bucket(call.bucket);
    const region = bucket.region === '' ? deps.region : bucket.region;
    return xmlResponse(new XmlWriter('LocationConstraint').content(region === unnamedRegion ? '' : region).end());
  },
};
