/**
 * What a client says about an object, and what it asks for that we do not have: the one is kept,
 * the other refused, so that nothing is silently lost.
 */
import { limits } from '../base/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { ObjectMetadata } from '../object/index.js';
import { s3Error } from './errors.js';

const userPrefix = 'x-amz-meta-';
const defaultContentType = 'binary/octet-stream';
const keptHeaders = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-website-redirect-location',
] as const;

const storageClasses: ReadonlySet<string> = new Set(['STANDARD', 'REDUCED_REDUNDANCY']);
/** Every object is private: these say so, or hand it to who owns it anyway. */
const harmlessAcls: ReadonlySet<string> = new Set(['private', 'bucket-owner-full-control', 'bucket-owner-read']);

/**
 * Headers of PutObject, CopyObject with REPLACE, and CreateMultipartUpload.
 * Throws MetadataTooLarge, InvalidStorageClass, InvalidArgument, UnsupportedMetadata.
 */
export function parseObjectMetadata(headers: HeaderMap): ObjectMetadata {
  // No kept header has the name of a member of its prototype, and objects without one are slow dictionaries.
  const kept: Record<string, string> = { 'content-type': defaultContentType };
  let systemBytes = 0;
  for (const name of keptHeaders) {
    const value = keptValue(name, headers.get(name));
    if (value === null) continue;
    systemBytes += name.length + Buffer.byteLength(value);
    kept[name] = value;
  }
  let userBytes = 0;
  for (const name of headers.names()) {
    // The name space of stored records: a client must not be able to write into it.
    if (name.startsWith('x-minio-internal-')) throw s3Error('InvalidArgument', `The header ${name} is reserved.`);
    if (!name.startsWith(userPrefix)) continue;
    const value = (headers.get(name) ?? '').trim();
    if (name.length === userPrefix.length || hasControls(value)) throw s3Error('UnsupportedMetadata');
    userBytes += name.length - userPrefix.length + Buffer.byteLength(value);
    kept[name] = value;
  }
  if (userBytes > limits.userMetadataBytesMax) {
    throw s3Error('MetadataTooLarge', undefined, {
      Size: String(userBytes),
      MaxSizeAllowed: String(limits.userMetadataBytesMax),
    });
  }
  if (systemBytes > limits.systemMetadataBytesMax) throw s3Error('MetadataTooLarge');
  return { headers: kept, storageClass: parseStorageClass(headers) };
}

export function parseStorageClass(headers: HeaderMap): string {
  const storageClass = headers.get('x-amz-storage-class') ?? 'STANDARD';
  if (!storageClasses.has(storageClass)) throw s3Error('InvalidStorageClass');
  return storageClass;
}

/** For everything that writes an object. Throws NotImplemented for what would be silently lost. */
export function refuseUnsupportedWrite(headers: HeaderMap): void {
  for (const name of headers.names()) {
    if (!name.startsWith('x-amz-')) continue;
    if (isUnsupportedWrite(name, headers.get(name) ?? '')) {
      throw s3Error('NotImplemented', undefined, { Header: name });
    }
  }
}

/** For everything that reads one: keys of the client cannot decrypt what is not encrypted. */
export function refuseUnsupportedRead(headers: HeaderMap): void {
  for (const name of headers.names()) {
    if (name.startsWith('x-amz-server-side-encryption')) throw s3Error('NotImplemented', undefined, { Header: name });
  }
}

function isUnsupportedWrite(name: string, value: string): boolean {
  switch (name) {
    case 'x-amz-acl':
      return !harmlessAcls.has(value);
    case 'x-amz-tagging':
      return value !== '';
    case 'x-amz-write-offset-bytes':
      return true;
    default:
      return (
        name.startsWith('x-amz-server-side-encryption') ||
        name.startsWith('x-amz-copy-source-server-side-encryption') ||
        name.startsWith('x-amz-object-lock-') ||
        name.startsWith('x-amz-grant-')
      );
  }
}

/** Null: not to be stored. */
function keptValue(name: (typeof keptHeaders)[number], value: string | undefined): string | null {
  if (value === undefined) return null;
  const text = name === 'content-encoding' ? withoutTransferFraming(value) : value.trim();
  if (text === '') return null;
  if (hasControls(text)) throw s3Error('InvalidArgument', `The header ${name} holds control characters.`);
  if (name === 'x-amz-website-redirect-location' && !/^(\/|https?:\/\/)/.test(text)) {
    throw s3Error('InvalidArgument', 'The website redirect location must have a prefix of http://, https:// or /.');
  }
  return text;
}

/** aws-chunked is how the body travelled, not what it is. */
function withoutTransferFraming(value: string): string {
  return value
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '' && token.toLowerCase() !== 'aws-chunked')
    .join(',');
}

/** They would break out of the header when it is answered. */
function hasControls(text: string): boolean {
  return /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text);
}
