/**
 * What a start makes of the logs it finds: a pure function from what each reachable drive holds to
 * one verdict. The seeded model and the real recovery call this same function. The reasoning, and the
 * proof that at most one history can be served, is in docs/engine.md.
 */

/** What the drives agree on about one batch. */
export interface BatchSummary {
  readonly digest: string;
  /** Digest of the predecessor; empty for the first batch of a set. */
  readonly previous: string;
  readonly sequence: number;
  readonly epoch: number;
  /** The batch that opens its epoch. */
  readonly isEpochStart: boolean;
  /** Drive positions in S, as bits. */
  readonly members: number;
  readonly recordCount: number;
  /** For each record with slots: how many of them rebuild it. */
  readonly slotNeeds: readonly number[];
}

/**
 * `torn`: the write was provably never finished (sectors of it were never written).
 * `damaged`: wrong in a way that an unfinished write does not explain.
 */
export type SlotState = 'valid' | 'torn' | 'damaged';

/** What lies behind the last readable batch: nothing, an unfinished write, or something unexplained. */
export type TailState = 'clean' | 'torn' | 'damaged';

export interface DriveView {
  /**
   * Readable batches in order, all views from the same ancestor on. A hole means damage: something
   * that this drive synced later is readable behind it. Empty: the drive holds no log at all.
   */
  readonly batches: readonly BatchSummary[];
  /** False while the log is being copied onto a drive that lost it: what is absent then proves nothing. */
  readonly isWitness: boolean;
  readonly tail: TailState;
  /** By digest, one state for each entry of `slotNeeds`; a batch that is not listed is valid. */
  readonly slotStates: ReadonlyMap<string, readonly SlotState[]>;
  /** Highest numbers in any header seen, those of unfinished batches included. */
  readonly epochMax: number;
  readonly sequenceMax: number;
}

export interface Geometry {
  readonly driveCount: number;
  readonly dataShards: number;
  readonly writeQuorum: number;
}

export interface DriveVerdict {
  /** Null: nothing in common (a drive without a log). */
  readonly ancestor: string | null;
  /** Batches of its own behind the common ancestor, oldest first: to be cut. */
  readonly abandoned: readonly string[];
  /** Holds everything that may have been acknowledged (or lacks only batches without records). */
  readonly isCurrent: boolean;
}

export interface ServeVerdict {
  readonly kind: 'serve';
  /** At least w drives are current: the verdict is final once the new epoch is synced on them. */
  readonly isWritable: boolean;
  /** The history from the oldest batch in view to the tip. */
  readonly chain: readonly BatchSummary[];
  /** By position; null for a drive that is not reachable. */
  readonly drives: readonly (DriveVerdict | null)[];
  /** Current drives, as bits: the S of the next epoch. */
  readonly current: number;
  /** Tail batches that some current drive lacks and that were made whole. */
  readonly rolledForward: readonly string[];
  /** Tail batches that stay although their slots cannot be rebuilt from what is reachable. */
  readonly unreadable: readonly string[];
  readonly dropped: readonly string[];
  /** Batches whose predecessor no reachable drive can read any more: what lay between is lost. */
  readonly afterHole: readonly string[];
  /** Every reachable member of S ends in damage: a last batch that was acknowledged may be lost. */
  readonly isTailSuspect: boolean;
  readonly nextEpoch: number;
  readonly nextSequence: number;
}

export type Verdict =
  /** No drive holds a log, and enough drives are there to begin one. */
  | { readonly kind: 'fresh'; readonly current: number }
  | { readonly kind: 'refused'; readonly current: number; readonly reachable: number }
  | ServeVerdict;

/** Every batch seen, and the one before it: across a hole, the last that a drive can read. */
interface Nodes {
  readonly byDigest: ReadonlyMap<string, BatchSummary>;
  readonly before: ReadonlyMap<string, BatchSummary>;
}

interface Holder {
  readonly position: number;
  readonly view: DriveView;
  /** Digests of everything on the way to its last batch. */
  readonly chain: ReadonlySet<string>;
}

interface Evaluated {
  readonly serve: ServeVerdict | null;
  readonly current: number;
}

export function decide(views: readonly (DriveView | null)[], geometry: Geometry): Verdict {
  const reachable = maskOf(views.flatMap((view, position) => (view === null ? [] : [position])));
  const nodes = collectNodes(views);
  const holders = collectHolders(views, nodes);
  if (holders.length === 0) {
    // Without any log there is nothing to lose; with fewer than w drives nothing could be written.
    const enough = bitCount(reachable) >= geometry.writeQuorum;
    return enough ? { kind: 'fresh', current: reachable } : { kind: 'refused', current: 0, reachable };
  }
  const possible = [...nodes.byDigest.values()].filter(
    (batch) => opensEpoch(batch, nodes) && isPossible(batch, holders, geometry.dataShards),
  );
  const highest = possible.reduce((epoch, batch) => Math.max(epoch, batch.epoch), 0);
  let best: Evaluated = { serve: null, current: 0 };
  for (const batch of possible) {
    if (batch.epoch !== highest) continue;
    const evaluated = evaluate(batch, views, holders, nodes, geometry);
    if (isBetter(evaluated, best)) best = evaluated;
  }
  return best.serve ?? { kind: 'refused', current: best.current, reachable };
}

export function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

export function maskOf(positions: readonly number[]): number {
  return positions.reduce((mask, position) => mask | (1 << position), 0);
}

export function hasBit(mask: number, position: number): boolean {
  return (mask & (1 << position)) !== 0;
}

function isBetter(a: Evaluated, b: Evaluated): boolean {
  if ((a.serve === null) !== (b.serve === null)) return a.serve !== null;
  const counts = bitCount(a.current) - bitCount(b.current);
  if (counts !== 0) return counts > 0;
  const tip = (evaluated: Evaluated): number => evaluated.serve?.chain.at(-1)?.sequence ?? 0;
  return tip(a) > tip(b);
}

function collectNodes(views: readonly (DriveView | null)[]): Nodes {
  const byDigest = new Map<string, BatchSummary>();
  for (const view of views) for (const batch of view?.batches ?? []) byDigest.set(batch.digest, batch);
  const before = new Map<string, BatchSummary>();
  for (const view of views) {
    let last: BatchSummary | undefined;
    for (const batch of view?.batches ?? []) {
      const nearest = byDigest.get(batch.previous) ?? last;
      const known = before.get(batch.digest);
      if (nearest !== undefined && (known === undefined || known.sequence < nearest.sequence)) {
        before.set(batch.digest, nearest);
      }
      last = batch;
    }
  }
  return { byDigest, before };
}

function pathTo(last: BatchSummary, nodes: Nodes): BatchSummary[] {
  const path = [last];
  for (let at = nodes.before.get(last.digest); at !== undefined; at = nodes.before.get(at.digest)) path.push(at);
  return path.reverse();
}

function collectHolders(views: readonly (DriveView | null)[], nodes: Nodes): Holder[] {
  return views.flatMap((view, position) => {
    const last = view?.batches.at(-1);
    if (view === null || last === undefined) return [];
    // A damaged batch of its own is known from another drive: the predecessor digests lead through it.
    const chain = new Set([...pathTo(last, nodes), ...view.batches].map((batch) => batch.digest));
    return [{ position, view, chain }];
  });
}

/** The first readable batch of its epoch; the one that opened it may lie in a hole. */
function opensEpoch(batch: BatchSummary, nodes: Nodes): boolean {
  return batch.isEpochStart || (nodes.before.get(batch.digest)?.epoch ?? -1) < batch.epoch;
}

/**
 * Nobody disproves it; or k drives hold it and something behind it. What follows a batch is written when that is durable
 * on all of S: a member without it has lost it since, as a drive does that was set back to an old copy.
 */
function isPossible(batch: BatchSummary, holders: readonly Holder[], dataShards: number): boolean {
  if (!holders.some((holder) => disproves(holder, batch))) return true;
  const isFollowed = ({ view, chain }: Holder): boolean =>
    chain.has(batch.digest) && (view.batches.at(-1)?.sequence ?? 0) > batch.sequence;
  return holders.filter(isFollowed).length >= dataShards;
}

/** A drive that was in S for this batch, and can show that it never synced it. */
function disproves(holder: Holder, batch: BatchSummary): boolean {
  return (
    hasBit(batch.members, holder.position) &&
    holder.view.isWitness &&
    holder.view.tail !== 'damaged' &&
    !holder.chain.has(batch.digest)
  );
}

function evaluate(
  start: BatchSummary,
  views: readonly (DriveView | null)[],
  holders: readonly Holder[],
  nodes: Nodes,
  geometry: Geometry,
): Evaluated {
  const before = pathTo(start, nodes).slice(0, -1);
  const epochBatches = batchesOfEpoch(start, holders, nodes);
  const tail = decideTail(epochBatches, holders, geometry.dataShards);
  const chain = [...before, ...epochBatches.slice(0, tail.keptCount)];
  // Up to here a current drive must hold every record itself; what lies behind is rolled forward.
  const committedCount = before.length + tail.commonCount;
  const drives = views.map((view, position) => {
    if (view === null) return null;
    const holder = holders.find((candidate) => candidate.position === position);
    return driveVerdict(holder, chain, committedCount, nodes, holders, geometry.dataShards);
  });
  const current = maskOf(drives.flatMap((drive, position) => (drive?.isCurrent === true ? [position] : [])));
  const currentCount = bitCount(current);
  // A drive without a log speaks for nothing but an interrupted set-up, and that takes w drives.
  const countsEmpty = drives.some(
    (drive, position) => drive?.isCurrent === true && (drive.ancestor === null || views[position]?.isWitness === false),
  );
  if (currentCount < (countsEmpty ? geometry.writeQuorum : geometry.dataShards)) return { serve: null, current };
  const serve: ServeVerdict = {
    kind: 'serve',
    isWritable: currentCount >= geometry.writeQuorum,
    chain,
    drives,
    current,
    rolledForward: tail.rolledForward,
    unreadable: tail.unreadable,
    dropped: epochBatches.slice(tail.keptCount).map((batch) => batch.digest),
    afterHole: [...before, ...epochBatches]
      .filter((batch) => (nodes.before.get(batch.digest)?.digest ?? batch.previous) !== batch.previous)
      .map((batch) => batch.digest),
    isTailSuspect: tail.isSuspect,
    nextEpoch: 1 + views.reduce((epoch, view) => Math.max(epoch, view?.epochMax ?? 0), 0),
    nextSequence: 1 + views.reduce((sequence, view) => Math.max(sequence, view?.sequenceMax ?? 0), 0),
  };
  return { serve, current };
}

/** The batches of one epoch in order. One server wrote them one after the other, so there is one line. */
function batchesOfEpoch(start: BatchSummary, holders: readonly Holder[], nodes: Nodes): BatchSummary[] {
  const line = [start];
  const children = new Map<string, BatchSummary[]>();
  for (const batch of nodes.byDigest.values()) {
    if (batch.epoch !== start.epoch || batch.isEpochStart || batch.digest === start.digest) continue;
    const parent = nodes.before.get(batch.digest)?.digest ?? '';
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [batch]);
    else siblings.push(batch);
  }
  const support = (batch: BatchSummary): number => holders.filter((holder) => holder.chain.has(batch.digest)).length;
  for (let next = children.get(start.digest); next !== undefined; next = children.get(line.at(-1)?.digest ?? '')) {
    const [first, ...rest] = next;
    if (first === undefined) break;
    line.push(rest.reduce((best, batch) => (support(batch) > support(best) ? batch : best), first));
  }
  return line;
}

interface TailDecision {
  /** Batches of the epoch that every reachable member holds. */
  readonly commonCount: number;
  readonly keptCount: number;
  readonly rolledForward: readonly string[];
  readonly unreadable: readonly string[];
  readonly isSuspect: boolean;
}

function decideTail(line: readonly BatchSummary[], holders: readonly Holder[], dataShards: number): TailDecision {
  const start = line[0];
  const members = holders.filter(({ view, position }) => view.isWitness && hasBit(start?.members ?? 0, position));
  // A batch was synced on all of S before the next one was written: only the last can be unfinished.
  const isSettled = (batch: BatchSummary, index: number): boolean =>
    index + 1 < line.length || members.every(({ view }) => !view.slotStates.has(batch.digest));
  let commonCount = 1;
  for (const [index, batch] of line.entries()) {
    if (index === 0) continue;
    if (!members.every(({ chain }) => chain.has(batch.digest)) || !isSettled(batch, index)) break;
    commonCount = index + 1;
  }
  const rolledForward: string[] = [];
  const unreadable: string[] = [];
  let keptCount = commonCount;
  for (const batch of line.slice(commonCount)) {
    const hasSlots = isWhole(batch, holders);
    // Blobs that its records name are where the batch is: fewer drives than that cannot give them.
    const isHeld = holders.filter(({ chain }) => chain.has(batch.digest)).length >= dataShards;
    if (hasSlots && isHeld) {
      rolledForward.push(batch.digest);
    } else if (members.some((holder) => neverSynced(holder, batch)) && !wasFollowed(batch, holders)) {
      break;
    } else if (hasSlots) {
      rolledForward.push(batch.digest);
    } else {
      unreadable.push(batch.digest);
    }
    keptCount++;
  }
  const isSuspect = members.length > 0 && members.every(({ view }) => view.tail === 'damaged');
  return { commonCount, keptCount, rolledForward, unreadable, isSuspect };
}

function isWhole(batch: BatchSummary, holders: readonly Holder[]): boolean {
  return batch.slotNeeds.every((needed, slot) => {
    const valid = holders.filter(
      ({ view, chain }) =>
        chain.has(batch.digest) && (view.slotStates.get(batch.digest)?.[slot] ?? 'valid') === 'valid',
    );
    return valid.length >= needed;
  });
}

function neverSynced(holder: Holder, batch: BatchSummary): boolean {
  if (!holder.chain.has(batch.digest)) return holder.view.tail !== 'damaged';
  return holder.view.slotStates.get(batch.digest)?.includes('torn') === true;
}

/**
 * Something unreadable lies behind the batch. What follows a batch is written when that is durable on all
 * of S, so it may be an epoch without the drive that never synced this batch.
 */
function wasFollowed(batch: BatchSummary, holders: readonly Holder[]): boolean {
  return holders.some(({ view, chain }) => chain.has(batch.digest) && view.tail === 'damaged');
}

function driveVerdict(
  holder: Holder | undefined,
  chain: readonly BatchSummary[],
  committedCount: number,
  nodes: Nodes,
  holders: readonly Holder[],
  dataShards: number,
): DriveVerdict {
  // A drive without a log, or with the beginning of a copy, lacks nothing as long as no record was ever written.
  const isSetUp = chain[0]?.previous === '' && chain.every((batch) => batch.recordCount === 0);
  if (holder === undefined) return { ancestor: null, abandoned: [], isCurrent: isSetUp };
  let common = chain.length;
  while (common > 0 && !holder.chain.has(chain[common - 1]?.digest ?? '')) common--;
  const kept = new Set(chain.map((batch) => batch.digest));
  const abandoned = [...holder.chain]
    .filter((digest) => !kept.has(digest))
    .map((digest) => nodes.byDigest.get(digest))
    .filter((batch) => batch !== undefined)
    .sort((a, b) => a.sequence - b.sequence);
  // A branch that nobody can disprove may be the committed one: its holder does not speak for this one.
  const isRival = abandoned.some((batch) => opensEpoch(batch, nodes) && isPossible(batch, holders, dataShards));
  const lacksRecords = chain.slice(common, committedCount).some((batch) => batch.recordCount > 0);
  // Fenced in the middle of a write: the header arrived, the shards did not.
  const isUnfinished = chain
    .slice(0, Math.min(common, committedCount))
    .some((batch) => holder.view.slotStates.get(batch.digest)?.includes('torn') === true);
  return {
    ancestor: chain[common - 1]?.digest ?? null,
    abandoned: abandoned.map((batch) => batch.digest),
    isCurrent: (holder.view.isWitness || isSetUp) && common > 0 && !isRival && !lacksRecords && !isUnfinished,
  };
}
