/**
 * The position of a paged listing, as an opaque token. Stateless, so that it outlives a restart and fits any replica.
 *
 * Bytes, base64url: version 1 · first 8 bytes of SHA-256 over scope, NUL and position · position in UTF-8.
 * The digest tells tokens of other listings, other stores and typing mistakes from ours; it is no secret, and
 * need not be one: whoever makes up a token gets a page of a listing that is theirs to read from any position.
 */
import { createHash } from 'node:crypto';
import { limits } from '../base/index.js';
import { invalidArgument } from './list-parameters.js';

const version = 1;
const checkBytes = 8;
const headBytes = 1 + checkBytes;

export function encodeContinuationToken(scope: string, position: string): string {
  const text = Buffer.from(position, 'utf8');
  return Buffer.concat([Buffer.of(version), check(scope, text), text]).toString('base64url');
}

/** The position; throws InvalidArgument. */
export function decodeContinuationToken(scope: string, token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  const text = bytes.subarray(headBytes);
  const isOurs =
    bytes.length > headBytes &&
    text.length <= limits.keyBytesMax &&
    bytes[0] === version &&
    bytes.toString('base64url') === token &&
    bytes.subarray(1, headBytes).equals(check(scope, text));
  if (!isOurs) throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect');
  return text.toString('utf8');
}

function check(scope: string, position: Uint8Array): Buffer {
  return createHash('sha256').update(scope).update('\0').update(position).digest().subarray(0, checkBytes);
}
