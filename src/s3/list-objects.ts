/**
 * ListObjects, both versions. Order, delimiters and pages come from the object layer; here are the parameters,
 * the markers and the documents. Main thread: 1,000 entries are about a millisecond.
 */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec, ParsedCall } from '../dispatch/index.js';
import type { ListPage } from '../object/index.js';
import { decodeContinuationToken, encodeContinuationToken } from './continuation-token.js';
import type { S3Deps } from './deps.js';
import { nameEncoder, parseEncodingType, type EncodingType, type NameEncoder } from './list-encoding.js';
import { parseCount, parseName } from './list-parameters.js';
import { writeOwner } from './owner.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

interface ListInput {
  readonly prefix: string;
  readonly delimiter: string;
  readonly keysMax: number;
  readonly encodingType: EncodingType;
  /** Where the page starts, exclusive. */
  readonly position: string;
}

export type ListObjectsV1Input = ListInput;

export interface ListObjectsV2Input extends ListInput {
  readonly startAfter: string;
  /** As sent; null on the first page. */
  readonly token: string | null;
  readonly hasOwner: boolean;
}

export const listObjectsV1: OperationSpec<ListObjectsV1Input, S3Deps> = {
  name: 'ListObjects',
  parse: ({ query }) => ({ ...parseCommon(query), position: parseName(query, 'marker') }),
  permissions: listPermissions,
  async handle(deps, call) {
    const { bucket, input } = call;
    const page = await readPage(deps, call);
    const encode = nameEncoder(input.encodingType);
    const xml = new XmlWriter('ListBucketResult')
      .text('Name', bucket)
      .text('Prefix', encode(input.prefix))
      .text('Marker', encode(input.position));
    // AWS gives it with a delimiter only. Without one it is the last key, and clients may rely on either.
    if (page.isTruncated) xml.text('NextMarker', encode(page.next));
    xml.number('MaxKeys', input.keysMax);
    writeRest(xml, input, page, encode);
    writeEntries(xml, page, encode, deps, true);
    return xmlResponse(xml.end());
  },
};

export const listObjectsV2: OperationSpec<ListObjectsV2Input, S3Deps> = {
  name: 'ListObjectsV2',
  parse({ bucket, query }) {
    const startAfter = parseName(query, 'start-after');
    const token = query.get('continuation-token') ?? null;
    const position = token === null ? startAfter : decodeContinuationToken(tokenScope(bucket), token);
    return { ...parseCommon(query), position, startAfter, token, hasOwner: query.get('fetch-owner') === 'true' };
  },
  permissions: listPermissions,
  async handle(deps, call) {
    const { bucket, input } = call;
    const page = await readPage(deps, call);
    const encode = nameEncoder(input.encodingType);
    const xml = new XmlWriter('ListBucketResult').text('Name', bucket).text('Prefix', encode(input.prefix));
    if (input.startAfter !== '') xml.text('StartAfter', encode(input.startAfter));
    if (input.token !== null) xml.text('ContinuationToken', input.token);
    if (page.isTruncated) xml.text('NextContinuationToken', encodeContinuationToken(tokenScope(bucket), page.next));
    xml.number('KeyCount', page.entries.length + page.commonPrefixes.length).number('MaxKeys', input.keysMax);
    writeRest(xml, input, page, encode);
    writeEntries(xml, page, encode, deps, input.hasOwner);
    return xmlResponse(xml.end());
  },
};

function listPermissions({ bucket }: ParsedCall) {
  return [{ action: 's3:ListBucket', bucket, key: '' }];
}

function parseCommon(query: ParsedCall['query']): Omit<ListInput, 'position'> {
  return {
    prefix: parseName(query, 'prefix'),
    delimiter: parseName(query, 'delimiter'),
    keysMax: parseCount(query, 'max-keys', limits.listKeysMax),
    encodingType: parseEncodingType(query),
  };
}

/** A token is good for any listing of its bucket. */
function tokenScope(bucket: string): string {
  return `objects/${bucket}`;
}

const emptyPage: ListPage = { entries: [], commonPrefixes: [], isTruncated: false, next: '' };

async function readPage({ objects }: S3Deps, { bucket, input }: Authorized<ListInput>): Promise<ListPage> {
  if (input.keysMax === 0) {
    objects.bucket(bucket);
    return emptyPage;
  }
  const { prefix, delimiter, position, keysMax } = input;
  return objects.list({ bucket, prefix, delimiter, startAfter: position, countMax: keysMax });
}

function writeRest(xml: XmlWriter, input: ListInput, page: ListPage, encode: NameEncoder): void {
  if (input.delimiter !== '') xml.text('Delimiter', encode(input.delimiter));
  if (input.encodingType !== null) xml.text('EncodingType', input.encodingType);
  xml.boolean('IsTruncated', page.isTruncated);
}

function writeEntries(xml: XmlWriter, page: ListPage, encode: NameEncoder, deps: S3Deps, hasOwner: boolean): void {
  for (const entry of page.entries) {
    xml.open('Contents').text('Key', encode(entry.key)).time('LastModified', entry.modifiedMs).etag('ETag', entry.etag);
    const { checksum } = entry;
    if (checksum !== null) xml.text('ChecksumAlgorithm', checksum.algorithm).text('ChecksumType', checksum.type);
    xml.number('Size', entry.bytes);
    if (hasOwner) writeOwner(xml, 'Owner', deps);
    xml.text('StorageClass', entry.storageClass).close();
  }
  for (const prefix of page.commonPrefixes) xml.open('CommonPrefixes').text('Prefix', encode(prefix)).close();
}
