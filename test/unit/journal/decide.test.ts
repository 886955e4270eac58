import { describe, expect, it } from 'vitest';
import {
  decide,
  type BatchSummary,
  type DriveView,
  type SlotState,
  type Verdict,
} from '../../../src/journal/decide.js';

/** The rules of docs/engine.md one by one; that they hold together is the model's business. */
const fourDrives = { driveCount: 4, dataShards: 2, writeQuorum: 3 };

function batch(digest: string, previous: string, facts: Partial<BatchSummary>): BatchSummary {
  const defaults = { sequence: 1, epoch: 1, isEpochStart: false, members: 0b1111, recordCount: 1, slotNeeds: [2] };
  return { digest, previous, ...defaults, ...facts };
}

const opening = { isEpochStart: true, recordCount: 0, slotNeeds: [] };
const e1 = batch('e1', '', { ...opening });
const a = batch('a', 'e1', { sequence: 2 });
const b = batch('b', 'a', { sequence: 3 });

function view(batches: readonly BatchSummary[], facts: Partial<DriveView> = {}): DriveView {
  const epochMax = Math.max(0, ...batches.map((one) => one.epoch));
  const sequenceMax = Math.max(0, ...batches.map((one) => one.sequence));
  return { batches, isWitness: true, tail: 'clean', slotStates: new Map(), epochMax, sequenceMax, ...facts };
}

function slots(digest: string, state: SlotState): Partial<DriveView> {
  return { slotStates: new Map([[digest, [state]]]) };
}

function chainOf(verdict: Verdict): string[] | string {
  return verdict.kind === 'serve' ? verdict.chain.map((one) => one.digest) : verdict.kind;
}

describe('the last batch', () => {
  it('is rolled forward when it can be made whole', () => {
    const verdict = decide([view([e1, a, b]), view([e1, a, b]), view([e1, a]), view([e1, a])], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', isWritable: true, current: 0b1111, rolledForward: ['b'] });
  });

  it('is dropped when it cannot, and a member never wrote it', () => {
    const verdict = decide([view([e1, a, b]), view([e1, a]), view([e1, a]), view([e1, a])], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', dropped: ['b'], rolledForward: [], nextSequence: 4 });
    expect(verdict.kind === 'serve' && verdict.drives[0]).toMatchObject({ ancestor: 'a', abandoned: ['b'] });
  });

  it('is dropped when every write of it was cut short', () => {
    const torn = { tail: 'torn' as const };
    const half = view([e1, a, b], slots('b', 'torn'));
    const verdict = decide([half, view([e1, a], torn), view([e1, a], torn), view([e1, a], torn)], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', dropped: ['b'], unreadable: [] });
  });

  it('stays, unreadable, when only damage speaks against it', () => {
    const damaged = { tail: 'damaged' as const };
    const verdict = decide(
      [view([e1, a, b]), view([e1, a], damaged), view([e1, a], damaged), view([e1, a], damaged)],
      fourDrives,
    );
    expect(verdict).toMatchObject({ kind: 'serve', dropped: [], unreadable: ['b'] });
  });

  it('stays when damage behind it may be the epoch that left out the drive that lacks it', () => {
    const holder = view([e1, a, b], { tail: 'damaged' });
    const verdict = decide([view([e1, a, b], slots('b', 'torn')), holder, null, null], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', dropped: [], unreadable: ['b'] });
  });

  it('is not dropped for a drive that is only being copied, nor for one without a log', () => {
    const verdict = decide(
      [view([e1, a, b]), view([e1, a, b]), view([e1], { isWitness: false }), view([])],
      fourDrives,
    );
    expect(chainOf(verdict)).toEqual(['e1', 'a', 'b']);
    expect(verdict).toMatchObject({ isWritable: false, current: 0b0011, rolledForward: [] });
  });
});

describe('epochs', () => {
  const e2 = batch('e2', 'a', { ...opening, epoch: 2, sequence: 3, members: 0b0111 });
  const c = batch('c', 'e2', { epoch: 2, sequence: 4, members: 0b0111 });

  it('leave out the drive that was fenced', () => {
    const verdict = decide([view([e1, a, e2, c]), null, view([e1, a, e2, c]), view([e1, a])], fourDrives);
    expect(chainOf(verdict)).toEqual(['e1', 'a', 'e2', 'c']);
    expect(verdict).toMatchObject({ current: 0b0101, isWritable: false, nextEpoch: 3, nextSequence: 5 });
  });

  it('count a fenced drive as current while nothing was written without it', () => {
    const verdict = decide([view([e1, a, e2]), null, view([e1, a, e2]), view([e1, a])], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', current: 0b1101, isWritable: true });
  });

  it('count when as many drives as rebuild it hold them and more, whoever was set back to an old copy', () => {
    const later = batch('e2', 'a', { ...opening, sequence: 3, epoch: 2 });
    const c = batch('c', 'e2', { sequence: 4, epoch: 2 });
    const d = batch('d', 'c', { sequence: 5, epoch: 2 });
    const whole = view([e1, a, later, c, d]);
    const old = view([e1]);
    const one = decide([whole, whole, whole, old], fourDrives);
    expect(chainOf(one)).toEqual(['e1', 'a', 'e2', 'c', 'd']);
    expect(one).toMatchObject({ kind: 'serve', isWritable: true, current: 0b0111 });
    // With another one gone nothing can be written, and nothing is lost either.
    const two = decide([whole, null, whole, old], fourDrives);
    expect(chainOf(two)).toEqual(['e1', 'a', 'e2', 'c', 'd']);
    expect(two).toMatchObject({ kind: 'serve', isWritable: false, current: 0b0101 });
  });

  it('and their batches stay when fewer drives than parity were set back within them', () => {
    const c = batch('c', 'b', { sequence: 4 });
    const whole = view([e1, a, b, c]);
    const verdict = decide([view([e1]), whole, view([e1, a]), whole], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', rolledForward: ['a', 'b', 'c'], dropped: [] });
  });

  it('end where fewer drives than rebuild them hold them, as snapshots of different moments do', () => {
    const bare = { slotNeeds: [] };
    const f = batch('f', 'a', { sequence: 3, ...bare });
    const g = batch('g', 'f', { sequence: 4, ...bare });
    const h = batch('h', 'g', { sequence: 5, ...bare });
    const verdict = decide([view([e1]), view([e1, a]), view([e1, a, f]), view([e1, a, f, g, h])], fourDrives);
    expect(chainOf(verdict)).toEqual(['e1', 'a', 'f']);
    expect(verdict).toMatchObject({ kind: 'serve', dropped: ['g', 'h'], current: 0b1111 });
  });

  it('do not count when a member never synced their beginning', () => {
    const verdict = decide([view([e1, a, e2]), view([e1, a]), view([e1, a]), view([e1, a])], fourDrives);
    expect(chainOf(verdict)).toEqual(['e1', 'a']);
    expect(verdict).toMatchObject({ current: 0b1111, nextEpoch: 3 });
  });

  it('with one number, after two crashes in a row: the one that was committed is served', () => {
    // The first start reached drive 0 only; the second did not see it, and used the same number.
    const first = batch('x', 'a', { ...opening, epoch: 2, sequence: 3, members: 0b0111 });
    const second = batch('y', 'a', { ...opening, epoch: 2, sequence: 3, members: 0b1110 });
    const d = batch('d', 'y', { epoch: 2, sequence: 4, members: 0b1110 });
    const written = view([e1, a, second, d]);
    expect(chainOf(decide([view([e1, a, first]), written, written, null], fourDrives))).toEqual(['e1', 'a', 'y', 'd']);
    // Neither can be told from the other here, and neither has two current drives.
    expect(chainOf(decide([view([e1, a, first]), null, null, written], fourDrives))).toBe('refused');
  });

  it('are known by their later batches when their beginning is damaged', () => {
    const holed = view([e1, a, c]);
    expect(chainOf(decide([holed, holed, null, null], fourDrives))).toEqual(['e1', 'a', 'c']);
    expect(decide([holed, holed, null, null], fourDrives)).toMatchObject({ afterHole: ['c'] });
    expect(decide([holed, view([e1, a, e2, c]), null, null], fourDrives)).toMatchObject({ afterHole: [] });
  });
});

describe('quorum', () => {
  it('begins a set with w drives, not with fewer', () => {
    const blank = view([]);
    expect(decide([blank, blank, blank, null], fourDrives)).toEqual({ kind: 'fresh', current: 0b0111 });
    expect(decide([blank, blank, null, null], fourDrives).kind).toBe('refused');
  });

  it('goes on with an interrupted set-up', () => {
    const verdict = decide([view([e1]), view([]), view([]), null], fourDrives);
    expect(verdict).toMatchObject({ kind: 'serve', isWritable: true, current: 0b0111 });
  });

  it('does not take emptied drives for current once there are records', () => {
    expect(decide([view([e1, a]), view([]), view([]), view([])], fourDrives)).toMatchObject({
      kind: 'refused',
      current: 0b0001,
    });
  });

  it('does not count drives that are still being copied', () => {
    const copying = view([e1, a], { isWitness: false });
    expect(decide([null, null, copying, copying], fourDrives)).toMatchObject({ kind: 'refused', current: 0 });
    // Before the first record it is an interrupted set-up instead.
    const begun = view([e1], { isWitness: false });
    expect(decide([view([e1]), begun, begun, null], fourDrives)).toMatchObject({ kind: 'serve', current: 0b0111 });
  });

  it('does not count a drive whose last batch is half written', () => {
    const e2 = batch('e2', 'a', { ...opening, epoch: 2, sequence: 3, members: 0b0111 });
    const fenced = view([e1, a], slots('a', 'torn'));
    expect(decide([view([e1, a, e2]), view([e1, a, e2]), null, fenced], fourDrives)).toMatchObject({ current: 0b0011 });
  });

  it('says when all that is left ends in damage', () => {
    const oneDrive = { driveCount: 1, dataShards: 1, writeQuorum: 1 };
    const verdict = decide(
      [
        view(
          [
            { ...e1, members: 1 },
            { ...a, members: 1 },
          ],
          { tail: 'damaged' },
        ),
      ],
      oneDrive,
    );
    expect(verdict).toMatchObject({ kind: 'serve', isTailSuspect: true });
  });
});
