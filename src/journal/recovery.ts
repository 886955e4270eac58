/**
 * A start: looks at every reachable log, lets `decide` judge, and brings the current drives to the
 * same end. Until then nothing is written; with fewer than w current drives nothing is at all, except
 * onto drives that are not current.
 */
import { invariant } from '../base/index.js';
import type { DriveFault, LogFileInfo, LogStore } from '../drive/index.js';
import type { BatchCodec } from './batch-codec.js';
import { CommonReader, copyBatch, type CopyResult } from './batch-copier.js';
import {
  decide,
  hasBit,
  type BatchSummary,
  type DriveVerdict,
  type DriveView,
  type ServeVerdict,
  type SlotState,
  type Verdict,
} from './decide.js';
import { DriveStateFile, pendingHealsMax, type PendingHeal } from './drive-state.js';
import type { LogRecord } from './journal.js';
import { batchEnd, type BatchHeader } from './layout.js';
import { lastFileStart, listLogFiles, readSlotStates, scanDrive, type DriveScan, type Remains } from './scan.js';
import type { SetLog } from './set-log.js';

/** Segments of one write of zeroes: 4 MiB. */
const zeroWriteBytes = 4 * 1024 * 1024;
/** A drive further behind than this is not asked for the verdict: it is stale beyond doubt. */
const lagFilesMax = 64;

/** A reachable drive as a start found it. */
export interface FoundDrive {
  readonly scan: DriveScan;
  readonly state: DriveStateFile;
}

export interface Findings {
  /** By position; null: not reachable, with the reason in `out`. */
  readonly drives: readonly (FoundDrive | null)[];
  readonly out: ReadonlyMap<number, string>;
  /** Every batch seen, by digest. */
  readonly headers: ReadonlyMap<string, BatchHeader>;
  readonly verdict: Verdict;
}

interface Listed {
  readonly files: readonly LogFileInfo[];
  readonly state: DriveStateFile;
  readonly start: BatchHeader | null;
}

export async function examine(setLog: SetLog, dataShards: number): Promise<Findings> {
  const { codec, stores } = setLog;
  const out = new Map<number, string>();
  const note = (position: number, fault: DriveFault): null => {
    out.set(position, `${fault.operation}: ${fault.kind}`);
    return null;
  };
  const listed = await Promise.all(
    stores.map(async (store, position) => {
      if (store === null) return null;
      const result = await listDrive(codec, store);
      if ('kind' in result) return note(position, result);
      setLog.noteFiles(position, result.files);
      setLog.states.set(position, result.state);
      return result;
    }),
  );
  const drives = await scanAll(setLog, listed, note);
  const headers = new Map<string, BatchHeader>();
  for (const drive of drives) for (const header of drive?.scan.batches ?? []) headers.set(header.digest, header);
  const views = await viewAll(setLog, drives, headers, listed);
  const verdict = decide(views, { driveCount: stores.length, dataShards, writeQuorum: setLog.writeQuorum });
  setLog.foreign.clear();
  if (verdict.kind === 'serve') {
    const abandoned = verdict.drives.flatMap((drive) => drive?.abandoned ?? []);
    for (const digest of [...verdict.dropped, ...abandoned]) setLog.foreign.add(digest);
  }
  return { drives, out, headers, verdict };
}

async function listDrive(codec: BatchCodec, store: LogStore): Promise<Listed | DriveFault> {
  const files = await listLogFiles(store);
  if (!files.ok) return files.fault;
  const state = await DriveStateFile.open(codec, store);
  if (!state.ok) return state.fault;
  const start = await lastFileStart(codec, store, files.value);
  if (!start.ok) return start.fault;
  return { files: files.value, state: state.value, start: start.value };
}

/** Scans every drive from one place on: the start of a file that they have in common. */
async function scanAll(
  setLog: SetLog,
  listed: readonly (Listed | null)[],
  note: (position: number, fault: DriveFault) => null,
): Promise<(FoundDrive | null)[]> {
  const starts = listed.flatMap((drive) => (drive?.start ? [drive.start.fileNumber] : []));
  const newest = Math.max(1, ...starts);
  let base = Math.min(newest, ...starts.filter((fileNumber) => fileNumber >= newest - lagFilesMax));
  for (;;) {
    const from = base;
    const drives = await Promise.all(
      listed.map(async (drive, position) => {
        const store = setLog.stores[position] ?? null;
        if (drive === null || store === null) return null;
        const isLagging = drive.start !== null && drive.start.fileNumber < from;
        const first = isLagging ? drive.start.fileNumber : from;
        const scan = await scanDrive(setLog.codec, store, drive.files, first);
        if (!scan.ok) return note(position, scan.fault);
        const last = scan.value.batches.at(-1)?.fileNumber ?? first;
        // What was cut off may have been anything.
        const isCut = setLog.shortFiles(position, last).length > 0;
        return { scan: isCut ? { ...scan.value, tail: 'damaged' as const } : scan.value, state: drive.state };
      }),
    );
    const firsts = drives.flatMap((drive) => drive?.scan.batches.filter(isFirstOf(from)) ?? []);
    const isCommon = firsts.every((header) => header.digest === firsts[0]?.digest);
    const oldest = Math.min(...listed.flatMap((drive) => drive?.files.map((file) => file.fileNumber) ?? []), from);
    // The first batch in view is taken for settled. It is when another of its epoch follows: until then it may be the
    // one that was being written.
    const first = firsts[0]?.sequence ?? 0;
    const isSettled = drives.some((drive) =>
      drive?.scan.batches.some((header) => !header.isEpochStart && header.sequence > first),
    );
    if ((isCommon && isSettled) || from === oldest) return drives;
    base = from - 1;
  }
}

function isFirstOf(fileNumber: number): (header: BatchHeader) => boolean {
  return (header) => header.fileNumber === fileNumber && header.fileOffset === 0;
}

/** What `decide` needs to know. Slots are looked at where a write can have been cut short: at the ends. */
async function viewAll(
  setLog: SetLog,
  drives: readonly (FoundDrive | null)[],
  headers: ReadonlyMap<string, BatchHeader>,
  listed: readonly (Listed | null)[],
): Promise<(DriveView | null)[]> {
  const ends = new Set(drives.flatMap((drive) => drive?.scan.batches.slice(-2).map((header) => header.digest) ?? []));
  const slotNeeds = new Map<string, readonly number[]>();
  const states = drives.map(() => new Map<string, readonly SlotState[]>());
  for (const digest of ends) {
    const header = headers.get(digest);
    invariant(header !== undefined, 'a batch that was seen has its header');
    if (header.slotsBytes === 0) continue;
    await Promise.all(
      drives.map(async (drive, position) => {
        const store = setLog.stores[position] ?? null;
        if (store === null || drive?.scan.batches.some((batch) => batch.digest === digest) !== true) return;
        const read = await readSlotStates(setLog.codec, store, position, header);
        if (!read.ok) return;
        slotNeeds.set(
          digest,
          read.value.records.flatMap(({ slots }) => (slots === null ? [] : [slots.k])),
        );
        if (read.value.states.some((state) => state !== 'valid')) states[position]?.set(digest, read.value.states);
      }),
    );
  }
  const summaries = new Map([...headers.values()].map((header) => [header.digest, summary(header, slotNeeds)]));
  const newest = Math.max(1, ...listed.flatMap((drive) => (drive?.start ? [drive.start.fileNumber] : [])));
  return drives.map((drive, position) => {
    const start = listed[position]?.start ?? null;
    if (drive === null || (start !== null && start.fileNumber < newest - lagFilesMax)) return null;
    return {
      batches: drive.scan.batches.flatMap((header) => summaries.get(header.digest) ?? []),
      isWitness: drive.state.state.isWitness,
      tail: drive.scan.tail,
      slotStates: states[position] ?? new Map<string, readonly SlotState[]>(),
      epochMax: drive.scan.epochMax,
      sequenceMax: drive.scan.sequenceMax,
    };
  });
}

function summary(header: BatchHeader, slotNeeds: ReadonlyMap<string, readonly number[]>): BatchSummary {
  const { digest, previous, sequence, epoch, isEpochStart, members, recordCount } = header;
  return {
    digest,
    previous,
    sequence,
    epoch,
    isEpochStart,
    members,
    recordCount,
    slotNeeds: slotNeeds.get(digest) ?? [],
  };
}

/** The chain of a verdict with the places of its batches. */
export function chainHeaders(findings: Findings, verdict: ServeVerdict): BatchHeader[] {
  return verdict.chain.map((batch) => {
    const header = findings.headers.get(batch.digest);
    invariant(header !== undefined, 'a batch of the chain was seen');
    return header;
  });
}

/** A log file of the history that has lost all or some of its bytes. */
export interface HollowFile {
  readonly position: number;
  readonly fileNumber: number;
}

/**
 * Cuts a drive back to the common ancestor and writes what it lacks, its last common batch included:
 * after a process was killed, that one may be in the page cache only. Files that have lost something before that are
 * added to `hollow`. Null when the drive is whole but for these.
 */
export async function bringUp(
  setLog: SetLog,
  found: FoundDrive,
  position: number,
  verdict: DriveVerdict,
  chain: readonly BatchHeader[],
  headers: ReadonlyMap<string, BatchHeader>,
  isTailSuspect: boolean,
  hollow: HollowFile[],
): Promise<DriveFault | 'unreadable' | null> {
  const { scan, state } = found;
  const isEmptied = verdict.ancestor === null && chain.length > 0;
  // When every end is damaged nobody is left to say more; a mark would only keep the set from starting.
  const isDamaged = scan.tail === 'damaged' && !isTailSuspect;
  if (state.state.isWitness && (isEmptied || isDamaged)) {
    const fault = await state.write({ ...state.state, isWitness: false });
    if (fault !== null) return fault;
  }
  for (const { fileNumber } of setLog.shortFiles(position, setLog.firstFile)) {
    const fault = await setLog.restoreFile(position, fileNumber);
    if (fault !== null) return fault;
    hollow.push({ position, fileNumber });
  }
  // Up to where it comes in, the drive has had everything.
  const lastFile = chain.find(({ digest }) => digest === verdict.ancestor)?.fileNumber ?? 0;
  for (const fileNumber of setLog.missingFiles(position, setLog.firstFile, lastFile)) {
    setLog.log.warn('A log file is missing: it is made anew and filled from the other drives', {
      position,
      fileNumber,
    });
    hollow.push({ position, fileNumber });
  }
  const abandoned = verdict.abandoned.flatMap((digest) => headers.get(digest) ?? []);
  const cut = await cutBack(setLog, position, scan.remains, abandoned);
  if (cut !== null) return cut;
  const common = new CommonReader(setLog.codec, setLog.stores, setLog.foreign);
  const pending = [...state.state.pendingHeals];
  try {
    const from = Math.max(
      0,
      chain.findIndex((header) => header.digest === verdict.ancestor),
    );
    for (const header of chain.slice(from)) {
      const written = await writeBatchTo(setLog, common, header, position);
      if (!written.ok) return written.fault ?? 'unreadable';
      noteHeals(pending, header, written.unrebuilt);
    }
  } finally {
    common.close();
  }
  if (pending.length > pendingHealsMax) return 'unreadable';
  const isSame = state.state.isWitness && pending.length === state.state.pendingHeals.length;
  return isSame ? null : await state.write({ isWitness: true, pendingHeals: pending });
}

/** Adds records to the list of what a drive still lacks. */
export function noteHeals(pending: PendingHeal[], header: BatchHeader, records: readonly LogRecord[]): void {
  if (records.length === 0) return;
  const known = new Set(pending.map((heal) => heal.order));
  const { fileNumber, fileOffset } = header;
  for (const { order } of records) if (!known.has(order)) pending.push({ order, fileNumber, fileOffset });
}

/**
 * On a drive that is not in S, so that nobody else writes to the file. Its length was what showed that batches were lost
 * with it: before it comes back, what the drive lacks must prove nothing.
 */
async function restoreFile(setLog: SetLog, position: number, fileNumber: number): Promise<DriveFault | null> {
  if (!setLog.isShort(position, fileNumber) || hasBit(setLog.members, position)) return null;
  const state = setLog.states.get(position);
  const marked = state?.state.isWitness === true ? await state.write({ ...state.state, isWitness: false }) : null;
  return marked ?? (await setLog.restoreFile(position, fileNumber));
}

/** Writes a batch of the history to a drive, with whatever shards any reachable drive can give. */
export async function writeBatchTo(
  setLog: SetLog,
  common: CommonReader,
  header: BatchHeader,
  position: number,
): Promise<CopyResult> {
  const made = await setLog.ensureFile(header.fileNumber, 1 << position);
  const fault = made.get(position);
  if (fault !== undefined) return { ok: false, fault };
  const restored = await restoreFile(setLog, position, header.fileNumber);
  if (restored !== null) return { ok: false, fault: restored };
  const preferred = setLog.members === 0 ? ~0 : setLog.members;
  const copied = await copyBatch(setLog.codec, setLog.stores, common, header, position, preferred);
  if (copied.ok && copied.unrebuilt.length > 0) {
    const details = { position, sequence: header.sequence, records: copied.unrebuilt.length };
    setLog.log.error('Some shards of a batch could not be rebuilt', details);
  }
  return copied;
}

/**
 * Zeroes what does not belong to the history, from the end backwards and each batch from its header
 * on: a crash in between leaves a log that ends earlier, never one with a hole.
 */
export async function cutBack(
  setLog: SetLog,
  position: number,
  remains: readonly Remains[],
  abandoned: readonly BatchHeader[],
): Promise<DriveFault | null> {
  const ranges = [
    ...abandoned.map((header) => ({ fileNumber: header.fileNumber, from: header.fileOffset, to: batchEnd(header) })),
    ...remains,
  ];
  for (const range of ranges.reverse()) {
    for (let at = range.from; at < range.to; at += zeroWriteBytes) {
      const bytes = Math.min(zeroWriteBytes, range.to - at);
      const written = await setLog.stores[position]?.write(range.fileNumber, at, zeroes(setLog, bytes));
      if (written?.ok === false) return written.fault;
    }
  }
  return null;
}

function zeroes(setLog: SetLog, bytes: number): Float64Array {
  const page = setLog.codec.slabs.zeroPageOffset;
  const segments: number[] = [];
  for (let left = bytes; left > 0; left -= 4096) segments.push(page, Math.min(4096, left));
  return Float64Array.from(segments);
}

/** The first readable batch behind a place where no drive has one. */
export async function findBehindHole(
  setLog: SetLog,
  last: Pick<BatchHeader, 'fileNumber' | 'sequence'> | null,
  sources: number,
): Promise<BatchHeader | null> {
  let best: BatchHeader | null = null;
  for (const position of setLog.positions(sources)) {
    const store = setLog.stores[position];
    if (!store) continue;
    const listed = await store.listFiles();
    if (!listed.ok) continue;
    const files = listed.value.filter((file) => file.fileNumber > 0);
    const from = Math.max(last?.fileNumber ?? 0, setLog.firstFile);
    const scan = await scanDrive(setLog.codec, store, files, from);
    if (!scan.ok) continue;
    const next = scan.value.batches.find((header) => header.sequence > (last?.sequence ?? 0));
    if (next !== undefined && (best === null || next.sequence < best.sequence)) best = next;
  }
  return best;
}

/** Positions of a mask as text for the log. */
export function listPositions(mask: number, driveCount: number): number[] {
  return Array.from({ length: driveCount }, (_, position) => position).filter((position) => hasBit(mask, position));
}
