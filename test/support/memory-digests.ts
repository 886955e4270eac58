/** Digests computed without the addon, for fakes and as an independent second opinion. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export type DigestAlgorithm = 'md5' | 'sha1' | 'sha256' | 'crc32' | 'crc32c' | 'crc64nvme';

/** Reflected CRC, bit by bit. Slow and obviously right. */
function crc(bytes: Uint8Array, width: 32 | 64, polynomial: bigint): Uint8Array {
  const mask = (1n << BigInt(width)) - 1n;
  const table = Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
  let value = mask;
  for (const byte of bytes) value = table[Number((value ^ BigInt(byte)) & 0xffn)]! ^ (value >> 8n);
  const result = Buffer.alloc(width / 8);
  const final = value ^ mask;
  if (width === 32) result.writeUInt32BE(Number(final));
  else result.writeBigUInt64BE(final);
  return result;
}

function bigEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Raw bytes, CRCs big-endian. */
export function memoryDigest(algorithm: DigestAlgorithm, bytes: Uint8Array): Uint8Array {
  switch (algorithm) {
    case 'crc32':
      return bigEndian(crc32(bytes));
    case 'crc32c':
      return crc(bytes, 32, 0x82f63b78n);
    case 'crc64nvme':
      return crc(bytes, 64, 0x9a6c9329ac4bc9b5n);
    default:
      return createHash(algorithm).update(bytes).digest();
  }
}
