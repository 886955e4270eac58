/**
 * ListObjectVersions: objects and delete markers in one stream, by key and then the newest first, as the object
 * layer orders them. Main thread.
 */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { VersionEntry, VersionListPage } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { nameEncoder, parseEncodingType, type EncodingType, type NameEncoder } from './list-encoding.js';
import { parseCount, parseName } from './list-parameters.js';
import { writeOwner } from './owner.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

export interface ListObjectVersionsInput {
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly versionIdMarker: string;
  readonly keysMax: number;
  readonly encodingType: EncodingType;
}

export const listObjectVersions: OperationSpec<ListObjectVersionsInput, S3Deps> = {
  name: 'ListObjectVersions',
  parse({ query }) {
    const keyMarker = parseName(query, 'key-marker');
    const versionIdMarker = parseName(query, 'version-id-marker');
    if (keyMarker === '' && versionIdMarker !== '') {
      throw s3Error('NotImplemented', 'A version-id marker cannot be specified without a key marker.');
    }
    return {
      prefix: parseName(query, 'prefix'),
      delimiter: parseName(query, 'delimiter'),
      keyMarker,
      versionIdMarker,
      keysMax: parseCount(query, 'max-keys', limits.listKeysMax),
      encodingType: parseEncodingType(query),
    };
  },
  permissions: ({ bucket }) => [{ action: 's3:ListBucketVersions', bucket, key: '' }],
  async handle(deps, call) {
    const { bucket, input } = call;
    const page = await readPage(deps, call);
    const encode = nameEncoder(input.encodingType);
    const xml = new XmlWriter('ListVersionsResult')
      .text('Name', bucket)
      .text('Prefix', encode(input.prefix))
      .text('KeyMarker', encode(input.keyMarker))
      .text('VersionIdMarker', input.versionIdMarker);
    if (page.isTruncated) {
      xml.text('NextKeyMarker', encode(page.nextKeyMarker));
      if (page.nextVersionIdMarker !== '') xml.text('NextVersionIdMarker', page.nextVersionIdMarker);
    }
    xml.number('MaxKeys', input.keysMax);
    if (input.delimiter !== '') xml.text('Delimiter', encode(input.delimiter));
    if (input.encodingType !== null) xml.text('EncodingType', input.encodingType);
    xml.boolean('IsTruncated', page.isTruncated);
    for (const entry of page.entries) writeEntry(xml, entry, encode, deps);
    for (const prefix of page.commonPrefixes) xml.open('CommonPrefixes').text('Prefix', encode(prefix)).close();
    return xmlResponse(xml.end());
  },
};

function readPage(
  { objects }: S3Deps,
  { bucket, input }: Authorized<ListObjectVersionsInput>,
): Promise<VersionListPage> {
  const { prefix, delimiter, keyMarker, versionIdMarker, keysMax: countMax } = input;
  return objects.listVersions({ bucket, prefix, delimiter, keyMarker, versionIdMarker, countMax });
}

function writeEntry(xml: XmlWriter, entry: VersionEntry, encode: NameEncoder, deps: S3Deps): void {
  xml
    .open(entry.isMarker ? 'DeleteMarker' : 'Version')
    .text('Key', encode(entry.key))
    .text('VersionId', entry.versionId)
    .boolean('IsLatest', entry.isLatest)
    .time('LastModified', entry.modifiedMs);
  if (!entry.isMarker) {
    xml.etag('ETag', entry.etag);
    const { checksum } = entry;
    if (checksum !== null) xml.text('ChecksumAlgorithm', checksum.algorithm).text('ChecksumType', checksum.type);
    xml.number('Size', entry.bytes).text('StorageClass', entry.storageClass);
  }
  writeOwner(xml, 'Owner', deps);
  xml.close();
}
