/**
 * Stripe arithmetic. Pure; lengths in bytes.
 *
 * An object of a set with n = k + m drives is cut into stripes; a stripe gives k data shards, which lie
 * one behind the other exactly as the object's bytes do, and m parity shards. Shard s of an object lies
 * on drive position (s + rotation) mod n, so that parity load spreads over the drives.
 */
import { divCeil, invariant, limits } from '../base/index.js';

export interface Geometry {
  /** k */
  readonly dataShards: number;
  /** m */
  readonly parityShards: number;
  /** Drive position of shard 0. */
  readonly rotation: number;
}

export interface StripeLayout extends Geometry {
  /** Object bytes in a full stripe: a multiple of 64·k; what is written now, of 4096·k. */
  readonly stripeBytes: number;
  readonly objectBytes: number;
}

/** Of writes past the page cache. */
const directAlignment = 4096;

/** 1 MiB, or the largest multiple of 4096·k below it, so that every full shard is as aligned as drives want it. */
export function stripeBytesFor(dataShards: number): number {
  invariant(dataShards >= 1 && dataShards <= limits.dataShardsMax, 'k is in its bounds');
  const unit = directAlignment * dataShards;
  return Math.floor(limits.stripeBytes / unit) * unit;
}

export function stripeCount(layout: StripeLayout): number {
  return divCeil(layout.objectBytes, layout.stripeBytes);
}

/** Object bytes in one stripe; the last may be shorter. */
export function stripeLength(layout: StripeLayout, stripeIndex: number): number {
  return Math.min(layout.stripeBytes, layout.objectBytes - stripeIndex * layout.stripeBytes);
}

/** Bytes of each shard of a stripe that holds `bytes` object bytes; the last data shard is zero-padded to it. */
export function shardBytes(dataShards: number, bytes: number): number {
  return divCeil(bytes, dataShards);
}

export function checksumBlockCount(bytes: number): number {
  return divCeil(bytes, limits.checksumBlockBytes);
}

/** Bytes that one drive holds of an object: the payload of its blob file. */
export function shardFileBytes(layout: StripeLayout): number {
  const full = Math.floor(layout.objectBytes / layout.stripeBytes);
  const tail = layout.objectBytes - full * layout.stripeBytes;
  return full * (layout.stripeBytes / layout.dataShards) + shardBytes(layout.dataShards, tail);
}

/** Checksum blocks that one drive holds of an object. */
export function shardFileBlocks(layout: StripeLayout): number {
  const full = Math.floor(layout.objectBytes / layout.stripeBytes);
  const tail = layout.objectBytes - full * layout.stripeBytes;
  return (
    full * checksumBlockCount(layout.stripeBytes / layout.dataShards) +
    checksumBlockCount(shardBytes(layout.dataShards, tail))
  );
}

export function positionOfShard(geometry: Geometry, shardIndex: number): number {
  return (shardIndex + geometry.rotation) % (geometry.dataShards + geometry.parityShards);
}

export function shardAtPosition(geometry: Geometry, position: number): number {
  const n = geometry.dataShards + geometry.parityShards;
  return (position - geometry.rotation + n) % n;
}

/** Parity of a set by its drive count, as MinIO chooses it. */
export function defaultParity(driveCount: number): number {
  if (driveCount <= 1) return 0;
  if (driveCount <= 3) return 1;
  if (driveCount <= 5) return 2;
  if (driveCount <= 7) return 3;
  return 4;
}

/** w: the drives that must hold a write before it is acknowledged. */
export function writeQuorum(dataShards: number, parityShards: number): number {
  // With k = m two halves could each reach k and disagree.
  return dataShards === parityShards ? dataShards + 1 : dataShards;
}
