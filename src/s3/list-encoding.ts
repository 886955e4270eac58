/**
 * `encoding-type=url` of the listings: the way out for keys that XML cannot carry. Pure.
 * The table is S3's: letters, digits and `/ * - _ .` stay, a space becomes `+`, every other byte of UTF-8 `%XX`.
 */
import type { ParsedCall } from '../dispatch/index.js';
import { s3Error } from './errors.js';

export type EncodingType = 'url' | null;

/** How a listing writes a name. */
export type NameEncoder = (name: string) => string;

const stays = /^[A-Za-z0-9/*\-_.]*$/;

const byteForms: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (stays.test(character)) return character;
  return character === ' ' ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});

export function parseEncodingType(query: ParsedCall['query']): EncodingType {
  const value = query.get('encoding-type');
  if (value === undefined || value === '') return null;
  if (value.toLowerCase() !== 'url') {
    throw s3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {
      ArgumentName: 'encoding-type',
      ArgumentValue: value,
    });
  }
  return 'url';
}

export function nameEncoder(encodingType: EncodingType): NameEncoder {
  return encodingType === 'url' ? urlEncode : (name) => name;
}

export function urlEncode(name: string): string {
  if (stays.test(name)) return name;
  let encoded = '';
  for (const byte of Buffer.from(name, 'utf8')) encoded += byteForms[byte] ?? '';
  return encoded;
}
