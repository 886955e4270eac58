/**
 * One copy of a drive's format: a line of JSON, then a line with the SHA-256 of the first line, its
 * newline included. The first line of any future version keeps `granary` and `version`.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { invariant, limits } from '../base/index.js';
import type { DriveFormat } from './drive.js';

/**
 * Of one set; of several; of pools with parities of their own. A later one is only written where it is needed, and a
 * server that knows less leaves such a drive alone.
 */
const formatVersion = 1;
const formatVersionOfPools = 2;
const formatVersionOfParities = 3;
const versions = [formatVersion, formatVersionOfPools, formatVersionOfParities];
export const latestFormatVersion = formatVersionOfParities;
const formatKind = 'drive';

export type ParsedFormat =
  | { readonly kind: 'good'; readonly format: DriveFormat }
  /** Whole, but of a version that this code does not know. */
  | { readonly kind: 'unknown-version'; readonly version: number }
  | { readonly kind: 'damaged'; readonly what: string };

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

const parityShards = z.int().min(0).max(limits.parityShardsMax);

const formatSchema = z.object({
  granary: z.literal(formatKind),
  version: z.literal(versions),
  deploymentId: uuid,
  hashKey: z.string().regex(/^[0-9a-f]{64}$/),
  driveId: uuid,
  setIndex: z.int().min(0),
  position: z.int().min(0),
  sets: z.array(z.array(uuid).min(1).max(limits.setDrivesMax)).min(1).max(limits.setsMax),
  poolIndex: z.int().min(0).optional(),
  pools: z.array(z.int().min(1).max(limits.setsMax)).min(1).max(limits.setsMax).optional(),
  parity: parityShards,
  parities: z.array(parityShards).min(2).max(limits.setsMax).optional(),
  wasMountPoint: z.boolean(),
});

const versionSchema = z.object({ granary: z.literal(formatKind), version: z.int().min(1) });
const checksumSchema = z.object({ sha256: z.string() });

function sha256(text: Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

export function encodeFormat(format: DriveFormat): Buffer {
  const body = Buffer.from(`${JSON.stringify({ granary: formatKind, ...withPoolIndex(format) })}\n`);
  return Buffer.concat([body, Buffer.from(`${JSON.stringify({ sha256: sha256(body) })}\n`)]);
}

/** In the order of the document, and nothing else that an object may carry. */
function formatFields(format: DriveFormat): DriveFormat {
  const { version, deploymentId, hashKey, driveId, setIndex, position, sets, parity, wasMountPoint } = format;
  const { pools, parities } = format;
  return {
    ...{ version, deploymentId, hashKey, driveId, setIndex, position, sets, parity, wasMountPoint },
    ...(version >= formatVersionOfPools && pools && { pools }),
    ...(version >= formatVersionOfParities && parities && { parities }),
  };
}

/** The version that a drive is formatted with that has to say so much. */
export function versionFor({ pools, parities }: Pick<DriveFormat, 'pools' | 'parities'>): number {
  if (parities !== undefined) return formatVersionOfParities;
  return pools === undefined ? formatVersion : formatVersionOfPools;
}

/** Sets of each pool, and the parity of these sets, as far as the drive knows of pools. */
export function poolsOfFormat({ sets, pools = [sets.length], parity, parities }: DriveFormat): {
  readonly pools: readonly number[];
  readonly parities: readonly number[];
} {
  return { pools, parities: parities ?? pools.map(() => parity) };
}

/** The pool that a set belongs to; -1 when the pools do not reach so far. */
export function poolOfSet(pools: readonly number[], setIndex: number): number {
  let first = 0;
  return pools.findIndex((setCount) => {
    first += setCount;
    return setIndex < first;
  });
}

/** Of each set of the pool that it belongs to. */
export function parityOfSet(
  { pools, parities }: { readonly pools: readonly number[]; readonly parities: readonly number[] },
  setIndex: number,
): number {
  const parity = parities[poolOfSet(pools, setIndex)];
  invariant(parity !== undefined, 'every set is of a pool with its parity');
  return parity;
}

/** In the file, for people: what the pools say. */
function withPoolIndex(format: DriveFormat): DriveFormat & { readonly poolIndex?: number } {
  const { pools, parities, ...rest } = formatFields(format);
  if (pools === undefined) return rest;
  return { ...rest, poolIndex: poolOfSet(pools, format.setIndex), pools, ...(parities && { parities }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function parseFormat(bytes: Buffer): ParsedFormat {
  const end = bytes.indexOf(0x0a) + 1;
  if (end === 0 || bytes.at(-1) !== 0x0a) return { kind: 'damaged', what: 'it is cut off' };
  const body = bytes.subarray(0, end);
  const checksum = checksumSchema.safeParse(parseJson(bytes.toString('utf8', end)));
  if (!checksum.success || checksum.data.sha256 !== sha256(body)) {
    return { kind: 'damaged', what: 'its checksum is wrong' };
  }
  const value = parseJson(body.toString('utf8'));
  const head = versionSchema.safeParse(value);
  if (!head.success) return { kind: 'damaged', what: 'it is not a Granary format' };
  if (!versions.includes(head.data.version)) return { kind: 'unknown-version', version: head.data.version };
  const parsed = formatSchema.safeParse(value);
  if (!parsed.success) {
    return { kind: 'damaged', what: `its field ${parsed.error.issues[0]?.path.join('.') ?? '?'} is wrong` };
  }
  const { pools, poolIndex, parities, ...plain } = parsed.data;
  const isOfPools = plain.version >= formatVersionOfPools;
  const isOfParities = plain.version >= formatVersionOfParities;
  if (isOfPools && pools === undefined) return { kind: 'damaged', what: 'its field pools is wrong' };
  if (isOfParities && parities === undefined) return { kind: 'damaged', what: 'its field parities is wrong' };
  const format = formatFields({ ...plain, ...(pools && { pools }), ...(parities && { parities }) });
  if (isOfPools && poolIndex !== poolOfSet(pools ?? [], format.setIndex)) {
    return { kind: 'damaged', what: 'it names another pool than that of its set' };
  }
  if (format.sets.length !== (format.pools ?? [1]).reduce((sum, setCount) => sum + setCount, 0)) {
    return { kind: 'damaged', what: 'its pools have another number of sets' };
  }
  if (format.sets[format.setIndex]?.[format.position] !== format.driveId) {
    return { kind: 'damaged', what: 'it does not name its own drive in its place' };
  }
  const ids = format.sets.flat();
  if (new Set(ids).size !== ids.length) return { kind: 'damaged', what: 'it names a drive twice' };
  if (format.parities !== undefined && format.parities.length !== format.pools?.length) {
    return { kind: 'damaged', what: 'its parities are those of another number of pools' };
  }
  const ofPools = poolsOfFormat(format);
  const parityOf = (setIndex: number): number | undefined => ofPools.parities[poolOfSet(ofPools.pools, setIndex)];
  if (parityOf(format.setIndex) !== format.parity) {
    return { kind: 'damaged', what: 'it names another parity than that of its pool' };
  }
  // Of old drives with one parity for all, the own set is what has always been looked at.
  const isTooMuch = (set: readonly string[], setIndex: number): boolean =>
    (isOfParities || setIndex === format.setIndex) && (parityOf(setIndex) ?? 0) >= set.length;
  if (format.sets.some(isTooMuch)) return { kind: 'damaged', what: 'it leaves no shard for data' };
  return { kind: 'good', format };
}
