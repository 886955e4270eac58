/**
 * The journal of one erasure set: one sequencer, batches written to every drive at the same file and
 * offset, epochs, fencing, recovery, catch-up. It does not know what records mean.
 */

/** A record that was to be moved has been replaced or deleted, or is about to be. */
export class RecordChanged extends Error {
  override readonly name = 'RecordChanged';
}

/** Where a batch starts. The same on every drive of the set. */
export interface LogPosition {
  readonly fileNumber: number;
  readonly fileOffset: number;
  readonly epoch: number;
  /** Of the batch: strictly increasing, never reused. */
  readonly sequence: number;
  /** 64 hex digits: digest over the batch's drive-independent part, which holds its predecessor's. */
  readonly digest: string;
}

/** The shards that a record carries in its batch: one slot of the same length on every drive. */
export interface ShardSlots {
  /** Data shards; parity is driveCount − k. */
  readonly k: number;
  /** Shard s lies on drive position (s + rotation) mod driveCount. */
  readonly rotation: number;
  readonly slotBytes: number;
  /** Binds the hashes to this placement: see `Kernels.putPass`. firstBlock is 0. */
  readonly idHigh: number;
  readonly idLow: number;
  /** Checksum blocks per slot; the last may be shorter. */
  readonly checksumBlockBytes: number;
  /** 32 bytes for each shard and block: driveCount · blockCount · 32, shard by shard. */
  readonly hashes: Uint8Array;
}

/** What `prepare` hands over for one record. */
export interface PreparedRecord {
  readonly type: number;
  readonly body: Uint8Array;
  /** What the body says, when whoever applies the record had better not decode it again. */
  readonly meaning?: object | null;
  /** With slots: arena offset of shard s, for each s. The bytes must stay until the commit settles. */
  readonly slots: (ShardSlots & { readonly shardOffsets: readonly number[] }) | null;
}

/** A record as it lies in the log. */
export interface LogRecord {
  readonly type: number;
  readonly body: Uint8Array;
  /** Total order of records: sequence · 65,536 + index in the batch. */
  readonly order: number;
  /** As it was prepared; null, or absent, when the record was read from a log. */
  readonly meaning?: object | null;
  /** With the place of its slots: file offset of the slot, the same on every drive. */
  readonly slots: (ShardSlots & { readonly fileNumber: number; readonly fileOffset: number }) | null;
}

export interface CommitContext {
  readonly order: number;
  /** Wall time of the batch, never below that of an earlier batch. */
  readonly timeMs: number;
}

/**
 * Called in commit order when the record's batch is put together; synchronous. What it throws rejects
 * its commit and nothing else. It sees what earlier `prepare` calls decided through its own room's overlay.
 */
export type Prepare = (context: CommitContext) => PreparedRecord;

/**
 * What a record does to the room on the drives. When no further log file can be made, what grows is refused. The rest
 * goes through, into the reserve, each as far as it leaves what those behind it need: `marker` (of a delete that frees
 * nothing by itself), `system` (few and small: without them nobody can manage a full deployment), `free` (gives more
 * back than it takes), `move` (of compaction).
 */
export type CommitPurpose = 'grow' | 'marker' | 'system' | 'free' | 'move';

/**
 * Takes committed batches in order: live, in replay and in catch-up. Resolves when readers see them.
 * `end` is the position of this batch: the index stores it with the records in one transaction.
 */
export type ApplyBatch = (records: readonly LogRecord[], position: LogPosition) => Promise<void>;

/** Keeps the bringing up of a drive within its share, so that clients are served meanwhile. One step at a time. */
export interface CatchUpPace {
  /** A break in the work that owes no pause. */
  restart(): void;
  /** After a step that took so many bytes: waits as long as it has to. */
  step(bytes: number): Promise<void>;
  /** Ends the pause under way; later ones are none. */
  close(): void;
}

/** Of work that goes on in so many places at once. */
export type NewCatchUpPace = (lanes: number) => CatchUpPace;

/**
 * Catch-up calls it for records without slots that a drive missed, before the drive counts again.
 * `healed`: the drive holds all that the record says it should; `later`: to be called again; `full`: there is no room
 * for it on the drive.
 */
export type HealRecord = (
  record: LogRecord,
  position: number,
  pace: Pick<CatchUpPace, 'restart' | 'step'>,
) => Promise<HealOutcome>;

/** Bodies beside the log that a drive still lacks, and the bytes of its shards of them; those that it has got. */
export interface BodyProgress {
  readonly count: number;
  readonly bytes: number;
  readonly doneBytes: number;
}

/** Counts them while drives of the set are brought up. */
export interface CatchUpBodies {
  /** The drive holds the history up to this sequence; 0: nothing. `isShort`: there is not much behind it. */
  begin(position: number, heldSequence: number, isShort: boolean): void;
  /** Null: they are not counted yet. */
  progress(position: number): BodyProgress | null;
  end(position: number): void;
}

/** A drive that is being brought up: 0 to 1, of the log and of bodies together. */
export interface CatchUpProgress {
  readonly position: number;
  readonly progress: number;
  /** Null: they are not counted yet. */
  readonly bodies: Pick<BodyProgress, 'count' | 'bytes'> | null;
}

export type HealOutcome = 'healed' | 'later' | 'full';

/** One piece of a record that is still in use: it is written again, at the end of the log. */
export interface RecordMove {
  /** The record's slots are part of it. */
  readonly hasSlots: boolean;
  /** What it has of `liveBytes`. */
  readonly liveBytes: number;
  /**
   * Called in commit order, like any `Prepare`, with the shards when `hasSlots`. Throws RecordChanged when the
   * piece is not what it was, or a record on its way will change it.
   */
  prepare(slots: PreparedRecord['slots']): PreparedRecord;
  /** Once for each `prepare`, after its commit has settled. */
  settled(): void;
}

/** What compaction has to know about the records: answered by the room that owns the index. */
export interface LogSpace {
  /** Of records that are in use and lie in this file: what an index holds, exactly. */
  liveBytes(fileNumber: number): number;
  /** The pieces of a record that are in use there. Empty for what was deleted, replaced or moved on. */
  movesOf(record: LogRecord, fileNumber: number): Iterable<RecordMove>;
  /** Everything applied so far is durable in the index: a start after a crash need not read it from the log. */
  keep(): Promise<void>;
  /** Resolves when nobody reads any more by what the index said before this call. */
  readersGone(): Promise<void>;
  /**
   * False: the index cannot be written, and so much of it is in memory that it must not grow. `isFew`: not even by what
   * comes in small numbers.
   */
  hasRoom(isFew?: boolean): boolean;
}

export interface JournalHealth {
  readonly epoch: number;
  readonly sequence: number;
  /** Drive positions in S. */
  readonly inSync: readonly number[];
  readonly canRead: boolean;
  readonly canWrite: boolean;
  /** Positions being caught up, with their progress from 0 to 1. */
  readonly catchingUp: readonly CatchUpProgress[];
}

/** What was found in one log file, on the drives that were asked for. */
export interface LogFileReport {
  /** Drives, as bits, whose copy of everything in the file is right now. */
  readonly sound: number;
  /** Copies of batches that were verified, and the bytes read for it. */
  readonly batches: number;
  readonly bytes: number;
  /** Copies whose header, records or slots were wrong; those among them that were written anew, and their bytes. */
  readonly bad: number;
  readonly repaired: number;
  readonly repairedBytes: number;
  /** Records whose slots cannot be rebuilt from what all drives hold. */
  readonly unreadable: number;
  /** Places behind which no drive has the next batch. */
  readonly holes: number;
}

export interface VerifyFileOptions {
  /** Drives in S, as bits. */
  readonly positions: number;
  /** What is wrong is written anew from the other drives, and verified again. */
  readonly isRepair: boolean;
  /** Called after so many bytes were read; the rest waits for it. */
  readonly pace: (bytes: number) => Promise<void>;
  /** Told of records whose copy on a drive is wrong, before it is repaired. */
  readonly onWrongRecords?: (position: number, records: readonly LogRecord[]) => void;
  /** Told of a copy of a batch that is wrong, with the records whose slots are. */
  readonly onBad?: OnBad;
}

export type OnBad = (position: number, wrongSlots: readonly LogRecord[]) => void;

export interface Journal {
  /**
   * Resolves with the record once it is durable on all of S and applied.
   * Rejects with Refusal SlowDownWrite when the write quorum is lost, XMinioStorageFull when no room is left.
   * After SlowDownWrite of a batch under way its outcome is decided at the next start.
   */
  commit(prepare: Prepare, purpose?: CommitPurpose): Promise<LogRecord>;
  /**
   * Resolves when everything that was decided before this call is durable and applied: for an answer that relies on
   * it and commits nothing itself. Rejects with Refusal SlowDownWrite when that is left to the next start.
   */
  settled(): Promise<void>;
  /** A blob write failed: the drive leaves S (kind `full` does not fence). Resolves when the epoch is durable. */
  reportFault(position: number, operation: string): Promise<void>;
  /** Finds out whether a drive of S hangs; then it leaves S. Never rejects. */
  probe(): Promise<void>;
  /** A blob found no room: compaction gives back what it can, even where it would not be worth while otherwise. */
  reportFull(): void;
  /** Both also in `health`; asked for every write. */
  readonly epoch: number;
  readonly canWrite: boolean;
  /** False: what grows is refused for now, for want of room or of drives. */
  readonly canGrow: boolean;
  /** False: records of the history could not be read when the set went on after a stop. */
  readonly isWhole: boolean;
  /** Numbers of the log files of the history, oldest first. */
  logFiles(): readonly number[];
  /** Goes through a log file batch by batch. Never rejects for what a drive did. */
  verifyFile(fileNumber: number, options: VerifyFileOptions): Promise<LogFileReport>;
  /** Positions in S now; an upload counts a drive only if it stayed in from first byte to commit. */
  health(): JournalHealth;
  /** Positions in S that lack bodies which could not be rebuilt yet, and how many: such a drive bears no loss of another. */
  unhealed(): ReadonlyMap<number, number>;
  /** Waits for what is under way; nothing is committed afterwards. */
  close(): Promise<void>;
}
