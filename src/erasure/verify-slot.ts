/** Verifies one drive's slot of a body in the log. */
import { divCeil, limits, type SlabAllocator } from '../base/index.js';
import { copyStateAfter } from '../drive/index.js';
import { hashBytes } from './blob-format.js';
import type { Compute } from './compute.js';
import type { DriveSet } from './drive-set.js';
import { shardAtPosition } from './layout.js';
import type { Placement } from './placement.js';
import { fileNumberOf } from './set-numbers.js';
import { StuckCalls } from './stuck.js';
import type { BlobState } from './verify-blob.js';

export async function verifySlot(
  options: { readonly set: DriveSet; readonly slabs: SlabAllocator; readonly compute: Compute },
  placement: Extract<Placement, { kind: 'slots' }>,
  position: number,
): Promise<BlobState> {
  const { set, slabs, compute } = options;
  const drive = set.drive(position);
  if (drive === null) return 'unreachable';
  const { slotBytes, fileNumber, fileOffset, geometry, id } = placement;
  const blocks = divCeil(slotBytes, limits.checksumBlockBytes);
  const shardIndex = shardAtPosition(geometry, position);
  const hashes = placement.hashes.subarray(shardIndex * blocks * hashBytes, (shardIndex + 1) * blocks * hashBytes);
  const table = await slabs.allocate(hashes.length, 'pass');
  const data = await slabs.allocate(slotBytes, 'pass');
  const stuck = new StuckCalls();
  try {
    compute.copyIn(table.offset, hashes, 0, hashes.length);
    const segments = Float64Array.of(data.offset, slotBytes);
    const read = await drive.log.read(fileNumberOf(fileNumber), fileOffset, segments);
    if (!read.ok) {
      stuck.add(read.fault, segments);
      return copyStateAfter(read.fault);
    }
    if (read.value < slotBytes) return 'missing';
    const job = { dataOffset: data.offset, bytes: slotBytes, hashesOffset: table.offset, shardIndex, firstBlock: 0 };
    if (compute.verifyNow([{ ...job, idHigh: id.high, idLow: id.low }]).length === 0) return 'sound';
    // Log files are zeroes until they are written: this drive was not there then.
    return slabs.view.subarray(data.offset, data.offset + slotBytes).every((byte) => byte === 0) ? 'missing' : 'bad';
  } finally {
    table.release();
    stuck.release(data);
  }
}
