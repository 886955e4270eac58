/**
 * The typed face of the compute half of the addon. Thread-safe: every environment (main thread and
 * each worker) loads the addon and attaches the same arena. Offsets and lengths are bytes in the
 * arena unless said otherwise. The caller checks meaning; the binding checks types, lengths, that
 * every range lies inside the arena and that a range which a call writes shares no byte with another
 * one of the call (copies may), and throws RangeError or TypeError; kernels check nothing.
 */
import { addon } from './addon.js';

/** Which digests of a byte stream are computed. Bits of `StreamConfig.digests`. */
export const Digest = { md5: 1, sha256: 2, sha1: 4, crc32: 8, crc32c: 16, crc64nvme: 32 } as const;
export type DigestName = keyof typeof Digest;

/** Bytes of the arena that one stream's running state needs. Plain data: any thread may go on with it. */
export const streamStateBytes = 2048;

export interface ChunkSigning {
  /** From `createSigningKey`. */
  readonly signingKey: Uint8Array;
  /** ISO basic date-time of the request, `YYYYMMDDTHHMMSSZ`. */
  readonly amzDate: string;
  /** `YYYYMMDD/region/service/aws4_request`, at most 256 bytes. */
  readonly scope: string;
  /** The request's own signature, 64 hex digits: the seed of the chain. */
  readonly seedSignature: string;
}

export interface KernelPaths<Names> {
  readonly rs: Names;
  readonly highwayHash: Names;
  readonly crc: Names;
  readonly md5: Names;
  /** Of several messages at once. */
  readonly sha256: Names;
}

export interface Kernels {
  /**
   * Memory for an arena, aligned to 2 MiB, on huge pages where the system has them; freed with the last
   * reference. A plain SharedArrayBuffer works too, but lies 16 bytes past a page: half the speed of the
   * kernels, and no direct I/O.
   */
  createArena(bytes: number): SharedArrayBuffer;
  /** Once per environment, before anything that takes an offset. */
  attachArena(arena: SharedArrayBuffer): void;
  /** 32 bytes, once per environment: the deployment's bitrot key. */
  setHashKey(key: Uint8Array): void;
  /** Copies `bytes` from `source[sourceStart…]` to the arena. Any alignment is fast. */
  copyToArena(arenaOffset: number, source: Uint8Array, sourceStart: number, bytes: number): void;
  copyWithinArena(to: number, from: number, bytes: number): void;
  /** Selected path per kernel, for the banner and the bench: `{ rs: 'avx512-gfni', highwayHash: 'avx2', crc: 'pclmul', md5: 'avx2', sha256: 'sha-ni' }`. */
  paths(): KernelPaths<string>;
  /** Every path this CPU can run, best first. */
  availablePaths(): KernelPaths<readonly string[]>;

  /** Starts a stream's state at `stateOffset` (64-byte aligned). `digests` is a union of `Digest` bits. */
  streamInit(stateOffset: number, digests: number, signing: ChunkSigning | null): void;
  /**
   * One pass over one stripe (or a whole small object) while its bytes are in cache: stream digests,
   * chunk signatures, Reed–Solomon parity, bitrot hashes.
   *
   * Data shard i lies at dataOffset + i·shardBytes; the bytes from `dataBytes` to k·shardBytes are
   * zeroed here. Parity shard j is written to parityOffset + j·shardBytes. Hashes: for shard index
   * s in 0…k+m−1 and its checksum block b, 32 bytes at hashesOffset + 32·(s·blockCount + b) with
   * blockCount = ceil(shardBytes / checksumBlockBytes). Each hash is HighwayHash-256 under the
   * deployment key with its four 64-bit lanes XORed with (idHigh, idLow, s, firstBlock + b).
   *
   * `args`: [stateOffset or −1, dataOffset, dataBytes, k, m, shardBytes, parityOffset, hashesOffset,
   *          checksumBlockBytes, idHigh, idLow, firstBlock]
   * `chunkEnds`: for signed chunks, [end, …]: the stripe-relative byte ends of the chunks that end in
   *   this stripe, in order (the same end twice is an empty chunk); `chunkSignatures`: 32 raw bytes each.
   * Returns 1, or 0 when a chunk signature did not match (the state then stays refused for good).
   */
  putPass(args: Float64Array, chunkEnds: Float64Array | null, chunkSignatures: Uint8Array | null): number;
  /**
   * Up to 32 passes of different streams in one call, 12 numbers each: their MD5 runs side by side in
   * the lanes of a vector, which makes it several times cheaper than pass by pass. Element i of the
   * other arguments and of the answer belongs to pass i. Throws before any work when an argument is wrong.
   */
  putPasses(
    args: Float64Array,
    chunkEnds: readonly (Float64Array | null)[],
    chunkSignatures: readonly (Uint8Array | null)[],
  ): number[];
  /** Feeds stream digests only, without coding (chunkEnds as above). */
  streamUpdate(
    stateOffset: number,
    dataOffset: number,
    dataBytes: number,
    chunkEnds: Float64Array | null,
    chunkSignatures: Uint8Array | null,
  ): number;
  /**
   * Feeds up to 32 streams without signing, three numbers each: [stateOffset, dataOffset, dataBytes]. Their MD5 runs side
   * by side, as in `putPasses`.
   */
  streamUpdates(args: Float64Array): void;
  /** The digest so far (a copy of the state is finished, the state goes on). CRCs big-endian, as S3 sends them. */
  streamDigest(stateOffset: number, digest: number): Uint8Array;
  /** The same in hexadecimal: a string costs a fraction of an array with memory of its own. */
  streamDigestHex(stateOffset: number, digest: number): string;
  /**
   * The trailer chunk of a signed stream: checks `HMAC(key, AWS4-HMAC-SHA256-TRAILER…)` after the last
   * chunk. `trailerBlock` is the canonical `name:value\n…` text. Returns 1 or 0.
   */
  streamTrailerSignature(stateOffset: number, trailerBlock: Uint8Array, signature: Uint8Array): number;

  /**
   * Verifies runs of checksum blocks. `jobs`: 8 numbers each:
   * [dataOffset, bytes, hashesOffset, checksumBlockBytes, idHigh, idLow, shardIndex, firstBlock].
   * Returns the indices of the jobs with a wrong hash, in order; empty when all are right.
   */
  verifyBlocks(jobs: Float64Array): number[];
  /** Hashes instead of comparing: the same jobs, hashes are written to hashesOffset. */
  hashBlocks(jobs: Float64Array): void;
  /**
   * Rebuilds shards from any k. `offsets[s]`: where shard s of k+m lies or shall lie. `present` and
   * `wanted` are bit masks of shard indices; present has at least k bits, the lowest k are used.
   */
  reconstruct(k: number, m: number, shardBytes: number, offsets: Float64Array, present: number, wanted: number): void;
  /** Parity alone: `offsets` of the k data then the m parity shards. */
  encode(k: number, m: number, shardBytes: number, offsets: Float64Array): void;

  /** One-shot digests of plain memory, for small things on the calling thread. */
  digest(digest: number, bytes: Uint8Array): Uint8Array;
  highwayHash256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** `crc(a ‖ b)` from both and the length of b in bytes; values big-endian. `digest` is one CRC bit. */
  crcCombine(digest: number, a: Uint8Array, b: Uint8Array, bBytes: number): Uint8Array;
  hmacSha256(key: Uint8Array, message: Uint8Array | string): Uint8Array;
  hmacSha1(key: Uint8Array, message: Uint8Array | string): Uint8Array;
  sha256Hex(message: Uint8Array | string): string;
  /** SigV4 key derivation; the opaque result holds the HMAC pads already hashed. Secret: never log it. */
  createSigningKey(secret: string, date: string, region: string, service: string): Uint8Array;
  /** HMAC-SHA256 under a key of `createSigningKey`, 64 lower-case hex digits. */
  sign(signingKey: Uint8Array, stringToSign: string): string;
  /**
   * Whether this is the signature of the request, 64 lower-case hex digits: sha256(canonicalRequest), HMAC of the string
   * to sign, and a constant-time comparison in one call.
   */
  verifyRequest(
    signingKey: Uint8Array,
    amzDate: string,
    scope: string,
    canonicalRequest: string,
    signature: string,
  ): boolean;
  /** Constant-time over the longer length; false when lengths differ. */
  constantTimeEqual(a: Uint8Array | string, b: Uint8Array | string): boolean;
}

export const kernels = addon as Kernels;
