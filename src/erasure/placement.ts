/** Where the bytes of one body lie. Part of the records in the log and of the index. */
import type { Geometry } from './layout.js';

/** Binds bitrot hashes to one body: a fresh pair for each, from its set, the epoch and a counter. */
export interface PlacementId {
  readonly high: number;
  readonly low: number;
}

export type Placement =
  | { readonly kind: 'none' }
  /** The bytes are in the record itself, on every drive; `hash` is their HighwayHash-256 under the placement's id. */
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  /** Shards in slots of a log batch. */
  | {
      readonly kind: 'slots';
      readonly geometry: Geometry;
      readonly id: PlacementId;
      readonly slotBytes: number;
      /** 32 bytes per shard and checksum block, shard by shard. */
      readonly hashes: Uint8Array;
      /** It says the set, too: `fileNumberOf` gives the number that the drive knows. */
      readonly fileNumber: number;
      readonly fileOffset: number;
    }
  /** Shards in blob files, one per drive. */
  | {
      readonly kind: 'blob';
      readonly geometry: Geometry;
      readonly id: PlacementId;
      readonly stripeBytes: number;
      /** Bit p: the drive at position p held its shard when the record was committed. */
      readonly positions: number;
    };

/** Name of the blob files of a placement. */
export function blobName(id: PlacementId): string {
  return `${id.high.toString(16).padStart(8, '0')}${id.low.toString(16).padStart(12, '0')}`;
}
