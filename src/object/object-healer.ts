/**
 * Goes through objects one by one because an operator asks for it: verifies every shard on every drive of the set,
 * and writes anew what is not sound. What the scan does over everything in its own time, this does now and reports
 * object by object. Main thread; the drives' threads read and hash.
 */
import { invariant, systemClock } from '../base/index.js';
import {
  blobName,
  checksumBlockCount,
  fileNumberOf,
  setOfFile,
  shardAtPosition,
  shardBytes,
  verifyBlob,
  type Placement,
} from '../erasure/index.js';
import type { LogRecord } from '../journal/index.js';
import { decodeIndexedBody, isInBlob, type BlobBody, type IndexedBody } from './bodies.js';
import type { EngineContext } from './engine-context.js';
import { repairBlob } from './heal.js';
import { objectKey, objectPrefix, partKey, successor, versionsPrefix } from './index-keys.js';
import { Pacer } from './pacer.js';
import { maskOf } from './positions.js';
import { decodeEntry, entrySpace, originalOf, type ObjectRecord } from './records.js';
import { openShards } from './snapshot.js';
import { setOfEntry } from './set-router.js';
import type { Pace } from './upkeep.js';

/**
 * Of what one drive should hold of an object. `unreachable`: the drive is not there or not up to date, so nothing
 * is known.
 */
export type HeldState = 'sound' | 'bad' | 'missing' | 'unreachable';

export interface ObjectHealResult {
  readonly bucket: string;
  readonly key: string;
  /** `null` of an object that was written without versioning. */
  readonly versionId: string;
  /** All of an object lies in one set. */
  readonly setIndex: number;
  readonly bytes: number;
  readonly dataShards: number;
  readonly parityShards: number;
  /** By drive position; the worst of its parts. */
  readonly before: readonly HeldState[];
  readonly after: readonly HeldState[];
  /** A body so small that it lies in the record itself, which is on every drive. */
  readonly isInline: boolean;
}

export interface HealObjectsOptions {
  readonly bucket: string;
  readonly bucketId: number;
  readonly prefix: string;
  /** Nothing is written. */
  readonly isDryRun: boolean;
  readonly isStopped: () => boolean;
}

/** Half of the time, as repairs beside serving. */
const pace: Pace = { bytesPerSecondMax: 256 * 1024 * 1024, shareMax: 0.5 };
/** The pause comes after each object. */
const unpaced = { restart: (): void => undefined, step: (): Promise<void> => Promise.resolve() };
/** Index entries decoded at once. */
const entriesPerStep = 50;

/** With the record that it came with, and the log file where that lies. */
interface HeldBody extends IndexedBody {
  readonly order: number;
  readonly fileNumber: number;
}

type SlotBody = IndexedBody & { readonly body: { readonly placement: Extract<Placement, { kind: 'slots' }> } };

export async function* healObjects(
  context: EngineContext,
  options: HealObjectsOptions,
): AsyncGenerator<ObjectHealResult, void, void> {
  const { catalog } = context.index;
  const { bucketId, prefix, isStopped } = options;
  const pacer = new Pacer(() => pace, systemClock);
  const records = new RecordCopies(context);
  const latest = prefix === '' ? objectPrefix(bucketId) : objectKey(bucketId, prefix);
  // Latest versions first, then those below them.
  for (const first of [latest, versionsPrefix(bucketId, prefix)]) {
    const end = successor(first);
    let from: Buffer | null = first;
    while (from !== null && !isStopped()) {
      const found: Buffer[] = [...catalog.range({ start: from, end, limit: entriesPerStep })].map(({ key }) =>
        Buffer.from(key),
      );
      for (const key of found) {
        if (isStopped()) return;
        const result = await healObject(context, options, key, pacer, records);
        if (result !== null) yield result;
      }
      const last = found.at(-1);
      from = last === undefined || found.length < entriesPerStep ? null : Buffer.concat([last, Buffer.of(0)]);
    }
  }
}

/** Null: it has gone meanwhile, or is a delete marker, which holds nothing. */
async function healObject(
  anySet: EngineContext,
  { bucket, isDryRun }: HealObjectsOptions,
  key: Buffer,
  pacer: Pacer,
  records: RecordCopies,
): Promise<ObjectHealResult | null> {
  const value = anySet.index.catalog.get(key);
  if (value === undefined) return null;
  const context = anySet.of(setOfEntry(value));
  const indexed = heldBody(key, value);
  const object = indexed.body as ObjectRecord;
  if (object.isMarker) return null;
  const { setIndex } = context;
  const bodies = bodiesOf(context, indexed, object);
  const before: HeldState[] = allOf(context, 'sound');
  const after: HeldState[] = allOf(context, 'sound');
  pacer.restart();
  // The files stay while they are looked at, as for a reader.
  context.reclaimer.pin(indexed.dataOrder);
  try {
    for (const body of bodies) {
      const states = await statesOf(context, body, records);
      worsen(before, states);
      const wrong = positionsWith(states, 'bad', 'missing');
      worsen(after, wrong.length === 0 || isDryRun ? states : await repair(context, body, states, wrong, records));
      await pacer.step(body.body.bytes);
    }
  } finally {
    context.reclaimer.unpin(indexed.dataOrder);
  }
  const placed = bodies.map(({ body }) => body.placement).find((placement) => 'geometry' in placement);
  const geometry = placed !== undefined && 'geometry' in placed ? placed.geometry : context;
  return {
    bucket,
    key: object.key,
    versionId: object.versionId,
    setIndex,
    bytes: object.bytes,
    dataShards: geometry.dataShards,
    parityShards: geometry.parityShards,
    before,
    after,
    isInline: placed === undefined,
  };
}

/** The object itself, or its parts. */
function bodiesOf(context: EngineContext, indexed: HeldBody, { multipart }: ObjectRecord): HeldBody[] {
  if (multipart === null) return [indexed];
  return multipart.parts.flatMap(({ partNumber }) => {
    const key = partKey(multipart.uploadId, partNumber);
    const value = context.index.catalog.get(key);
    return value === undefined ? [] : [heldBody(key, value)];
  });
}

function statesOf(context: EngineContext, indexed: HeldBody, records: RecordCopies): Promise<HeldState[]> {
  const members = new Set(context.set.inSync());
  const stateAt = async (position: number): Promise<HeldState> => {
    if (!members.has(position) || context.set.drive(position) === null) return 'unreachable';
    if (isInBlob(indexed)) return blobState(context, indexed, position);
    if (isInSlots(indexed)) return slotState(context, indexed, position);
    return (await records.isRight(indexed, position)) ? 'sound' : 'bad';
  };
  return Promise.all(allOf(context, 'sound').map((_, position) => stateAt(position)));
}

function blobState(context: EngineContext, { body }: BlobBody, position: number): Promise<HeldState> {
  const { compute, slabs, set } = context;
  const { placement } = body;
  const layout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
  return verifyBlob(
    { set, slabs, compute, purpose: 'pass', pace: () => Promise.resolve() },
    { fileName: blobName(placement.id), id: placement.id, layout, position },
  );
}

function isInSlots(indexed: IndexedBody): indexed is SlotBody {
  return indexed.body.placement.kind === 'slots';
}

/** A slot is read and compared with its hashes; that of an empty shard holds nothing. */
async function slotState(context: EngineContext, { body }: SlotBody, position: number): Promise<HeldState> {
  const { compute, slabs } = context;
  const source = openShards(context, body);
  const { layout, id } = source;
  const shardIndex = shardAtPosition(layout, position);
  const bytes = shardBytes(layout.dataShards, body.bytes);
  await source.prepare();
  const slab = await slabs.allocate(bytes, 'pass');
  try {
    const hashesOffset = await source.hashes(shardIndex, 0, checksumBlockCount(bytes));
    if (hashesOffset === null) return 'bad';
    if (!(await source.read(shardIndex, 0, Float64Array.of(slab.offset, bytes)))) return 'missing';
    const job = { dataOffset: slab.offset, bytes, hashesOffset, idHigh: id.high, idLow: id.low };
    const wrong = await compute.verify([{ ...job, shardIndex, firstBlock: 0 }]);
    return wrong.length === 0 ? 'sound' : 'bad';
  } finally {
    source.stuck.release(slab);
    source.close();
  }
}

/** Writes anew what is wrong, and looks again. */
async function repair(
  context: EngineContext,
  indexed: HeldBody,
  before: readonly HeldState[],
  wrong: readonly number[],
  records: RecordCopies,
): Promise<HeldState[]> {
  if (isInBlob(indexed)) {
    const name = blobName(indexed.body.placement.id);
    const target = { kind: 'blob', name, owner: indexed.owner } as const;
    try {
      const { sound } = await context.repairs.run(() => repairBlob(context, target, maskOf(wrong), unpaced));
      await context.heal.table.remove(target, sound);
    } catch (error) {
      context.heal.noteFailure(name, error);
    }
  } else if (isInSlots(indexed)) {
    const { fileNumber } = indexed.body.placement;
    // Compaction removes no file under a reader.
    const generation = context.readers.enter();
    try {
      await context.heal.exclusively(`log ${fileNumber}`, () =>
        context.journal.verifyFile(fileNumberOf(fileNumber), {
          positions: maskOf(wrong),
          isRepair: true,
          pace: () => Promise.resolve(),
        }),
      );
    } finally {
      context.readers.leave(generation);
    }
  }
  if (indexed.body.placement.kind === 'inline') await records.repair(indexed.fileNumber, maskOf(wrong));
  const again = await statesOf(context, indexed, records);
  invariant(again.length === before.length, 'a set has as many drives as before');
  return again;
}

function heldBody(key: Buffer, value: Buffer): HeldBody {
  const { order } = decodeEntry(value);
  return { ...decodeIndexedBody(key, value), order, fileNumber: entrySpace(value).fileNumber };
}

/**
 * Bodies that lie in records: what each drive has of them is read from its log. Each file is gone through once, for all
 * the objects that have their records there.
 */
class RecordCopies {
  /** By file, then by order: positions with a wrong copy, as bits. */
  readonly #wrong = new Map<number, Promise<Map<number, number>>>();

  constructor(private readonly context: EngineContext) {}

  async isRight({ fileNumber, order }: HeldBody, position: number): Promise<boolean> {
    let looking = this.#wrong.get(fileNumber);
    if (looking === undefined) {
      const { set } = this.context.of(setOfFile(fileNumber));
      looking = this.#look(fileNumber, maskOf(set.inSync()), false);
      this.#wrong.set(fileNumber, looking);
    }
    return (((await looking).get(order) ?? 0) & (1 << position)) === 0;
  }

  /** Of everything in the file, and looks again. */
  async repair(fileNumber: number, positions: number): Promise<void> {
    await this.#look(fileNumber, positions, true);
    this.#wrong.delete(fileNumber);
  }

  async #look(fileNumber: number, positions: number, isRepair: boolean): Promise<Map<number, number>> {
    const { heal, journal, readers } = this.context.of(setOfFile(fileNumber));
    const wrong = new Map<number, number>();
    const pacer = new Pacer(() => pace, systemClock);
    const onWrongRecords = (position: number, records: readonly LogRecord[]): void => {
      for (const record of records) {
        const { order } = originalOf(record);
        wrong.set(order, (wrong.get(order) ?? 0) | (1 << position));
      }
    };
    // Compaction removes no file under a reader.
    const generation = readers.enter();
    try {
      await heal.exclusively(`log ${fileNumber}`, () =>
        journal.verifyFile(fileNumberOf(fileNumber), {
          positions,
          isRepair,
          pace: (bytes) => pacer.step(bytes),
          onWrongRecords,
        }),
      );
    } finally {
      readers.leave(generation);
    }
    return wrong;
  }
}

function allOf(context: EngineContext, state: HeldState): HeldState[] {
  return Array.from({ length: context.set.driveCount }, () => state);
}

const badness: Readonly<Record<HeldState, number>> = { sound: 0, missing: 1, bad: 2, unreachable: 3 };

function worsen(worst: HeldState[], states: readonly HeldState[]): void {
  for (const [position, state] of states.entries()) {
    if (badness[state] > badness[worst[position] ?? 'sound']) worst[position] = state;
  }
}

function positionsWith(states: readonly HeldState[], ...wanted: readonly HeldState[]): number[] {
  return states.flatMap((state, position) => (wanted.includes(state) ? [position] : []));
}
