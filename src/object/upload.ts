/**
 * One incoming body. Bytes are copied once, from the socket's buffer to a slab; a full stripe is hashed
 * and encoded by a worker and then written, while the next one fills. Bodies up to
 * `limits.slotObjectBytesMax` stay in memory until their commit carries them to the log.
 *
 * Memory: one filling slab that grows with what arrives, at most `stripesAheadMax` stripes behind it on their way to the
 * drives, and at most `stripesToHashMax` that are there and wait for their MD5.
 * Main thread.
 */
import { Refusal, invariant, limits, type Slab } from '../base/index.js';
import {
  BlobWriter,
  checksumBlockCount,
  shardBytes,
  stripeBytesFor,
  stripeLength,
  type Geometry,
  type Md5Stream,
  type Placement,
  type PlacementId,
  type StreamDigest,
  type StripeLayout,
} from '../erasure/index.js';
import type { PreparedRecord } from '../journal/index.js';
import type { DecideRecord, EngineContext } from './engine-context.js';
import { uploadKey } from './index-keys.js';
import type { BucketState } from './index-state.js';
import type {
  Checksum,
  ChecksumAlgorithm,
  ObjectErrorCode,
  ObjectInfo,
  ObjectMetadata,
  ObjectRefusal,
  PartInfo,
  Upload,
  UploadDigests,
  UploadOptions,
  WritePrecondition,
} from './object-layer.js';
import { checkPrecondition } from './precondition.js';
import { RecordType, encodeObject, encodePart, type ObjectRecord, type PartRecord } from './records.js';
import { partInfo } from './snapshot.js';
import { objectInfo } from './stored-object.js';
import { currentEtag } from './versions.js';
import { versionIdFor } from './version-id.js';

/** Stripes received and not yet on the drives, beside the one that fills. */
const stripesAheadMax = 2;
/** Stripes on the drives that the MD5 has yet to come to: so long others are waited for (`Md5Stream`). */
const stripesToHashMax = 2;
/** The first slab of a body: a slow socket holds no more until it has sent this much. */
const firstSlabBytes = 16 * 1024;
const growthFactor = 4;

const streamDigestOf: Readonly<Record<ChecksumAlgorithm, StreamDigest>> = {
  CRC32: 'crc32',
  CRC32C: 'crc32c',
  CRC64NVME: 'crc64nvme',
  SHA1: 'sha1',
  SHA256: 'sha256',
};

interface Filling {
  slab: Slab;
  used: number;
  /** Bytes of this stripe. */
  readonly target: number;
  readonly stripeIndex: number;
  readonly chunkEnds: number[];
  readonly chunkSignatures: Uint8Array[];
  /** The MD5 needs its memory. */
  isHashing: boolean;
  /** The pass and the write behind it do not. */
  isLeft: boolean;
}

/** What a finished body hands to its record. */
interface SealedBody {
  readonly placement: Placement;
  /** With slots: where the shards lie until the commit has settled. */
  readonly shardOffsets: readonly number[];
}

type Prepare = (order: number, timeMs: number, etag: string, onSettled: (undo: () => void) => void) => PreparedRecord;

const nothing = (): void => undefined;
const isSound = Promise.resolve(true);
const isUnsound = Promise.resolve(false);
const md5Only: readonly StreamDigest[] = ['md5'];
const withSha256: readonly StreamDigest[] = ['md5', 'sha256'];

export class EngineUpload implements Upload {
  onDrain: () => void = nothing;
  onFailure: (refusal: ObjectRefusal) => void = nothing;

  readonly #id: PlacementId;
  readonly #geometry: Geometry;
  readonly #layout: StripeLayout;
  readonly #isBlob: boolean;
  #received = 0;
  #stripesBegun = 0;
  #filling: Filling | null = null;
  readonly #sealed: Filling[] = [];
  #overflow: { bytes: Buffer; signatureAfter: Uint8Array[] }[] = [];
  #overflowBytes = 0;
  #isWaitingForSlab = false;
  #isPassing = false;
  #writesUnderWay = 0;
  #md5Stream: Md5Stream | null = null;
  #hashesUnderWay = 0;
  /** Stripes that only their MD5 keeps in memory. */
  #stripesToHash = 0;
  #isEnding = false;
  /** The pass has a digest or chunk signatures to work on. */
  #hasMoreThanMd5 = false;
  #wasPaused = false;
  #control: Slab | null = null;
  #writer: BlobWriter | null = null;
  #body: SealedBody | null = null;
  /** Of a small body: where its pass finds its bytes and leaves its results. */
  #slots: { readonly dataOffset: number; readonly parityOffset: number; readonly hashesOffset: number } | null = null;
  #md5: string | null = null;
  readonly #held: Slab[] = [];
  #failure: ObjectRefusal | null = null;
  #isAborted = false;
  /** `finish` and the commit work with the memory: an abort waits for them. */
  #callsUnderWay = 0;
  #isHandedOver = false;
  #waiters: (() => void)[] = [];
  /** Left the queue for its pass, which has not yet read where its chunks end. */
  #unread: Filling | null = null;
  /** Signed chunks that end behind the last byte. */
  readonly #lateEnds: Uint8Array[] = [];
  /** Made when something waits: most uploads never do, and a controller costs more than all else that they hold. */
  #abortController: AbortController | null = null;

  constructor(
    private readonly context: EngineContext,
    private readonly bucket: BucketState,
    private readonly options: UploadOptions,
  ) {
    this.#isBlob = options.bytes > limits.slotObjectBytesMax;
    const { id, geometry } = context.newPlacement(options.storageClass, this.#isBlob);
    this.#id = id;
    this.#geometry = geometry;
    const stripeBytes = this.#isBlob ? stripeBytesFor(geometry.dataShards) : Math.max(options.bytes, 1);
    const { dataShards, parityShards, rotation } = geometry;
    this.#layout = { dataShards, parityShards, rotation, stripeBytes, objectBytes: options.bytes };
  }

  write(chunk: Uint8Array, start: number, end: number): boolean {
    if (this.#failure !== null || this.#isAborted) return true;
    if (this.#received + (end - start) > this.options.bytes) {
      this.#fail(new Refusal('IncompleteBody', 'The body is longer than its declared length.'));
      return true;
    }
    this.#received += end - start;
    if (this.#overflow.length > 0) this.#keepAside(chunk, start, end);
    else this.#take(chunk, start, end);
    this.#wasPaused = this.#mustPause();
    return !this.#wasPaused;
  }

  endChunk(signature: Uint8Array): void {
    const kept = Uint8Array.from(signature);
    const aside = this.#overflow.at(-1);
    if (aside !== undefined) aside.signatureAfter.push(kept);
    else this.#endChunkHere(kept);
  }

  // Neither this nor the commit is an async function: on the way of a small body their machinery costs more than the
  // steps themselves.
  finish(): Promise<UploadDigests> {
    this.#callsUnderWay++;
    return this.#passRest().then(
      (isSound) => {
        try {
          if (!isSound) throw this.#failSignature();
          this.#body ??= this.#slotBody();
          this.#throwIfFailed();
          return this.#digests();
        } catch (error) {
          this.abort();
          throw error;
        } finally {
          this.#callEnded();
        }
      },
      (error: unknown) => {
        this.abort();
        this.#callEnded();
        throw error instanceof Refusal ? this.#refusalOf(error) : error;
      },
    );
  }

  /** False: a chunk does not match its signature. */
  #passRest(): Promise<boolean> {
    try {
      this.#throwIfFailed();
      if (this.#received < this.options.bytes) {
        throw this.#fail(new Refusal('IncompleteBody', 'The body ended before its declared length.'));
      }
      return this.#isBlob || this.#overflow.length > 0 ? this.#passLater() : this.#passSmall();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : internal(error));
    }
  }

  async #passLater(): Promise<boolean> {
    await this.#until(() => this.#overflow.length === 0);
    if (!this.#isBlob) return this.#passSmall();
    await this.#finishBlob();
    return true;
  }

  verifyTrailer(trailerBlock: Uint8Array, signature: Uint8Array): boolean {
    this.#throwIfFailed();
    invariant(this.#control !== null, 'the stream state lives until commit or abort');
    return this.context.compute.streamTrailerSignature(this.#control.offset, trailerBlock, signature);
  }

  commitObject(options: {
    metadata: ObjectMetadata;
    checksum: Checksum | null;
    precondition: WritePrecondition | null;
  }): Promise<ObjectInfo> {
    const { bucketId } = this.bucket;
    const { key } = this.options;
    let stored: ObjectRecord | null = null;
    const prepare: Prepare = (order, timeMs, etag, onSettled) => {
      this.#requireBucket();
      if (options.precondition !== null) {
        checkPrecondition(options.precondition, currentEtag(this.context, bucketId, key), key);
      }
      const versionId = versionIdFor(this.context.index.writeMode(bucketId, key), order);
      const body = this.#sealedBody();
      stored = {
        bucketId,
        key,
        versionId,
        isMarker: false,
        bytes: this.options.bytes,
        modifiedMs: timeMs,
        etag,
        checksum: options.checksum,
        metadata: options.metadata,
        dataOrder: 0,
        placement: body.placement,
        multipart: null,
      };
      onSettled(this.context.overlay.putVersion(bucketId, key, { order, versionId, etag }));
      return this.#prepared(RecordType.objectPut, encodeObject(stored, body.shardOffsets.length > 0), body, stored);
    };
    return this.#commit(prepare, () => objectInfo(this.options.bucket, stored ?? invariantNever()));
  }

  commitPart(options: { uploadId: string; partNumber: number; checksum: Checksum | null }): Promise<PartInfo> {
    const { bucketId } = this.bucket;
    const { key } = this.options;
    let stored: PartRecord | null = null;
    const prepare: Prepare = (order, timeMs, etag, onSettled) => {
      this.#requireBucket();
      requireUpload(this.context, bucketId, key, options.uploadId);
      const body = this.#sealedBody();
      stored = {
        bucketId,
        key,
        uploadId: options.uploadId,
        partNumber: options.partNumber,
        bytes: this.options.bytes,
        modifiedMs: timeMs,
        etag,
        checksum: options.checksum,
        placement: body.placement,
      };
      onSettled(this.context.overlay.setPart(order, stored));
      return this.#prepared(RecordType.partPut, encodePart(stored, body.shardOffsets.length > 0), body, null);
    };
    return this.#commit(prepare, () => partInfo(stored ?? invariantNever()));
  }

  abort(): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#abortController?.abort();
    this.#dropOverflow();
    this.#filling?.slab.release();
    this.#filling = null;
    for (const stripe of this.#sealed.splice(0)) this.#leave(stripe);
    this.#md5Stream?.close();
    this.#wake();
    const isIdle = (): boolean => this.#isQuiet() && this.#callsUnderWay === 0;
    void this.#until(isIdle, true).then(() => {
      this.#releaseAll();
      // A record that was handed over may yet be rolled forward: its bytes must stay.
      if (this.#isHandedOver || this.#writer === null) return undefined;
      return this.#writer.abort().then(() => this.#closeBlob());
    });
  }

  /** Its record names its files now, or none ever will. */
  #closeBlob(): void {
    if (this.#writer !== null) this.context.openBlobs.delete(this.#writer.name);
  }

  #callEnded(): void {
    this.#callsUnderWay--;
    this.#wake();
  }

  // ---- receiving ----

  #take(chunk: Uint8Array, start: number, end: number): void {
    const { compute } = this.context;
    let at = start;
    while (at < end) {
      const filling = this.#room(end - at);
      if (filling === null) {
        this.#keepAside(chunk, at, end);
        return;
      }
      const bytes = Math.min(end - at, Math.min(filling.slab.bytes, filling.target) - filling.used);
      compute.copyIn(filling.slab.offset + filling.used, chunk, at, bytes);
      filling.used += bytes;
      at += bytes;
      // A body that is not a blob stays until the commit; its one stripe is passed over in `finish`.
      if (filling.used === filling.target && this.#isBlob) this.#seal(filling);
    }
  }

  /** The stripe that fills, with room for at least one byte; null when no memory is free. */
  #room(wanted: number): Filling | null {
    const filling = this.#filling;
    if (filling !== null && filling.used < Math.min(filling.slab.bytes, filling.target)) return filling;
    const slab = this.context.slabs.tryAllocate(this.#nextSlabBytes(wanted), 'upload');
    return slab === null ? null : this.#install(slab);
  }

  /** Takes a slab of `#nextSlabBytes`: for the next stripe, or to go on with the one that fills. */
  #install(slab: Slab): Filling {
    const filling = this.#filling;
    if (filling !== null) {
      this.context.compute.copyWithin(slab.offset, filling.slab.offset, filling.used);
      filling.slab.release();
      filling.slab = slab;
      return filling;
    }
    const stripeIndex = this.#stripesBegun++;
    const target = stripeLength(this.#layout, stripeIndex);
    return (this.#filling = {
      slab,
      used: 0,
      target,
      stripeIndex,
      chunkEnds: [],
      chunkSignatures: [],
      isHashing: false,
      isLeft: false,
    });
  }

  /** Only a body that has proved that it moves gets a whole stripe at once. */
  #nextSlabBytes(wanted: number): number {
    const filling = this.#filling;
    const target = filling?.target ?? stripeLength(this.#layout, this.#stripesBegun);
    const whole = this.#wholeSlabBytes(target);
    if (filling === null && this.#stripesBegun > 0) return whole;
    const bytes =
      filling === null
        ? Math.max(firstSlabBytes, wanted)
        : Math.max(filling.slab.bytes * growthFactor, filling.used + wanted);
    // Slabs are powers of two: one that holds the target must hold the padding behind it too.
    return powerOfTwo(bytes) >= target ? whole : bytes;
  }

  /** Room for the zero padding of the last shard, and, for a tiny body, for all that its pass leaves. */
  #wholeSlabBytes(target: number): number {
    const padded = shardBytes(this.#geometry.dataShards, target) * this.#geometry.dataShards;
    if (this.#isBlob || target > limits.passNowBytesMax) return padded;
    return align64(padded) + this.#auxBytes(target, true);
  }

  /** Parity, hashes, and for a small body the stream state too. */
  #auxBytes(bytes: number, withState: boolean): number {
    const shard = shardBytes(this.#geometry.dataShards, bytes);
    const shardCount = this.#geometry.dataShards + this.#geometry.parityShards;
    const state = withState ? this.context.compute.streamStateBytes : 0;
    return state + align64(this.#geometry.parityShards * shard) + shardCount * checksumBlockCount(shard) * 32;
  }

  #keepAside(chunk: Uint8Array, start: number, end: number): void {
    const { overflow } = this.context;
    const bytes = end - start;
    if (overflow.bytes + bytes > limits.overflowBytesMax) {
      this.#fail(new Refusal('SlowDownWrite', 'The server is out of memory for uploads; try again later.'));
      return;
    }
    overflow.bytes += bytes;
    this.#overflowBytes += bytes;
    this.#overflow.push({ bytes: Buffer.from(chunk.subarray(start, end)), signatureAfter: [] });
    this.#waitForSlab();
  }

  #waitForSlab(): void {
    if (this.#isWaitingForSlab) return;
    this.#isWaitingForSlab = true;
    this.context.compute.hurryMd5();
    this.context.slabs.allocate(this.#nextSlabBytes(this.#overflowBytes), 'upload', this.#abortSignal()).then(
      (slab) => {
        this.#isWaitingForSlab = false;
        if (this.#isAborted || this.#failure !== null) {
          slab.release();
          return;
        }
        // Used, not given back: others wait behind us, and would get it first.
        this.#install(slab);
        this.#takeOverflow();
      },
      () => {
        this.#isWaitingForSlab = false;
      },
    );
  }

  #takeOverflow(): void {
    const pieces = this.#overflow;
    this.#overflow = [];
    this.context.overflow.bytes -= this.#overflowBytes;
    this.#overflowBytes = 0;
    for (const piece of pieces) {
      if (this.#overflow.length > 0) this.#keepAside(piece.bytes, 0, piece.bytes.length);
      else this.#take(piece.bytes, 0, piece.bytes.length);
      const aside = this.#overflow.at(-1);
      for (const signature of piece.signatureAfter) {
        if (aside !== undefined) aside.signatureAfter.push(signature);
        else this.#endChunkHere(signature);
      }
    }
    this.#wake();
    this.#resumeWhenReady();
  }

  #dropOverflow(): void {
    this.context.overflow.bytes -= this.#overflowBytes;
    this.#overflowBytes = 0;
    this.#overflow = [];
  }

  #endChunkHere(signature: Uint8Array): void {
    const filling = this.#filling;
    if (filling !== null) {
      filling.chunkEnds.push(filling.used);
      filling.chunkSignatures.push(signature);
      return;
    }
    // The stripe was sealed with the chunk's last byte; it may not have been passed over yet.
    const last = this.#sealed.at(-1) ?? this.#unread;
    if (last !== null) {
      last.chunkEnds.push(last.used);
      last.chunkSignatures.push(signature);
      return;
    }
    this.#lateEnds.push(signature);
  }

  #mustPause(): boolean {
    return (
      this.#overflow.length > 0 ||
      this.#sealed.length + this.#writesUnderWay >= stripesAheadMax ||
      this.#stripesToHash >= stripesToHashMax
    );
  }

  #resumeWhenReady(): void {
    if (!this.#wasPaused || this.#mustPause()) return;
    this.#wasPaused = false;
    this.onDrain();
  }

  // ---- passing and writing ----

  #seal(filling: Filling): void {
    this.#filling = null;
    this.#sealed.push(filling);
    this.#pump();
  }

  #pump(): void {
    if (this.#isPassing || this.#isAborted || this.#failure !== null) return;
    if (this.#writesUnderWay >= stripesAheadMax) return;
    const stripe = this.#sealed.shift();
    if (stripe === undefined) return;
    this.#isPassing = true;
    this.#unread = stripe;
    this.#passAndWrite(stripe)
      .catch((error: unknown) => {
        this.#fail(this.#refusalOf(error));
      })
      .finally(() => {
        this.#wake();
        this.#resumeWhenReady();
      });
  }

  async #passAndWrite(stripe: Filling): Promise<void> {
    const { slabs, compute } = this.context;
    let aux: Slab | null = null;
    try {
      await this.#startBlob();
      this.#hash(stripe);
      aux = await slabs.allocate(this.#auxBytes(stripe.target, false), 'pass', this.#abortSignal());
      const late = this.#lateEnds.splice(0);
      this.#unread = null;
      const shard = shardBytes(this.#geometry.dataShards, stripe.target);
      const hashesOffset = aux.offset + align64(this.#geometry.parityShards * shard);
      const isPassed = await compute.pass({
        stateOffset: this.#hasMoreThanMd5 ? (this.#control?.offset ?? -1) : -1,
        dataOffset: stripe.slab.offset,
        dataBytes: stripe.target,
        dataShards: this.#geometry.dataShards,
        parityShards: this.#geometry.parityShards,
        shardBytes: shard,
        parityOffset: aux.offset,
        hashesOffset,
        idHigh: this.#id.high,
        idLow: this.#id.low,
        firstBlock: stripe.stripeIndex * checksumBlockCount(this.#layout.stripeBytes / this.#geometry.dataShards),
        chunkEnds: [...late.map(() => 0), ...stripe.chunkEnds],
        chunkSignatures: [...late, ...stripe.chunkSignatures],
      });
      if (!isPassed)
        throw new Refusal<ObjectErrorCode>(
          'SignatureDoesNotMatch',
          'A chunk of the body does not match its signature.',
        );
      this.#write(stripe, aux, hashesOffset);
    } catch (error) {
      this.#leave(stripe);
      aux?.release();
      throw error;
    } finally {
      this.#isPassing = false;
      // The next pass runs while this stripe is being written.
      this.#pump();
    }
  }

  /** By the MD5 alone: it is worth waiting for that of others, and the drives need not wait for it. */
  #hash(stripe: Filling): void {
    invariant(this.#md5Stream !== null, 'the stream was begun');
    stripe.isHashing = true;
    this.#hashesUnderWay++;
    this.#md5Stream
      .add(stripe.slab.offset, stripe.target)
      .catch((error: unknown) => {
        this.#fail(internal(error));
      })
      .finally(() => {
        this.#hashesUnderWay--;
        stripe.isHashing = false;
        if (stripe.isLeft) {
          this.#stripesToHash--;
          this.#release(stripe);
        }
        this.#wake();
        this.#resumeWhenReady();
      });
  }

  /** The pass and the write are done with it, or will not be. */
  #leave(stripe: Filling): void {
    stripe.isLeft = true;
    if (stripe.isHashing) this.#stripesToHash++;
    else this.#release(stripe);
  }

  #release({ slab }: Filling): void {
    if (this.#writer === null) slab.release();
    else this.#writer.stuck.release(slab);
  }

  #isQuiet(): boolean {
    return !this.#isPassing && this.#writesUnderWay === 0 && this.#hashesUnderWay === 0;
  }

  #write(stripe: Filling, aux: Slab, hashesOffset: number): void {
    const writer = this.#writer;
    invariant(writer !== null, 'a blob has its writer');
    this.#writesUnderWay++;
    writer
      .writeStripe(stripe.stripeIndex, stripe.slab.offset, aux.offset, hashesOffset)
      .then(() => {
        if (!writer.hasQuorum) throw writer.refusal;
      })
      .catch((error: unknown) => {
        this.#fail(this.#refusalOf(error));
      })
      .finally(() => {
        this.#leave(stripe);
        writer.stuck.release(aux);
        this.#writesUnderWay--;
        this.#pump();
        this.#wake();
        this.#resumeWhenReady();
      });
  }

  async #startBlob(): Promise<void> {
    if (this.#writer !== null) return;
    const { slabs, compute, set } = this.context;
    // One state for the MD5, and one for all else: they go on at different times.
    const control = await slabs.allocate(2 * compute.streamStateBytes, 'pass', this.#abortSignal());
    this.#control = control;
    const others = this.#wantedDigests().filter((digest) => digest !== 'md5');
    compute.streamInit(control.offset, others, this.options.signedStream);
    compute.streamInit(control.offset + compute.streamStateBytes, md5Only, null);
    this.#hasMoreThanMd5 = others.length > 0 || this.options.signedStream !== null;
    this.#md5Stream = compute.openMd5(control.offset + compute.streamStateBytes);
    if (this.#isAborted) this.#md5Stream.close();
    if (this.#isEnding) this.#md5Stream.hurry();
    this.#writer = new BlobWriter(set, slabs, compute, this.#id, this.#layout);
    this.context.openBlobs.add(this.#writer.name);
    await this.#writer.prepare();
  }

  async #finishBlob(): Promise<void> {
    this.#isEnding = true;
    this.#md5Stream?.hurry();
    await this.#until(() => this.#sealed.length === 0 && this.#isQuiet());
    invariant(this.#writer !== null && this.#control !== null, 'a blob has at least one stripe');
    this.#finishChunks(this.#control.offset);
    await this.#writer.finish();
    this.#body = {
      placement: {
        kind: 'blob',
        geometry: this.#geometry,
        id: this.#id,
        stripeBytes: this.#layout.stripeBytes,
        positions: this.#writer.positions,
      },
      shardOffsets: [],
    };
  }

  /** Signatures of the chunks that ended behind the last pass. */
  #finishChunks(stateOffset: number): void {
    const late = this.#lateEnds.splice(0);
    if (late.length === 0) return;
    if (
      !this.context.compute.streamUpdateNow(
        stateOffset,
        this.context.slabs.zeroPageOffset,
        0,
        late.map(() => 0),
        late,
      )
    ) {
      throw this.#failSignature();
    }
  }

  #passSmall(): Promise<boolean> {
    const { slabs } = this.context;
    const filling = this.#filling;
    this.#filling = null;
    if (filling !== null) this.#held.push(filling.slab);
    const bytes = Math.max(this.options.bytes, 1);
    const auxBytes = this.#auxBytes(bytes, true);
    const padded = align64(shardBytes(this.#geometry.dataShards, bytes) * this.#geometry.dataShards);
    if (filling !== null && filling.slab.bytes - padded >= auxBytes) {
      return this.#passFrom(filling, filling.slab.offset + padded);
    }
    return slabs.allocate(auxBytes, 'pass').then((aux) => {
      this.#held.push(aux);
      return this.#passFrom(filling, aux.offset);
    });
  }

  /** The one stripe of a small body. */
  #passFrom(filling: Filling | null, auxOffset: number): Promise<boolean> {
    const { compute, slabs } = this.context;
    const { bytes } = this.options;
    this.#control = { offset: auxOffset, bytes: compute.streamStateBytes, release: nothing };
    compute.streamInit(auxOffset, this.#wantedDigests(), this.options.signedStream);
    const chunkEnds = filling?.chunkEnds ?? [];
    const chunkSignatures = filling?.chunkSignatures ?? [];
    const dataOffset = filling?.slab.offset ?? slabs.zeroPageOffset;
    if (bytes <= limits.inlineBytesMax) {
      if (!compute.streamUpdateNow(auxOffset, dataOffset, bytes, chunkEnds, chunkSignatures)) return isUnsound;
      this.#finishChunks(auxOffset);
      const inline = Buffer.from(slabs.view.subarray(dataOffset, dataOffset + bytes));
      this.#body = { placement: bytes === 0 ? { kind: 'none' } : { kind: 'inline', bytes: inline }, shardOffsets: [] };
      return isSound;
    }
    const { dataShards, parityShards } = this.#geometry;
    const shard = shardBytes(dataShards, bytes);
    const parityOffset = auxOffset + compute.streamStateBytes;
    const hashesOffset = parityOffset + align64(parityShards * shard);
    this.#slots = { dataOffset, parityOffset, hashesOffset };
    const input = {
      stateOffset: auxOffset,
      dataOffset,
      dataBytes: bytes,
      dataShards,
      parityShards,
      shardBytes: shard,
      parityOffset,
      hashesOffset,
      idHigh: this.#id.high,
      idLow: this.#id.low,
      firstBlock: 0,
      chunkEnds,
      chunkSignatures,
    };
    return bytes <= limits.passNowBytesMax ? compute.passSoon(input) : compute.pass(input);
  }

  /** Of a small body that has been passed over. */
  #slotBody(): SealedBody {
    const { slabs } = this.context;
    invariant(this.#slots !== null && this.#control !== null, 'a small body was passed over');
    this.#finishChunks(this.#control.offset);
    const { dataOffset, parityOffset, hashesOffset } = this.#slots;
    const { dataShards, parityShards } = this.#geometry;
    const shard = shardBytes(dataShards, this.options.bytes);
    const shardOffsets: number[] = [];
    for (let s = 0; s < dataShards; s++) shardOffsets.push(dataOffset + s * shard);
    for (let s = 0; s < parityShards; s++) shardOffsets.push(parityOffset + s * shard);
    const hashesBytes = (dataShards + parityShards) * checksumBlockCount(shard) * 32;
    return {
      // File and offset are known once the batch is put together; the journal keeps them.
      placement: {
        kind: 'slots',
        geometry: this.#geometry,
        id: this.#id,
        slotBytes: shard,
        hashes: Buffer.from(slabs.view.subarray(hashesOffset, hashesOffset + hashesBytes)),
        fileNumber: 0,
        fileOffset: 0,
      },
      shardOffsets,
    };
  }

  #failSignature(): ObjectRefusal {
    return this.#fail(new Refusal('SignatureDoesNotMatch', 'A chunk of the body does not match its signature.'));
  }

  // ---- digests and commit ----

  #wantedDigests(): readonly StreamDigest[] {
    const { sha256, checksum } = this.options;
    if (checksum === null) return sha256 ? withSha256 : md5Only;
    return [...(sha256 && checksum !== 'SHA256' ? withSha256 : md5Only), streamDigestOf[checksum]];
  }

  #digests(): UploadDigests {
    const { compute } = this.context;
    const state = this.#control?.offset;
    invariant(state !== undefined, 'the stream state lives until commit or abort');
    const { sha256, checksum } = this.options;
    return {
      md5: (this.#md5 = compute.streamDigestHex(this.#isBlob ? state + compute.streamStateBytes : state, 'md5')),
      sha256: sha256 ? compute.streamDigestHex(state, 'sha256') : null,
      checksum: checksum === null ? null : compute.streamDigest(state, streamDigestOf[checksum]),
    };
  }

  #etag(): string {
    invariant(this.#md5 !== null && this.#body !== null, 'a body is finished before it is committed');
    return this.#md5;
  }

  #sealedBody(): SealedBody {
    const body = this.#body;
    invariant(body !== null, 'a body is finished before it is committed');
    if (body.placement.kind !== 'blob') return body;
    const writer = this.#writer;
    invariant(writer !== null, 'a blob has its writer');
    // A drive may have left the set since the last byte was written.
    if (!writer.hasQuorum) throw writer.refusal;
    return { ...body, placement: { ...body.placement, positions: writer.positions } };
  }

  #prepared(type: number, body: Buffer, sealed: SealedBody, meaning: ObjectRecord | null): PreparedRecord {
    this.#isHandedOver = true;
    const { placement } = sealed;
    if (placement.kind !== 'slots') return { type, body, meaning, slots: null };
    return {
      type,
      body,
      meaning,
      slots: {
        k: placement.geometry.dataShards,
        rotation: placement.geometry.rotation,
        slotBytes: placement.slotBytes,
        idHigh: placement.id.high,
        idLow: placement.id.low,
        checksumBlockBytes: limits.checksumBlockBytes,
        hashes: placement.hashes,
        shardOffsets: sealed.shardOffsets,
      },
    };
  }

  #commit<Result>(prepare: Prepare, result: () => Result): Promise<Result> {
    this.#callsUnderWay++;
    const decide: DecideRecord = ({ order, timeMs }, onSettled) => {
      // The client went away before its turn came.
      this.#throwIfFailed();
      this.context.claim(this.bucket.bucketId, this.options.key, onSettled);
      return prepare(order, timeMs, this.#etag(), onSettled);
    };
    return this.context.commit(decide, 'grow').then(
      () => {
        this.#closeBlob();
        this.#noteWritten();
        this.#callEnded();
        this.#releaseAll();
        return result();
      },
      (error: unknown) => {
        // The batch found no room and was never written.
        if (error instanceof Refusal && error.code === 'XMinioStorageFull') this.#isHandedOver = false;
        this.abort();
        this.#callEnded();
        throw error instanceof Refusal ? this.#refusalOf(error) : error;
      },
    );
  }

  #noteWritten(): void {
    const { bodies, slabs } = this.context;
    const { bytes } = this.options;
    if (this.#slots === null || bytes > bodies.bodyBytesMax) return;
    const { dataOffset } = this.#slots;
    bodies.noteWritten(this.#id, slabs.view.subarray(dataOffset, dataOffset + bytes));
  }

  #abortSignal(): AbortSignal {
    this.#abortController ??= new AbortController();
    if (this.#isAborted) this.#abortController.abort();
    return this.#abortController.signal;
  }

  #requireBucket(): void {
    const pending = this.context.overlay.bucket(this.options.bucket);
    const bucketId =
      pending === undefined ? this.context.index.buckets.get(this.options.bucket)?.bucketId : pending.bucketId;
    if (bucketId !== this.bucket.bucketId)
      throw new Refusal<ObjectErrorCode>('NoSuchBucket', undefined, { BucketName: this.options.bucket });
  }

  #releaseAll(): void {
    this.#md5Stream?.close();
    this.#md5Stream = null;
    this.#control?.release();
    this.#control = null;
    for (const slab of this.#held.splice(0)) slab.release();
  }

  // ---- waiting and failing ----

  #fail(refusal: ObjectRefusal): ObjectRefusal {
    if (this.#failure === null) {
      this.#failure = refusal;
      this.#wake();
      if (!this.#isAborted) this.onFailure(refusal);
    }
    return this.#failure;
  }

  #refusalOf(error: unknown): ObjectRefusal {
    if (!(error instanceof Refusal)) return internal(error);
    const { bucket, key } = this.options;
    return this.context.whenFull(error as ObjectRefusal, { bucket, bucketId: this.bucket.bucketId, key });
  }

  #throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#isAborted) throw new Refusal<ObjectErrorCode>('RequestTimeout', 'The upload was given up.');
  }

  /** Waits for a condition that `#wake` makes worth testing. With `evenAborted`, goes on after failure and abort. */
  async #until(isReached: () => boolean, evenAborted = false): Promise<void> {
    while (!isReached()) {
      if (!evenAborted) this.#throwIfFailed();
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    if (!evenAborted) this.#throwIfFailed();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

/** The smallest that is not less; of at most 2^31. Shifted, because a power is calculated in floating point. */
function powerOfTwo(bytes: number): number {
  return bytes <= 1 ? 1 : (1 << (32 - Math.clz32(bytes - 1))) >>> 0;
}

function align64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

function internal(error: unknown): ObjectRefusal {
  return new Refusal<ObjectErrorCode>('InternalError', undefined, {}, error);
}

function invariantNever(): never {
  invariant(false, 'a committed record was prepared');
}

/** Throws NoSuchUpload unless the upload is open in commit order. */
export function requireUpload(context: EngineContext, bucketId: number, key: string, uploadId: string): void {
  const pending = context.overlay.upload(uploadId);
  const isOpen =
    pending === undefined
      ? context.index.catalog.get(uploadKey(bucketId, key, uploadId)) !== undefined
      : !pending.isGone;
  if (!isOpen) throw new Refusal<ObjectErrorCode>('NoSuchUpload', undefined, { UploadId: uploadId });
}
