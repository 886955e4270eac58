/** Every bound that a client or a drive can run into, with its reason. */
import { GiB, KiB, MiB, TiB } from './units.js';

/** URL and headers together: session and web-identity tokens travel in both. */
export const headerBlockBytesMax = 32 * KiB;
/** The HTTP library closes the connection past this many headers. */
export const headerCountMax = 100;
/** S3: object keys are at most 1,024 bytes of UTF-8. */
export const keyBytesMax = 1024;
/** S3: user metadata, names and values together. */
export const userMetadataBytesMax = 2 * KiB;
/** S3 multipart: parts are numbered 1 to 10,000. */
export const partNumberMax = 10_000;
/** S3 multipart: every part but the last. */
export const partBytesMin = 5 * MiB;
/** One PUT or one part. */
export const putBytesMax = 5 * TiB;
/** A whole object. */
export const objectBytesMax = 50 * TiB;
/** S3: keys in one page of a listing, and in one DeleteObjects. */
export const listKeysMax = 1000;
export const deleteKeysMax = 1000;
/** DeleteObjects of 1,000 keys of 1,024 bytes, every byte written as a character reference, fits. */
export const deleteBodyBytesMax = 12 * MiB;
/** 10,000 parts with every checksum element. */
export const completeBodyBytesMax = 8 * MiB;
/** Configuration documents of a bucket. */
export const configBodyBytesMax = 1 * MiB;
/** An aws-chunked chunk: what other servers accept. */
export const signedChunkBytesMax = 16 * MiB;
/** The header line of one aws-chunked chunk, and the block of its trailers. */
export const chunkHeaderBytesMax = 1 * KiB;
export const trailerBytesMax = 8 * KiB;
/** Drives in one erasure set, and its parity. */
export const setDrivesMax = 16;
export const dataShardsMax = 16;
export const parityShardsMax = 8;
/** One stripe of an object; a multiple of the shard count below it when that does not divide. */
export const stripeBytes = 1 * MiB;
/** Shard bytes under one bitrot checksum: a small range read verifies no more than this. */
export const checksumBlockBytes = 64 * KiB;
/** What the HTTP library hands over at once at the most (its receive buffer). */
export const receiveBytesMax = 512 * KiB;
/** What the HTTP library may be handed at once. */
export const sendPieceBytesMax = 1 * MiB;
/** Arena by default: this share of RAM, within these bounds. */
export const arenaBytesDefaultMax = 512 * MiB;
export const arenaBytesMin = 32 * MiB;
export const arenaBytesMax = 64 * GiB;
