/**
 * The model: drives that remember batches, and a server that commits, fences, recovers with the real
 * `decide`, catches drives up, and is killed at any step. It knows what was acknowledged, and checks
 * every verdict against that.
 */
import {
  bitCount,
  decide,
  hasBit,
  maskOf,
  type BatchSummary,
  type Geometry,
  type ServeVerdict,
  type SlotState,
} from '../../../../src/journal/decide.js';
import { ModelDrive, type Outcome } from './model-drive.js';
import type { Random } from './random.js';

class Crash extends Error {}

/** The server cannot write any more, and waits for its next start. */
class Halt extends Error {}

export interface Coverage {
  recoveries: number;
  refusals: number;
  readOnly: number;
  acknowledged: number;
  rolledForward: number;
  dropped: number;
  fences: number;
  joins: number;
  moves: number;
  horizons: number;
  /** Drives that came back from before the horizon. */
  behind: number;
  readonly crashes: Map<string, number>;
}

export function newCoverage(): Coverage {
  const zero = { recoveries: 0, refusals: 0, readOnly: 0, acknowledged: 0, rolledForward: 0, dropped: 0 };
  return { ...zero, fences: 0, joins: 0, moves: 0, horizons: 0, behind: 0, crashes: new Map() };
}

/** What one record does to one key. */
export interface Change {
  readonly key: number;
  /** Of the record when it was written first. */
  readonly id: number;
  readonly kind: 'put' | 'delete' | 'move';
}

/** What is in use: by key the record, and the depth of the batch that it lies in now. */
export type Contents = Map<number, { readonly id: number; readonly depth: number }>;

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`model: ${what}`);
}

export class World {
  private readonly drives: ModelDrive[];
  private readonly geometry: Geometry;
  private readonly parity: number;
  /** The history that is final: everything acknowledged, and every verdict that was made durable. */
  private firm: BatchSummary[] = [];
  private firmMembers = 0;
  private readonly sequences = new Map<number, string>();
  /** By digest. */
  private readonly changes = new Map<string, readonly Change[]>();
  private readonly horizons = new Map<string, number>();
  private digestCount = 0;
  private hadRot = false;
  private stepsLeft = 0;
  private lastStart = '';

  constructor(
    private readonly random: Random,
    private readonly coverage: Coverage,
  ) {
    const driveCount = 1 + random.below(6);
    const parity = random.below(Math.floor(driveCount / 2) + 1);
    const dataShards = driveCount - parity;
    this.parity = parity;
    this.geometry = { driveCount, dataShards, writeQuorum: dataShards === parity ? dataShards + 1 : dataShards };
    this.drives = Array.from({ length: driveCount }, () => new ModelDrive());
  }

  run(): void {
    const starts = 2 + this.random.below(6);
    for (let start = 0; start < starts; start++) {
      this.stepsLeft = this.random.chance(0.85) ? this.random.below(30) : 1000;
      try {
        new Server(this, this.pickReachable()).live();
      } catch (error) {
        if (!(error instanceof Crash) && !(error instanceof Halt)) throw error;
      }
      this.hurt();
    }
    // At last every drive is back, and everything must be there.
    this.stepsLeft = 1000;
    const all = this.drives.map((_, position) => position);
    const verdict = this.start(maskOf(all));
    if (this.goodDrives(maskOf(all)).length >= this.geometry.dataShards && !this.isFencing(maskOf(all))) {
      check(verdict !== null, 'with every drive back the set starts');
    }
  }

  /** One line for each drive, for the report of a failure. */
  describe(): string {
    const name = (batch: BatchSummary): string =>
      `${batch.digest}:${String(batch.sequence)}/e${String(batch.epoch)}${batch.isEpochStart ? `=${batch.members.toString(2)}` : ''}/h${String(this.horizons.get(batch.digest) ?? 0)}`;
    const drives = this.drives.map((drive, position) => {
      const entries = drive.entries.map((entry) => {
        const states = entry.slots.map((state) => state.charAt(0)).join('');
        return `${entry.isFreed ? '-' : ''}${name(entry.batch)}${entry.isReadable ? '' : '!'}${states === '' ? '' : `[${states}]`}`;
      });
      return `${String(position)}${drive.isWitness ? '' : ' (copying)'}: ${entries.join(' ')}${drive.hasTrace ? ' ~' : ''}`;
    });
    return [JSON.stringify(this.geometry), `settled: ${this.firm.map(name).join(' ')}`, ...drives, this.lastStart].join(
      '\n',
    );
  }

  // What a server may do to the world; each call is a step at which it can be killed.

  get layout(): Geometry {
    return this.geometry;
  }

  get dice(): Random {
    return this.random;
  }

  get counts(): Coverage {
    return this.coverage;
  }

  drive(position: number): ModelDrive {
    const drive = this.drives[position];
    if (drive === undefined) throw new Error('no such drive');
    return drive;
  }

  /** Applies `act` to every target in parallel. Returns the positions that answered ok. */
  step(kind: string, targets: number, faults: boolean, act: (drive: ModelDrive, outcome: Outcome) => void): number {
    const isCrash = this.stepsLeft-- <= 0;
    let ok = 0;
    for (let position = 0; position < this.geometry.driveCount; position++) {
      if (!hasBit(targets, position)) continue;
      const fails = isCrash || (faults && this.random.chance(0.04));
      act(this.drive(position), fails ? this.random.pick(['lost', 'torn', 'done'] as const) : 'done');
      if (!fails) ok |= 1 << position;
    }
    if (isCrash) {
      this.coverage.crashes.set(kind, (this.coverage.crashes.get(kind) ?? 0) + 1);
      throw new Crash(kind);
    }
    return ok;
  }

  newBatch(
    previous: string,
    sequence: number,
    epoch: number,
    isEpochStart: boolean,
    members: number,
    changes: readonly Change[],
    horizon: number,
  ): BatchSummary {
    const slotNeeds: number[] = [];
    if (changes.length > 0 && this.random.chance(0.8)) {
      slotNeeds.push(this.geometry.dataShards);
      if (changes.length > 1 && this.random.chance(0.6)) slotNeeds.push(1);
    }
    const digest = `b${String(++this.digestCount)}`;
    this.changes.set(digest, changes);
    this.horizons.set(digest, horizon);
    return {
      digest,
      previous,
      sequence,
      epoch,
      isEpochStart,
      members,
      recordCount: changes.length,
      slotNeeds,
    };
  }

  /** Depth of the first batch that a history with this end needs. */
  horizonOf(chain: readonly BatchSummary[]): number {
    return this.horizons.get(chain.at(-1)?.digest ?? '') ?? 0;
  }

  /** What an index built from `depth` on holds. */
  contentsFrom(chain: readonly BatchSummary[], from: number): Contents {
    const contents: Contents = new Map();
    for (let depth = from; depth < chain.length; depth++) {
      for (const { key, id, kind } of this.changes.get(chain[depth]?.digest ?? '') ?? []) {
        const known = contents.get(key);
        if (kind === 'delete') contents.delete(key);
        else {
          check(kind === 'put' || known === undefined || known.id === id, 'a moved record meets no other');
          contents.set(key, { id, depth });
        }
      }
    }
    return contents;
  }

  /** The log from the horizon on gives the same index as the whole of it. */
  private checkContents(chain: readonly BatchSummary[]): void {
    const whole = this.contentsFrom(chain, 0);
    const rest = this.contentsFrom(chain, this.horizonOf(chain));
    check(whole.size === rest.size, 'the log from the horizon on holds what is in use and nothing else');
    for (const [key, { id, depth }] of whole) {
      check(rest.get(key)?.id === id && rest.get(key)?.depth === depth, 'the log from the horizon on is the same');
    }
  }

  /**
   * With the batches in front that are freed, so that depths are those of the whole history. What lies before the
   * horizon may have gaps where some drive has not freed it yet.
   */
  private fromTheBeginning(chain: readonly BatchSummary[]): readonly BatchSummary[] {
    const horizon = this.horizonOf(chain);
    const depths = chain.map((batch) => this.firm.findIndex(({ digest }) => digest === batch.digest));
    const start = Math.max(
      0,
      depths.findLastIndex((depth) => depth >= 0 && depth <= horizon),
    );
    return [...this.firm.slice(0, Math.max(0, depths[start] ?? 0)), ...chain.slice(start)];
  }

  /** The server is certain of `chain`: it answers clients by it. All of `members` hold it. */
  settle(chain: readonly BatchSummary[], members: number, acknowledged: boolean): void {
    this.checkContains(chain, 'what was settled stays');
    check(bitCount(members) >= this.geometry.writeQuorum, 'S has at least w members');
    for (const batch of chain.slice(this.firm.length)) {
      const other = this.sequences.get(batch.sequence);
      check(other === undefined, `sequence ${String(batch.sequence)} is used once`);
      this.sequences.set(batch.sequence, batch.digest);
    }
    chain.forEach((batch, depth) => {
      const before = chain[depth - 1];
      check(before === undefined || before.sequence < batch.sequence, 'sequences rise');
      check(before === undefined || before.epoch <= batch.epoch, 'epochs do not fall');
    });
    for (let position = 0; position < this.geometry.driveCount; position++) {
      if (!hasBit(members, position)) continue;
      const held = this.drive(position).entries.map((entry) => entry.batch.digest);
      check(held.length === chain.length, 'a member holds the whole history and nothing else');
      check(
        held.every((digest, depth) => digest === chain[depth]?.digest),
        'members agree',
      );
    }
    this.checkContents(chain);
    this.firm = [...chain];
    this.firmMembers = members;
    if (acknowledged) this.coverage.acknowledged++;
  }

  /** The verdict over what is reachable, checked; null when refused. */
  start(reachable: number): ServeVerdict | 'fresh' | null {
    this.coverage.recoveries++;
    const views = this.drives.map((drive, position) => (hasBit(reachable, position) ? drive.view() : null));
    const decided = decide(views, this.geometry);
    const verdict = decided.kind === 'serve' ? { ...decided, chain: this.fromTheBeginning(decided.chain) } : decided;
    this.lastStart = `reachable ${reachable.toString(2)}: ${verdict.kind}, current ${verdict.current.toString(2)}`;
    const good = this.goodDrives(reachable).length;
    if (verdict.kind === 'refused') {
      this.coverage.refusals++;
      const isDue = this.firm.length > 0 && good >= this.geometry.dataShards && !this.isFencing(reachable);
      check(!isDue, `refused with ${String(good)} good drives`);
      return null;
    }
    if (verdict.kind === 'fresh') {
      check(
        this.firm.every((batch) => batch.recordCount === 0),
        'a set with records is not begun anew',
      );
      return 'fresh';
    }
    const horizon = this.horizonOf(verdict.chain);
    const seen = new Set(decided.kind === 'serve' ? decided.chain.map((batch) => batch.digest) : []);
    const placeOf = (digest: string): number => {
      const depth = this.firm.findIndex((batch) => batch.digest === digest);
      return depth < 0 ? Number.POSITIVE_INFINITY : depth;
    };
    const isHoled =
      verdict.chain.some((batch, depth) => depth >= horizon && !seen.has(batch.digest)) ||
      verdict.afterHole.some((digest) => placeOf(digest) > horizon);
    if (verdict.isTailSuspect || isHoled || verdict.chain[0]?.previous !== '') {
      this.checkHole(verdict, reachable);
      return null;
    }
    if (views.some((view) => view?.tail === 'damaged') && this.lacksOnlyEpochs(verdict)) return null;
    this.checkContains(verdict.chain, 'nothing acknowledged is lost, no verdict flips');
    this.checkContents(verdict.chain);
    this.checkServable(verdict, reachable);
    if (good >= this.geometry.writeQuorum && !this.isFencing(reachable)) {
      check(verdict.isWritable, 'with w good drives the set is writable');
    }
    this.coverage.rolledForward += verdict.rolledForward.length;
    this.coverage.dropped += verdict.dropped.length;
    if (!verdict.isWritable) this.coverage.readOnly++;
    return verdict;
  }

  private checkContains(chain: readonly BatchSummary[], what: string): void {
    check(
      this.firm.every((batch, depth) => chain[depth]?.digest === batch.digest),
      what,
    );
  }

  /** A rotten end can hide one epoch batch from a set that has lost more than it bears; never a record. */
  private lacksOnlyEpochs(verdict: ServeVerdict): boolean {
    const lacking = this.firm.slice(verdict.chain.length);
    this.checkContainsPrefix(verdict.chain);
    return lacking.length > 0 && lacking.every((batch) => batch.recordCount === 0);
  }

  private checkContainsPrefix(chain: readonly BatchSummary[]): void {
    const length = Math.min(chain.length, this.firm.length);
    check(
      this.firm.slice(0, length).every((batch, depth) => chain[depth]?.digest === batch.digest),
      'one history',
    );
  }

  /** Rot on more drives than the set bears: only what no reachable drive can read may be absent. */
  private checkHole(verdict: ServeVerdict, reachable: number): void {
    check(this.hadRot, 'only rot makes a hole');
    const served = new Set(verdict.chain.map((batch) => batch.digest));
    this.firm.forEach((batch, depth) => {
      const isReadable = this.drives.some((drive, position) => {
        const entry = drive.entries[depth];
        return hasBit(reachable, position) && entry?.isReadable === true && !entry.isFreed;
      });
      check(served.has(batch.digest) || !isReadable, 'a hole swallows only what it must');
    });
  }

  private checkServable(verdict: ServeVerdict, reachable: number): void {
    check(verdict.unreadable.length === 0 || this.hadRot, 'only rot makes a batch unreadable');
    const horizon = this.horizonOf(verdict.chain);
    verdict.chain.forEach((batch, depth) => {
      if (depth < horizon) return;
      const isFirm = depth < this.firm.length;
      batch.slotNeeds.forEach((needed, slot) => {
        let valid = 0;
        for (let position = 0; position < this.geometry.driveCount; position++) {
          const entry = hasBit(reachable, position) ? this.drive(position).entries[depth] : undefined;
          const isHeld = entry?.batch.digest === batch.digest && !entry.isFreed;
          if (isHeld && entry.slots[slot] === 'valid') valid++;
        }
        const isExcused = this.hadRot || verdict.unreadable.includes(batch.digest);
        check(valid >= needed || isExcused, isFirm ? 'what is acknowledged reads back' : 'what is shown is whole');
      });
    });
  }

  /** Drives of the settled S that hold every settled record, whole. A fenced drive counts as gone. */
  private goodDrives(reachable: number): number[] {
    const horizon = this.horizonOf(this.firm);
    return this.drives.flatMap((drive, position) => {
      const isWhole = this.firm.every(
        (batch, depth) => batch.recordCount === 0 || depth < horizon || drive.hasValid(batch, depth),
      );
      const isReadable = drive.entries.every((entry) => entry.isReadable || entry.isFreed);
      return hasBit(reachable & this.firmMembers, position) &&
        drive.isWitness &&
        isWhole &&
        isReadable &&
        drive.entries.length > 0
        ? [position]
        : [];
    });
  }

  /** An epoch that was being written when the server was killed: its fenced drives count as gone. */
  private isFencing(reachable: number): boolean {
    const settled = new Set(this.firm.map((batch) => batch.digest));
    return this.drives.some(
      (drive, position) =>
        hasBit(reachable, position) &&
        drive.entries.some((entry) => entry.batch.isEpochStart && !settled.has(entry.batch.digest)),
    );
  }

  private pickReachable(): number {
    const all = (1 << this.geometry.driveCount) - 1;
    if (this.random.chance(0.4)) return all;
    const few = this.random.chance(0.3);
    let mask = 0;
    for (let position = 0; position < this.geometry.driveCount; position++) {
      if (this.random.chance(few ? 0.5 : 0.8)) mask |= 1 << position;
    }
    return mask === 0 ? all : mask;
  }

  /** Replaces or rots a drive, never more of them at once than the set bears. */
  private hurt(): void {
    if (!this.random.chance(0.25)) return;
    const all = (1 << this.geometry.driveCount) - 1;
    const good = this.goodDrives(all);
    if (good.length <= this.geometry.driveCount - this.parity || this.isFencing(all)) return;
    const victim = this.drive(this.random.pick(good));
    if (this.random.chance(0.6)) {
      victim.blank();
    } else {
      victim.rot(this.random);
      this.hadRot = true;
    }
  }
}

/** One life of a server over the drives it can reach. */
class Server {
  private chain: BatchSummary[] = [];
  private slots = new Map<string, readonly SlotState[]>();
  private members = 0;
  private epoch = 0;
  private sequence = 0;
  private horizon = 0;

  constructor(
    private readonly world: World,
    private readonly reachable: number,
  ) {}

  live(): void {
    if (!this.recover()) return;
    const actions = 1 + this.world.dice.below(12);
    for (let action = 0; action < actions; action++) {
      const luck = this.world.dice.next();
      if (luck < 0.5) this.commit();
      else if (luck < 0.6) this.compact();
      else if (luck < 0.7) this.fence(1 << this.world.dice.below(this.world.layout.driveCount));
      else this.catchUpOne();
    }
  }

  private recover(): boolean {
    for (let attempt = 0; attempt < 8; attempt++) {
      const verdict = this.world.start(this.reachable);
      if (verdict === null) return false;
      if (verdict === 'fresh') {
        let members = 0;
        for (const position of this.positions(this.reachable)) {
          this.noteNumbers(position);
          if (this.bringUp(position)) members |= 1 << position;
        }
        this.openEpoch(members);
        return true;
      }
      this.chain = [...verdict.chain];
      this.horizon = this.world.horizonOf(this.chain);
      this.slots = new Map(verdict.unreadable.map((digest) => [digest, ['damaged', 'damaged']]));
      this.epoch = verdict.nextEpoch - 1;
      this.sequence = verdict.nextSequence - 1;
      if (verdict.isWritable) {
        let members = 0;
        for (const position of this.positions(verdict.current)) {
          if (this.bringUp(position)) members |= 1 << position;
        }
        this.openEpoch(members);
        this.freeBehindHorizon();
        return true;
      }
      // Read-only: what is current stays as it is; others are brought up, then the start is made again.
      const behind = this.positions(this.reachable & ~verdict.current);
      if (behind.length === 0 || this.world.dice.chance(0.3)) return false;
      for (const position of behind) this.bringUp(position);
    }
    return false;
  }

  /** A returning drive may hold higher numbers of a branch that was never committed. */
  private noteNumbers(position: number): void {
    const seen = this.world.drive(position).view();
    this.epoch = Math.max(this.epoch, seen.epochMax);
    this.sequence = Math.max(this.sequence, seen.sequenceMax);
  }

  private positions(mask: number): number[] {
    return Array.from({ length: this.world.layout.driveCount }, (_, position) => position).filter((position) =>
      hasBit(mask, position),
    );
  }

  /** Cuts a drive back to the common ancestor and copies what it lacks. False: it failed. */
  private bringUp(position: number): boolean {
    const drive = this.world.drive(position);
    const target = 1 << position;
    // Until it is whole again, what it lacks proves nothing: neither an emptied drive nor a damaged end.
    const isEmptied = drive.entries.length === 0 && this.chain.length > 0;
    if (drive.isWitness && (isEmptied || drive.view().tail === 'damaged')) {
      if (!this.mark(target)) return false;
    }
    drive.cutUnreadable();
    const holdsNothing = drive.entries.length === 0;
    if (holdsNothing) drive.beginAt(this.chain.slice(0, this.horizon));
    let common = 0;
    while (drive.entries[common] !== undefined && drive.entries[common]?.batch.digest === this.chain[common]?.digest) {
      common++;
    }
    if (common <= this.horizon && common < this.chain.length && !holdsNothing) {
      // It holds nothing that the log as it is now could go on from.
      this.world.counts.behind++;
      if (drive.isWitness && !this.mark(target)) return false;
      while (drive.entries.length > 0 || drive.hasTrace) {
        const ok = drive.hasTrace
          ? this.world.step('clear', target, true, (one, outcome) => one.clearTrace(outcome))
          : this.world.step('wipe', target, true, (one, outcome) => one.cutLast(outcome));
        if (ok !== target) return false;
      }
      drive.beginAt(this.chain.slice(0, this.horizon));
      common = this.horizon;
    }
    while (drive.entries.length > common || drive.hasTrace) {
      const ok = drive.hasTrace
        ? this.world.step('clear', target, true, (one, outcome) => one.clearTrace(outcome))
        : this.world.step('cut', target, true, (one, outcome) => one.cutLast(outcome));
      if (ok !== target) return false;
    }
    for (let depth = Math.max(this.horizon, drive.firstDepth, common - 1); depth < this.chain.length; depth++) {
      // A copy that is interrupted leaves a drive with the beginning of the history.
      if (!drive.isWitness && this.world.dice.chance(0.1)) return false;
      if (this.writeAt(depth, target) !== target) return false;
    }
    if (!drive.isWitness) {
      const ok = this.world.step('unmark', target, true, (one, outcome) => {
        if (outcome === 'done') one.isWitness = true;
      });
      if (ok !== target) return false;
    }
    return true;
  }

  private mark(target: number): boolean {
    const ok = this.world.step('mark', target, true, (one, outcome) => {
      if (outcome === 'done') one.isWitness = false;
    });
    return ok === target;
  }

  private writeAt(depth: number, targets: number): number {
    const batch = this.chain[depth];
    if (batch === undefined) throw new Error('nothing to write');
    const states = this.slots.get(batch.digest);
    const slots = batch.slotNeeds.map((_, slot) => states?.[slot] ?? 'valid');
    return this.world.step(batch.isEpochStart ? 'epoch' : 'batch', targets, true, (drive, outcome) =>
      drive.write(depth, batch, slots, outcome, this.world.dice),
    );
  }

  /** Writes S down on all of S; whoever fails leaves, and the next epoch says so. */
  private openEpoch(members: number): void {
    let mask = members;
    for (;;) {
      if (bitCount(mask) < this.world.layout.writeQuorum) throw new Halt();
      this.append(true, mask, []);
      const ok = this.writeAt(this.chain.length - 1, mask);
      if (ok === mask) break;
      mask = ok;
    }
    this.members = mask;
    this.world.settle(this.chain, mask, false);
  }

  private append(isEpochStart: boolean, members: number, changes: readonly Change[]): void {
    if (isEpochStart) this.epoch++;
    this.sequence++;
    const previous = this.chain.at(-1)?.digest ?? '';
    this.chain.push(
      this.world.newBatch(previous, this.sequence, this.epoch, isEpochStart, members, changes, this.horizon),
    );
  }

  private commit(): void {
    const { dice } = this.world;
    const keys = new Set([dice.below(6), dice.chance(0.4) ? dice.below(6) : 6]);
    const ids = this.sequence + 1;
    this.commitChanges(
      [...keys].map((key) => ({ key, id: 10 * ids + key, kind: dice.chance(0.25) ? 'delete' : 'put' })),
    );
  }

  /** Moves what is in use before some batch, raises the horizon, and frees what lies before it. */
  private compact(): void {
    const { dice } = this.world;
    const wanted = this.horizon + 1 + dice.below(this.chain.length - this.horizon);
    for (;;) {
      const left = [...this.world.contentsFrom(this.chain, 0)].filter(([, { depth }]) => depth < wanted);
      if (left.length === 0) break;
      const some = left.slice(0, 1 + dice.below(2));
      this.world.counts.moves += some.length;
      this.commitChanges(some.map(([key, { id }]) => ({ key, id, kind: 'move' })));
      if (dice.chance(0.2)) this.commit();
    }
    this.horizon = wanted;
    this.world.counts.horizons++;
    this.openEpoch(this.members);
    if (dice.chance(0.8)) this.freeBehindHorizon();
  }

  private freeBehindHorizon(): void {
    for (const position of this.positions(this.members)) {
      const drive = this.world.drive(position);
      while (drive.firstDepth < this.horizon) {
        const target = 1 << position;
        const ok = this.world.step('free', target, true, (one, outcome) => one.freeFirst(outcome));
        if (ok !== target) break;
      }
    }
  }

  private commitChanges(changes: readonly Change[]): void {
    this.append(false, this.members, changes);
    const ok = this.writeAt(this.chain.length - 1, this.members);
    if (ok !== this.members) {
      this.world.counts.fences++;
      this.openEpoch(ok);
    }
    this.world.settle(this.chain, this.members, true);
  }

  private fence(drive: number): void {
    const rest = this.members & ~drive;
    if (rest === this.members || bitCount(rest) < this.world.layout.writeQuorum) return;
    this.world.counts.fences++;
    this.openEpoch(rest);
  }

  private catchUpOne(): void {
    const behind = this.positions(this.reachable & ~this.members);
    if (behind.length === 0) return;
    const position = this.world.dice.pick(behind);
    this.noteNumbers(position);
    if (!this.bringUp(position)) return;
    this.world.counts.joins++;
    this.openEpoch(this.members | (1 << position));
  }
}
