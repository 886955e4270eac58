/**
 * The authenticated stream in which administration clients wrap their payloads: chunks of 16 KiB, each
 * with a tag; the nonce of a chunk is the stream's prefix and the chunk's number. The tag of an empty
 * message under number 0 is part of what every chunk authenticates, beside whether it is the last one.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

export type SioCipher = 'aes-256-gcm' | 'chacha20-poly1305';

export const chunkBytes = 16_384;
export const tagBytes = 16;
export const noncePrefixBytes = 8;
const more = 0x00;
const last = 0x80;

export function sealedLength(plainBytes: number): number {
  return plainBytes + tagBytes * Math.max(1, Math.ceil(plainBytes / chunkBytes));
}

interface StreamKey {
  readonly cipher: SioCipher;
  readonly key: Uint8Array;
  readonly noncePrefix: Uint8Array;
}

export function sealStream(stream: StreamKey, plain: Uint8Array): Buffer {
  const associated = associatedData(stream);
  const out: Uint8Array[] = [];
  let at = 0;
  let number = 1;
  do {
    const end = Math.min(at + chunkBytes, plain.length);
    out.push(seal(stream, number, plain.subarray(at, end), associated(end === plain.length)));
    at = end;
    number++;
  } while (at < plain.length);
  return Buffer.concat(out);
}

/** Null when it is not what was sealed under this key. */
export function openStream(stream: StreamKey, sealed: Uint8Array): Buffer | null {
  const associated = associatedData(stream);
  const wire = chunkBytes + tagBytes;
  const out: Uint8Array[] = [];
  for (let at = 0, number = 1; ; number++) {
    const isLast = sealed.length - at <= wire;
    const end = isLast ? sealed.length : at + wire;
    const plain = end - at < tagBytes ? null : open(stream, number, sealed.subarray(at, end), associated(isLast));
    if (plain === null) return null;
    out.push(plain);
    if (isLast) return Buffer.concat(out);
    at = end;
  }
}

function associatedData(stream: StreamKey): (isLast: boolean) => Uint8Array {
  const empty = new Uint8Array(0);
  const data = Buffer.concat([Uint8Array.of(more), seal(stream, 0, empty, empty)]);
  return (isLast) => {
    data[0] = isLast ? last : more;
    return data;
  };
}

function nonceOf({ noncePrefix }: StreamKey, number: number): Buffer {
  const nonce = Buffer.alloc(noncePrefixBytes + 4);
  nonce.set(noncePrefix, 0);
  nonce.writeUInt32LE(number, noncePrefixBytes);
  return nonce;
}

// Two branches each: the types of node tell the two kinds of cipher apart.
function seal(stream: StreamKey, number: number, plain: Uint8Array, associated: Uint8Array): Buffer {
  const nonce = nonceOf(stream, number);
  const options = { authTagLength: tagBytes };
  const cipher =
    stream.cipher === 'aes-256-gcm'
      ? createCipheriv('aes-256-gcm', stream.key, nonce, options)
      : createCipheriv('chacha20-poly1305', stream.key, nonce, options);
  cipher.setAAD(associated, { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function open(stream: StreamKey, number: number, sealed: Uint8Array, associated: Uint8Array): Buffer | null {
  const nonce = nonceOf(stream, number);
  const options = { authTagLength: tagBytes };
  const plainBytes = sealed.length - tagBytes;
  const decipher =
    stream.cipher === 'aes-256-gcm'
      ? createDecipheriv('aes-256-gcm', stream.key, nonce, options)
      : createDecipheriv('chacha20-poly1305', stream.key, nonce, options);
  decipher.setAAD(associated, { plaintextLength: plainBytes });
  decipher.setAuthTag(sealed.subarray(plainBytes));
  const plain = decipher.update(sealed.subarray(0, plainBytes));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    // The tag does not fit: that is all `final` can say.
    return null;
  }
}
