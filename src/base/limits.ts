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
/** Deleted entries of the index that a listing passes before others have their turn: about 5 ms. */
export const deletionsPerTurn = 64 * KiB;
export const listTurnsMax = 1000;
/** MinIO: prefixes of a bucket that are not versioned. */
export const excludedPrefixesMax = 10;
/** S3: buckets in one page of ListBuckets; also of a caller that did not ask for pages. */
export const bucketsPageMax = 10_000;
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
/** Sets of a deployment: the index tells them apart by five bits. */
export const setsMax = 32;
export const dataShardsMax = 16;
export const parityShardsMax = 8;
/** One stripe of an object; a multiple of the shard count below it when that does not divide. */
export const stripeBytes = 1 * MiB;
/** Shard bytes under one bitrot checksum: a small range read verifies no more than this. */
export const checksumBlockBytes = 64 * KiB;
/** What the HTTP library hands over at once at the most (its receive buffer). */
export const receiveBytesMax = 512 * KiB;
/** What the HTTP library may be handed at once: a read window. Less costs more calls, and more wake-ups of the client. */
export const sendPieceBytesMax = 2 * MiB;
/** Memory for bodies under way. The most is what the language gives one view of. */
export const arenaBytesDefaultMax = 512 * MiB;
export const arenaBytesMin = 32 * MiB;
export const arenaBytesMax = 4 * GiB;
/** Verified bytes of large bodies, kept for the next GET. */
export const readCacheBytesDefaultMax = 1 * GiB;
export const readCacheBytesMax = 1 * TiB;
/** XML documents held by all requests together, counted twice for what is parsed from them. */
export const documentBytesMax = 64 * MiB;
/** Query parameters of one request: the longest legitimate presigned URL has about 30. Bounds the sort. */
export const queryPairsMax = 256;
/** SigV4: how far the clocks of client and server may differ, either way. */
export const clockSkewMsMax = 15 * 60 * 1000;
/** SigV4: a presigned URL is valid for a week at most. */
export const presignedSecondsMax = 7 * 24 * 60 * 60;
/** Signing keys kept: one per credential, day and region; about 500 bytes each. */
export const signingKeysMax = 4096;
/** Authorization headers already parsed, without their signatures; each of at most so many characters. */
export const headerClaimsMax = 4096;
export const headerClaimsCharsMax = 512;
/** Region of a credential scope. The scope as a whole has to fit into 256 bytes. */
export const regionCharsMax = 64;
/** A canonical request longer than this is left out of SignatureDoesNotMatch: an answer must not amplify. */
export const signatureDetailCharsMax = 8 * KiB;
/**
 * aws-chunked: so many chunks of any size are free, and one more per so many payload bytes. S3 refuses
 * chunks below 8 KiB altogether; some clients send them, and a flood of one-byte chunks must not hold the main thread.
 */
export const smallChunksMax = 4096;
export const chunkBytesAverageMin = 512;
/** Command line: folders that one argument with ellipses may stand for, before the limit on drives is looked at. */
export const argumentExpansionMax = 1024;
/** Files that the operator names to be read whole: environment, secrets, certificates. */
export const configFileBytesMax = 1 * MiB;
/** How long requests under way may take to finish at shutdown, by default. */
export const shutdownGraceMs = 10_000;
/** S3: stored headers that are not user metadata, names and values together. */
export const systemMetadataBytesMax = 8 * KiB;
/** Worker threads that may be asked for: beyond the cores of large machines they only cost memory. */
export const threadsMax = 256;
/** One call to a drive, by default. Disks that retry a bad sector answer within about 10 s; past this nobody waits. */
export const driveCallMsDefault = 30_000;
/** A write to the log, which everybody waits for. Leaving the set costs a drive little: it is caught up and comes back. */
export const driveLogCallMsMax = 8_000;
/** Nothing has come from a drive for so long, though some wait: it may hang, so others are asked and it is looked at. */
export const driveStuckMs = 2_000;
/** Calls waiting for one drive. Each holds slabs or a descriptor, whose budgets bind first; this only stops a leak. */
export const driveQueueDepthMax = 65_536;
/** Open log files kept per drive: reads of these need no open. 16 drives keep within 2,048 descriptors. */
export const logFilesOpenMax = 128;
/** A copy of format.json: 3,000 drives of 42 bytes each fit. */
export const formatFileBytesMax = 256 * KiB;
/** Log files are numbered with eight decimal digits. */
export const logFileNumberMax = 99_999_999;
/** Objects up to this lie in the record itself, on every drive: their slots and hashes would take more. */
export const inlineBytesMax = 512;
/** Objects up to this carry their shards in the log batch; larger ones go to blob files. */
export const slotObjectBytesMax = 256 * KiB;
/** Small bodies kept in memory for the next GET: all of them, and each. */
export const bodyCacheBytesMax = 32 * MiB;
export const cachedBodyBytesMax = 32 * KiB;
/** Bodies as small that were written a moment ago: all of them, and their count. */
export const writtenBodiesBytesMax = 64 * MiB;
export const writtenBodiesCountMax = 65_536;
/** What the index says of objects that were read lately, decoded. */
export const latestObjectsBytesMax = 32 * MiB;
/** A pass over so little is cheaper on the calling thread than a hop to a worker. */
export const passNowBytesMax = 8 * KiB;
/** Received bytes that wait outside the arena for a slab, over all uploads: above it uploads are refused. */
export const overflowBytesMax = 64 * MiB;
/** Body bytes that arrived before their consumer was ready, over all connections; past it, 503. */
export const httpOverflowBytesMax = 64 * MiB;
/** Open connections. Each may hold a header block of `headerBlockBytesMax` for ten seconds. */
export const httpConnectionsMax = 8192;
/** A body or an answer that stands still this long for the client's sake is cut off. Mobile networks stall for 20 s. */
export const bodyStallMsMax = 30_000;
/**
 * An answer whose client takes nothing for so long gives its memory back, and is read again from there when the
 * client goes on. Clients of about 1 MB/s let the socket's buffer run empty within it.
 */
export const answerIdleMsMax = 1_000;
/** Least average rate of a body or an answer once it has taken this long: slow sockets must not hold slabs for ever. */
export const bodyBytesPerSecondMin = 1 * KiB;
export const bodyRateGraceMs = 30_000;
/** Form uploads: everything before the file. S3 takes 20,000 bytes; session tokens and policies of many conditions fit. */
export const formFieldsBytesMax = 64 * KiB;
/**
 * A form does not say how long its file is. Up to this it is read whole; beyond, its length is worked out from
 * the length of the request, which needs the file to be the last part.
 */
export const formBufferBytesMax = 8 * MiB;
/** Bytes of all forms that are held at once. */
export const formBytesMax = 64 * MiB;
/** Administration API: 256 KiB of settings, with what sealing them adds. */
export const adminBodyBytesMax = 262_272;
/** Key derivations of its payloads take 64 MiB and a tenth of a second each; an account waits for a few at most. */
export const keyDerivations = { running: 2, waiting: 64, waitingPerAccount: 16 } as const;
/** Access keys: as other servers of this API bound them. */
export const accessKeyDescriptionBytesMax = 256;
export const accessKeyMinutesMin = 15;
export const accessKeyMinutesMax = 365 * 24 * 60;
export const sessionPolicyBytesMax = 4096;
/** Names of system records lie in index keys, whose bound is that of object keys with their head. */
export const systemRecordNameBytesMax = 900;
/** Changes of system records that are made together: one record of the log, whose body is at most 2 MiB. */
export const systemChangeBytesMax = 2 * MiB;
/** Archives of accounts and of bucket documents: 100,000 users and as many access keys fit; unpacked, and their members. */
export const adminArchiveBytesMax = 16 * MiB;
export const adminArchive = { members: 100_000, bytes: 64 * MiB } as const;
/** Keys for sealing its answers: one for each account that asked lately. */
export const adminSealKeys = { kept: 256, lifeMs: 10 * 60_000, uses: 1024 } as const;
/** Names of users, groups and policies, and DNs of a directory: with their folder they fit into a system record's name. */
export const accountNameBytesMax = 800;
/** Forms of the security token service: a policy and a token that are percent-encoded throughout fit. */
export const stsFormBytesMax = 256 * KiB;
/** Temporary credentials: a quarter of an hour to a year, as other servers of this API bound them; and unless asked. */
export const sessionSeconds = { min: 900, max: 365 * 24 * 60 * 60, usual: 3600 } as const;
/** The policy that a client gives with its request for temporary credentials, compact. */
export const assumedPolicyBytesMax = 2048;
/** The tag by which a client ends its temporary credentials. */
export const revokeTypeBytesMax = 256;
/** Session tokens travel in a header beside everything else: larger sets of claims stay with the stored session. */
export const sessionTokenCharsMax = 16 * KiB;
/** Live logs and traces: who may listen to one of them at once, and what may wait for a listener that is slow. */
export const feedListeners = { count: 32, linesMax: 4096, charsMax: 2 * MiB } as const;
/** Log lines kept in memory for those who ask later. */
export const logRing = { lines: 10_000, chars: 4 * MiB } as const;
/** Buckets whose requests are counted apart: each takes a few KiB, and a time series for every operation. */
export const countedBucketsMax = 1000;
/** Settings: targets of one subsystem; with the body's bound they keep the whole within what can be imported again. */
export const settingTargetsMax = 64;
/** All settings as one text: what is exported can be imported, whose body is bounded by `adminBodyBytesMax`. */
export const settingsBytesMax = 256 * KiB;
/** Changes of settings that can be restored: the oldest make room. */
export const settingsHistoryMax = 128;
/** Webhooks: entries that wait for one of them, and their bytes; entries in one request, and its bytes. */
export const webhook = { queueMax: 1_000_000, queueBytes: 64 * MiB, batchMax: 10_000, batchBytes: 4 * MiB } as const;
/** S3 requests that wait while the service is frozen or `requests_max` are under way, and how long the former do. */
export const heldRequestsMax = 4096;
export const freezeMsMax = 15 * 60_000;
/** Memory of a check of stopped drives: pages that are not touched cost nothing. */
export const checkArenaBytes = 256 * MiB;
/** Bytes of deleted objects stay for so long at the most, for snapshots of drives. */
export const reclaimDelayMsMax = 24 * 3600 * 1000;
/** Requests to providers of identity: their time and answer, connections to one host, and how long an idle one is kept. */
export const providerHttp = { timeoutMs: 10_000, bytesMax: MiB, socketsMax: 16, idleMs: 30_000 } as const;
/**
 * Signing in with a browser: how long one may take at the provider, codes that are exchanged at once, logins
 * remembered so that none comes back twice, and what may come along.
 */
export const login = {
  lifeMs: 10 * 60_000,
  exchangesMax: 32,
  usedMax: 16_384,
  queryCharsMax: 8 * KiB,
  tokenCharsMax: 64 * KiB,
  sessionSecondsMax: 12 * 60 * 60,
} as const;
/**
 * Microsoft Graph: one answer of 11,000 group ids is 430 KB, one of 1,000 whole groups a few MiB; a user has 20,000 groups
 * and as many pages as that takes at the most; ids in one look-up of names are bounded by Graph.
 */
export const graph = { answerBytes: 8 * MiB, groups: 20_000, pages: 100, idsAtOnce: 1000 } as const;
/** One call to Graph, all of a sign-in's, and how often one is tried; a wait that Graph asks for beyond that is a failure. */
export const graphWaits = { callMs: 10_000, signInMs: 20_000, attempts: 3 } as const;
/** Memberships are looked up again this long after they were, so that servers and accounts do not ask together. */
export const membershipMinutes = { min: 30, max: 90 } as const;
/** Lists in claims that a session token repeats; longer ones stay with the stored session. */
export const tokenListMax = 200;
/** Tokens of OpenID providers: with thousands of groups they stay under this; fits into the form that carries them. */
export const webIdentityTokenCharsMax = 64 * KiB;
/**
 * OpenID: keys of one provider; claims of a token, how deep they lie, policies they name. What a provider publishes is
 * fresh for `freshMs`, is used while it is down up to `keysMsMax`, and is asked for again for unknown keys `refetchBurst`
 * times and then once every `refetchMs`.
 */
export const openId = {
  ...{ keysMax: 256, claimsMax: 512, claimDepthMax: 4, policiesMax: 1000 },
  ...{ refetchBurst: 4, refetchMs: 5000, freshMs: 10 * 60_000, keysMsMax: 24 * 3_600_000 },
  ...{ retryMsMin: 500, retryMsMax: 30_000, skewMs: 60_000 },
  /** Accounts are asked about at providers this often, and so many at once. */
  ...{ purgeMs: 3_600_000, purgeConcurrency: 4 },
} as const;
/**
 * The identity plugin: calls at once and waiting, their time, its answer and what may be in it, the token it is shown,
 * and how often it is looked whether it is there. Its users have room for `custom:` in an account's name.
 */
export const identityPlugin = {
  ...{ running: 64, waiting: 1024, timeoutMs: 5_000, checkEveryMs: 60_000 },
  ...{ replyBytesMax: 64 * KiB, tokenCharsMax: 32 * KiB, userBytesMax: 512, reasonCharsMax: 512 },
  ...{ claimsMax: 256, claimNameCharsMax: 256 },
} as const;
/** The policy plugin: it is asked for each request, and whoever waits for it holds a request of a client. */
export const policyPlugin = { running: 64, waiting: 4096, timeoutMs: 5_000, replyBytesMax: 64 * KiB } as const;
/** Client certificates: how many may stand between one and its authority, as other servers of this API bound them. */
export const clientCertificate = { intermediatesMax: 10, nameBytesMax: 256 } as const;
