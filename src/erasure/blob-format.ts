/**
 * The blob file: one shard of a large body on one drive. docs/format/blob.md describes every byte.
 *
 *   0        header page (4 KiB)
 *   4096     checksum table: 32 bytes per checksum block, padded to 4 KiB
 *   payload  the shard's bytes, stripe by stripe, nothing between them
 */
import { alignUp } from '../base/index.js';
import type { PlacementId } from './placement.js';
import { shardFileBlocks, type StripeLayout } from './layout.js';

export const pageBytes = 4096;
export const hashBytes = 32;
export const hashesPerPage = pageBytes / hashBytes;
export const tableOffset = pageBytes;
const formatVersion = 1;
const magic = 'GRNBLOB\n';

export function tableBytes(layout: StripeLayout): number {
  return alignUp(shardFileBlocks(layout) * hashBytes, pageBytes);
}

export function payloadOffset(layout: StripeLayout): number {
  return tableOffset + tableBytes(layout);
}

export interface BlobHeader {
  readonly deploymentId: string;
  readonly setIndex: number;
  readonly shardIndex: number;
  readonly id: PlacementId;
  readonly layout: StripeLayout;
}

/** The header page without its checksum: the caller hashes bytes 0…95 and writes the CRC-32C at 96. */
export function encodeBlobHeader(
  header: BlobHeader,
  checksumBlockBytes: number,
  crc32c: (bytes: Uint8Array) => Uint8Array,
): Buffer {
  const page = Buffer.alloc(pageBytes);
  page.write(magic, 0, 'latin1');
  page.writeUInt16LE(formatVersion, 8);
  page.writeUInt16LE(header.setIndex, 10);
  page.writeUInt8(header.layout.dataShards, 12);
  page.writeUInt8(header.layout.parityShards, 13);
  page.writeUInt8(header.layout.rotation, 14);
  page.writeUInt8(header.shardIndex, 15);
  Buffer.from(header.deploymentId.replaceAll('-', ''), 'hex').copy(page, 16);
  page.writeBigUInt64LE(BigInt(header.id.high), 32);
  page.writeBigUInt64LE(BigInt(header.id.low), 40);
  page.writeBigUInt64LE(BigInt(header.layout.objectBytes), 48);
  page.writeUInt32LE(header.layout.stripeBytes, 56);
  page.writeUInt32LE(checksumBlockBytes, 60);
  page.writeBigUInt64LE(BigInt(tableBytes(header.layout)), 64);
  page.writeBigUInt64LE(BigInt(payloadOffset(header.layout)), 72);
  Buffer.from(crc32c(page.subarray(0, 96))).copy(page, 96);
  return page;
}
