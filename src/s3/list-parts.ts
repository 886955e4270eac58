/** ListParts: what has arrived of an unfinished upload, by part number. */
import { limits } from '../base/index.js';
import type { OperationSpec } from '../dispatch/index.js';
import { writeChecksum } from './checksum-element.js';
import type { S3Deps } from './deps.js';
import { parseCount, parseInteger } from './list-parameters.js';
import { writeOwner } from './owner.js';
import { parseUploadId } from './upload-id.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

export interface ListPartsInput {
  readonly uploadId: string;
  readonly partNumberMarker: number;
  readonly partsMax: number;
}

export const listParts: OperationSpec<ListPartsInput, S3Deps> = {
  name: 'ListParts',
  parse: ({ query }) => ({
    uploadId: parseUploadId(query),
    partNumberMarker: parseInteger(query, 'part-number-marker', 0),
    partsMax: parseCount(query, 'max-parts', limits.listKeysMax),
  }),
  permissions: ({ bucket, key }) => [{ action: 's3:ListMultipartUploadParts', bucket, key }],
  handle(deps, { bucket, key, input }) {
    const { uploadId, partNumberMarker, partsMax } = input;
    const upload = deps.objects.multipartUpload(bucket, key, uploadId);
    const page =
      partsMax === 0
        ? { parts: [], isTruncated: false }
        : deps.objects.listParts(bucket, key, uploadId, partNumberMarker, partsMax);
    const xml = new XmlWriter('ListPartsResult').text('Bucket', bucket).text('Key', key).text('UploadId', uploadId);
    writeOwner(xml, 'Initiator', deps);
    writeOwner(xml, 'Owner', deps);
    xml
      .text('StorageClass', upload.metadata.storageClass)
      .number('PartNumberMarker', partNumberMarker)
      .number('NextPartNumberMarker', page.parts.at(-1)?.partNumber ?? 0)
      .number('MaxParts', partsMax)
      .boolean('IsTruncated', page.isTruncated);
    if (upload.checksumAlgorithm !== null) xml.text('ChecksumAlgorithm', upload.checksumAlgorithm);
    if (upload.checksumType !== null) xml.text('ChecksumType', upload.checksumType);
    for (const part of page.parts) {
      xml
        .open('Part')
        .number('PartNumber', part.partNumber)
        .time('LastModified', part.modifiedMs)
        .etag('ETag', part.etag)
        .number('Size', part.bytes);
      writeChecksum(xml, part.checksum);
      xml.close();
    }
    return xmlResponse(xml.end());
  },
};
