/**
 * Writes blob files anew: those that a drive has missed, has lost, or holds damaged. The new file is written beside
 * the old one, synced, read back, and then takes its name: at no moment is there less than before, and a crash leaves
 * the old file and a leftover that the next attempt or the sweep removes.
 */
import {
  BlobWriter,
  BodyReader,
  blobName,
  copyStateAfter,
  checksumBlockCount,
  shardBytes,
  stripeLength,
  verifyBlob,
  setOfBlob,
  type BlobState,
  type StripeLayout,
} from '../erasure/index.js';
import { Refusal } from '../base/index.js';
import type { CatchUpPace, HealOutcome, LogRecord } from '../journal/index.js';
import { blobBodyAt, type BlobBody } from './bodies.js';
import type { EngineContext } from './engine-context.js';
import type { RepairOutcome } from './heal-queue.js';
import type { HealTarget } from './heal-table.js';
import { partKey, versionKey } from './index-keys.js';
import { shardBytesOf } from './missing-bodies.js';
import { listBits, maskOf } from './positions.js';
import { RecordType, decodeObject, decodePart, originalOf } from './records.js';
import { openShards } from './snapshot.js';

/** Of a file that is being written anew, behind its name. */
export const repairSuffix = '.0';

/**
 * Asked after every stripe, never twice at once: the rest waits for it. Begun anew when it is this repair's turn, for
 * what was waited for others is no work, and would make the pauses that they in turn wait for longer and longer.
 */
export type RepairPace = Pick<CatchUpPace, 'restart' | 'step'>;

type BlobTarget = Extract<HealTarget, { kind: 'blob' }>;

/** For the journal's catch-up. `healed` when the drive holds its shard now, or the record needs none. */
export async function healRecord(
  context: EngineContext,
  record: LogRecord,
  position: number,
  pace: RepairPace,
): Promise<HealOutcome> {
  const target = targetOf(record);
  if (target === null) return 'healed';
  const mask = 1 << position;
  const { sound, isFull } = await context.repairs.run(() => repairBlob(context, target, mask, pace));
  await pace.step(0);
  if ((sound & mask) === 0) return isFull ? 'full' : 'later';
  const body = blobBodyAt(context.index.catalog, target.owner, target.name);
  const { order } = originalOf(record);
  if (body !== null) context.missingBodies.written(context.setIndex, position, order, shardBytesOf(body));
  await context.heal.table.remove(target, mask);
  return 'healed';
}

function targetOf(record: LogRecord): BlobTarget | null {
  if (record.slots !== null) return null;
  const { type, order, body } = originalOf(record);
  if (type === RecordType.partPut) {
    const part = decodePart(body, null);
    if (part.placement.kind !== 'blob') return null;
    return { kind: 'blob', name: blobName(part.placement.id), owner: partKey(part.uploadId, part.partNumber) };
  }
  if (type !== RecordType.objectPut) return null;
  const object = decodeObject(body, null);
  if (object.placement.kind !== 'blob') return null;
  return { kind: 'blob', name: blobName(object.placement.id), owner: versionKey(object.bucketId, object.key, order) };
}

/** Looks at the shards of a blob on these positions, and writes those anew that are not sound. */
export function repairBlob(
  context: EngineContext,
  target: BlobTarget,
  positions: number,
  pace: RepairPace,
): Promise<RepairOutcome> {
  // Two repairs of one blob would write into the same files.
  return context.heal.exclusively(target.name, () =>
    repair(context.of(setOfBlob(target.name)), target, positions, pace),
  );
}

async function repair(
  context: EngineContext,
  target: BlobTarget,
  positions: number,
  pace: RepairPace,
): Promise<RepairOutcome> {
  const { index, reclaimer } = context;
  pace.restart();
  const indexed = blobBodyAt(index.catalog, target.owner, target.name);
  if (indexed === null) return { sound: positions, rewritten: 0, unreachable: 0, isFull: false, bytes: 0 };
  // The files stay until this is done, as for a reader.
  reclaimer.pin(indexed.dataOrder);
  try {
    const states = await Promise.all(
      listBits(positions).map(async (position) => [position, await provenStateAt(context, indexed, position)] as const),
    );
    const having = (...wanted: readonly ProvenState[]): number[] =>
      states.flatMap(([position, state]) => (wanted.includes(state) ? [position] : []));
    const wrong = having('bad', 'missing', 'unproven');
    const { rewritten, isFull } =
      wrong.length === 0 ? { rewritten: [], isFull: false } : await rewrite(context, indexed, wrong, pace);
    if (rewritten.length > 0 && blobBodyAt(index.catalog, target.owner, target.name) === null) {
      // A part that has gone meanwhile, and its files with it, before there was one on these drives.
      await Promise.all(rewritten.map(async (position) => context.set.drive(position)?.blobs.unlink(target.name)));
    }
    return {
      sound: maskOf(having('sound')) | maskOf(rewritten),
      rewritten: maskOf(rewritten),
      unreachable: maskOf(having('unreachable')),
      isFull,
      bytes: rewritten.length * shardBytesOf(indexed),
    };
  } finally {
    reclaimer.unpin(indexed.dataOrder);
  }
}

/** `unproven`: it is read as it should be, but perhaps from memory only. */
type ProvenState = BlobState | 'unproven';

/**
 * What is read as it should be may be in the memory of the machine alone. A repair was killed before it had synced the name
 * of its file, which a power loss takes back; or, where the drive did not hold the shard when the record was committed, a
 * sync of it failed, and no later one brings it to the disk.
 */
async function provenStateAt(context: EngineContext, indexed: BlobBody, position: number): Promise<ProvenState> {
  const { positions: committed, id } = indexed.body.placement;
  const drive = context.set.drive(position);
  if (drive === null) return 'unreachable';
  const settled = await drive.blobs.settle(blobName(id));
  if (!settled.ok) return copyStateAfter(settled.fault);
  const state = await stateAt(context, indexed, position);
  const isProven = settled.value || (committed & (1 << position)) !== 0;
  return state === 'sound' && !isProven ? 'unproven' : state;
}

function stateAt(context: EngineContext, { body }: BlobBody, position: number, suffix = ''): Promise<BlobState> {
  const { compute, slabs, set } = context;
  const { placement } = body;
  const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
  // Several drives are looked at at once, and a pace is kept by one: what this takes is counted in its next step.
  const pace = (): Promise<void> => Promise.resolve();
  return verifyBlob(
    { set, slabs, compute, purpose: 'pass', pace },
    { fileName: blobName(placement.id) + suffix, id: placement.id, layout, position },
  );
}

/** `rewritten`: the positions that hold a sound file now. */
async function rewrite(
  context: EngineContext,
  indexed: BlobBody,
  wanted: readonly number[],
  pace: RepairPace,
): Promise<{ readonly rewritten: number[]; readonly isFull: boolean }> {
  const { body } = indexed;
  const { placement } = body;
  const { compute, slabs, set } = context;
  const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
  const { dataShards, parityShards } = layout;
  const name = blobName(placement.id);
  const fileName = name + repairSuffix;
  const blobsAt = (position: number): NonNullable<ReturnType<typeof set.drive>>['blobs'] | undefined =>
    set.drive(position)?.blobs;
  const full = shardBytes(dataShards, stripeLength(layout, 0));
  const hashesAt = align64(full * dataShards) + align64(full * parityShards);
  // Of an attempt that a crash cut off.
  await Promise.all(wanted.map(async (position) => blobsAt(position)?.unlink(fileName)));
  const writer = new BlobWriter(set, slabs, compute, placement.id, layout, { positions: wanted, fileName });
  const slab = await slabs.allocate(hashesAt + (dataShards + parityShards) * checksumBlockCount(full) * 32, 'pass');
  await writer.prepare();
  const reader = new BodyReader(openShards(context, body), slabs, compute, 0, body.bytes, () => undefined);
  const parityOffset = slab.offset + align64(full * dataShards);
  const hashesOffset = slab.offset + hashesAt;
  let stripeIndex = 0;
  try {
    for (;;) {
      // A stripe is at most one piece long, so pieces are stripes.
      const piece = await reader.next();
      if (piece === null) break;
      const { length } = piece.bytes;
      compute.copyIn(slab.offset, piece.bytes, 0, length);
      piece.release();
      await compute.pass({
        stateOffset: -1,
        dataOffset: slab.offset,
        dataBytes: length,
        dataShards,
        parityShards,
        shardBytes: shardBytes(dataShards, length),
        parityOffset,
        hashesOffset,
        idHigh: placement.id.high,
        idLow: placement.id.low,
        firstBlock: stripeIndex * checksumBlockCount(layout.stripeBytes / dataShards),
        chunkEnds: [],
        chunkSignatures: [],
      });
      await writer.writeStripe(stripeIndex, slab.offset, parityOffset, hashesOffset);
      if (!writer.hasQuorum) throw writer.refusal;
      stripeIndex++;
      await pace.step(length);
    }
    await writer.finish();
    const written = listBits(writer.positions);
    const done = await Promise.all(
      written.map(async (position) => {
        if ((await stateAt(context, indexed, position, repairSuffix)) !== 'sound') return false;
        return (await blobsAt(position)?.rename(fileName, name))?.ok === true;
      }),
    );
    const failed = written.filter((_, index) => done[index] !== true);
    await Promise.all(failed.map(async (position) => blobsAt(position)?.unlink(fileName)));
    return { rewritten: written.filter((_, index) => done[index] === true), isFull: false };
  } catch (error) {
    // Not enough sound shards, or the drives failed again: the caller keeps the blob on its list.
    context.heal.noteFailure(name, error);
    await writer.abort();
    return { rewritten: [], isFull: error instanceof Refusal && error.code === 'XMinioStorageFull' };
  } finally {
    reader.close();
    writer.stuck.release(slab);
  }
}

function align64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
