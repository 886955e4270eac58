/** Headers that answers about objects have in common. */
import { httpDate } from '../base/index.js';
import { SharedHeaders, type HeaderPairs } from '../exchange/index.js';
import type { Checksum, ObjectInfo } from '../object/index.js';
import { checksumHeader } from './checksum.js';

export const noOverrides: ReadonlyMap<string, string> = new Map();

type MutablePairs = [name: string, value: string][];

/** Canonical spelling of the stored headers: some clients compare it. */
const spelling: Readonly<Record<string, string>> = {
  'cache-control': 'Cache-Control',
  'content-disposition': 'Content-Disposition',
  'content-encoding': 'Content-Encoding',
  'content-language': 'Content-Language',
  'content-type': 'Content-Type',
  expires: 'Expires',
};

/** What a cache needs: on every answer to GET and HEAD, 304 and 412 included. */
export function validatorHeaders(info: ObjectInfo): MutablePairs {
  const headers: MutablePairs = [
    ['ETag', `"${info.etag}"`],
    ['Last-Modified', httpDate(info.modifiedMs)],
  ];
  if (info.versionId !== 'null') headers.push(['x-amz-version-id', info.versionId]);
  return headers;
}

/** The null version has no header, as in MinIO: it is the only one of most buckets. */
export function versionHeaders({ versionId }: Pick<ObjectInfo, 'versionId'>): MutablePairs {
  return versionId === 'null' ? [] : [['x-amz-version-id', versionId]];
}

export function cacheHeaders(info: ObjectInfo): MutablePairs {
  const headers = validatorHeaders(info);
  for (const name of ['cache-control', 'expires']) {
    const value = info.metadata.headers[name];
    if (value !== undefined) headers.push([spelling[name] ?? name, value]);
  }
  return headers;
}

const sharedHeaders = new WeakMap<ObjectInfo, SharedHeaders>();

/** Of answers with the whole of an object that is described by this very `info`, again and again. */
export function sharedObjectHeaders(info: ObjectInfo): SharedHeaders {
  let shared = sharedHeaders.get(info);
  if (shared === undefined) {
    shared = new SharedHeaders(objectHeaders(info, noOverrides));
    sharedHeaders.set(info, shared);
  }
  return shared;
}

/** Of a whole answer. `overrides`: by lower-case name, what the request wants to see instead. */
export function objectHeaders(info: ObjectInfo, overrides: ReadonlyMap<string, string>): MutablePairs {
  const headers = validatorHeaders(info);
  const stored = info.metadata.headers;
  for (const name in stored) {
    const value = stored[name];
    if (value === undefined || overrides.has(name)) continue;
    headers.push([spelling[name] ?? name, name.startsWith('x-amz-meta-') ? encodeMetadataValue(value) : value]);
  }
  for (const [name, value] of overrides) headers.push([spelling[name] ?? name, value]);
  if (info.metadata.storageClass !== 'STANDARD') headers.push(['x-amz-storage-class', info.metadata.storageClass]);
  return headers;
}

export function checksumHeaders(checksum: Pick<Checksum, 'algorithm' | 'type' | 'value'> | null): HeaderPairs {
  if (checksum === null) return [];
  return [
    [checksumHeader(checksum.algorithm), checksum.value],
    ['x-amz-checksum-type', checksum.type],
  ];
}

/** RFC 2047: an encoded word has at most 75 characters, 12 of them around the base64 text. */
const encodedWordBytesMax = Math.floor((75 - 12) / 4) * 3;

/** Header values are ASCII: anything else is answered as RFC 2047 encoded words. */
export function encodeMetadataValue(value: string): string {
  if (/^[\t\x20-\x7e]*$/.test(value)) return value;
  const words: string[] = [];
  let word = '';
  for (const character of value) {
    // Words are cut between characters, never inside one.
    if (Buffer.byteLength(word) + Buffer.byteLength(character) > encodedWordBytesMax) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  words.push(word);
  return words.map((text) => `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`).join(' ');
}
