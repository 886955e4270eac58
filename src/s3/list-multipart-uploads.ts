/** ListMultipartUploads: unfinished uploads by key, then by age as the object layer orders their ids. */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { ListUploadsPage } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { nameEncoder, parseEncodingType, type EncodingType, type NameEncoder } from './list-encoding.js';
import { parseCount, parseName } from './list-parameters.js';
import { writeOwner } from './owner.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

export interface ListMultipartUploadsInput {
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly uploadsMax: number;
  readonly encodingType: EncodingType;
}

export const listMultipartUploads: OperationSpec<ListMultipartUploadsInput, S3Deps> = {
  name: 'ListMultipartUploads',
  parse({ query }) {
    const keyMarker = parseName(query, 'key-marker');
    return {
      prefix: parseName(query, 'prefix'),
      delimiter: parseName(query, 'delimiter'),
      keyMarker,
      // Means nothing without the key that it belongs to.
      uploadIdMarker: keyMarker === '' ? '' : parseName(query, 'upload-id-marker'),
      uploadsMax: parseCount(query, 'max-uploads', limits.listKeysMax),
      encodingType: parseEncodingType(query),
    };
  },
  permissions: ({ bucket }) => [{ action: 's3:ListBucketMultipartUploads', bucket, key: '' }],
  async handle(deps, call) {
    const { bucket, input } = call;
    const page = await readPage(deps, call);
    const encode = nameEncoder(input.encodingType);
    const xml = new XmlWriter('ListMultipartUploadsResult')
      .text('Bucket', bucket)
      .text('KeyMarker', encode(input.keyMarker))
      .text('UploadIdMarker', input.uploadIdMarker);
    if (page.isTruncated) {
      xml.text('NextKeyMarker', encode(page.nextKeyMarker)).text('NextUploadIdMarker', page.nextUploadIdMarker);
    }
    xml.text('Prefix', encode(input.prefix));
    if (input.delimiter !== '') xml.text('Delimiter', encode(input.delimiter));
    if (input.encodingType !== null) xml.text('EncodingType', input.encodingType);
    xml.number('MaxUploads', input.uploadsMax).boolean('IsTruncated', page.isTruncated);
    writeUploads(xml, page, encode, deps);
    return xmlResponse(xml.end());
  },
};

const emptyPage: ListUploadsPage = {
  uploads: [],
  commonPrefixes: [],
  isTruncated: false,
  nextKeyMarker: '',
  nextUploadIdMarker: '',
};

async function readPage(
  { objects }: S3Deps,
  { bucket, input }: Authorized<ListMultipartUploadsInput>,
): Promise<ListUploadsPage> {
  if (input.uploadsMax === 0) {
    objects.bucket(bucket);
    return emptyPage;
  }
  const { prefix, delimiter, keyMarker, uploadIdMarker, uploadsMax } = input;
  return objects.listUploads({ bucket, prefix, delimiter, keyMarker, uploadIdMarker, countMax: uploadsMax });
}

function writeUploads(xml: XmlWriter, page: ListUploadsPage, encode: NameEncoder, deps: S3Deps): void {
  for (const upload of page.uploads) {
    xml.open('Upload').text('Key', encode(upload.key)).text('UploadId', upload.uploadId);
    writeOwner(xml, 'Initiator', deps);
    writeOwner(xml, 'Owner', deps);
    xml.text('StorageClass', upload.metadata.storageClass).time('Initiated', upload.initiatedMs);
    if (upload.checksumAlgorithm !== null) xml.text('ChecksumAlgorithm', upload.checksumAlgorithm);
    if (upload.checksumType !== null) xml.text('ChecksumType', upload.checksumType);
    xml.close();
  }
  for (const prefix of page.commonPrefixes) xml.open('CommonPrefixes').text('Prefix', encode(prefix)).close();
}
