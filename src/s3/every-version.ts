import { limits } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import type { ObjectLayer, VersionEntry } from '../object/index.js';

interface Caller {
  readonly request: Pick<ExchangeRequest, 'isAborted'>;
  readonly bucket: string;
}

/**
 * All versions under a prefix, page by page in one pass of key order, so that it ends. It stops when `visit`
 * answers false, and for a client that went away.
 */
export async function forEachVersion(
  objects: ObjectLayer,
  { request, bucket }: Caller,
  prefix: string,
  visit: (page: readonly VersionEntry[]) => Promise<boolean>,
): Promise<void> {
  let keyMarker = '';
  let versionIdMarker = '';
  for (;;) {
    const page = await objects.listVersions({
      bucket,
      prefix,
      delimiter: '',
      keyMarker,
      versionIdMarker,
      countMax: limits.listKeysMax,
    });
    const goesOn = await visit(page.entries);
    if (!goesOn || !page.isTruncated || request.isAborted()) return;
    keyMarker = page.nextKeyMarker;
    versionIdMarker = page.nextVersionIdMarker;
  }
}
