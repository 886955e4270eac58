/**
 * Whether a history of one key can be put into an order that explains every answer: each step takes effect at one moment
 * between its call and its answer (Wing and Gong's search, with Lowe's memory of what was tried). A step without an answer
 * took effect at any moment behind its call, up to its deadline, or never.
 */
import { createHash } from 'node:crypto';

export type WriteMode = 'unversioned' | 'enabled' | 'suspended';

export interface KeyState {
  /** How the bucket keeps what is written. */
  readonly mode: WriteMode;
  /** Newest first. */
  readonly versions: readonly StoredVersion[];
  /** Of the version that was written last, as far as it says them. */
  readonly order: number;
  readonly modifiedSeconds: number;
  /** What copies under way have read: by step, the ETag. */
  readonly copied: ReadonlyMap<number, string>;
}

export interface StoredVersion {
  /** `null` without versioning. */
  readonly versionId: string;
  /** Null: a delete marker. */
  readonly etag: string | null;
  /** Made up by the writer for this one write. */
  readonly token: string;
}

export const emptyKey: KeyState = {
  mode: 'unversioned',
  versions: [],
  order: 0,
  modifiedSeconds: 0,
  copied: new Map(),
};

/** `State`: of what the steps are about. */
export interface Step<State = KeyState> {
  readonly what: string;
  readonly callMs: number;
  /** Infinity: nobody knows until when. */
  answerMs: number;
  /** It may never have happened. */
  readonly isOpen: boolean;
  /** Of an open one: somebody has seen what it made. */
  isSeen?: boolean;
  /** Whatever the state is, it does not change it, or not so that anything fits less well behind it. */
  readonly isRead: boolean;
  /** Null: with this state it would have been answered otherwise. */
  readonly apply: (state: State) => State | null;
}

export type Verdict<State = KeyState> =
  | { readonly isLinear: true; readonly tried: number }
  /** `stuckAt`: the step that comes next in the longest order that was found. */
  | { readonly isLinear: false; readonly isGivenUp: boolean; readonly stuckAt: Step<State>; readonly state: State };

/** Beyond it there is no verdict; real histories need a few for each step. */
const triedMax = 1_000_000;

interface Event<State> {
  readonly step: Step<State>;
  readonly index: number;
  readonly isCall: boolean;
  /** Itself, or the call that it answers. */
  call: Event<State>;
  /** Of a call: the event of its answer; null when there is none. */
  answer: Event<State> | null;
  before: Event<State> | null;
  after: Event<State> | null;
}

interface Turn<State> {
  /** What can come next, the likeliest last; an answer stands for an open step that never happened. */
  readonly choices: Event<State>[];
  readonly state: State;
  /** The state before an open step that led here; null when something else did. */
  readonly without: State | null;
  taken: Event<State> | null;
}

/**
 * What was tried: by the answered steps that were taken and the state that they led to, the sets of open steps that were
 * spent on it. Whoever has spent less can still do everything that one can who has spent more.
 */
class Tried {
  readonly #spent = new Map<string, bigint[]>();
  count = 0;

  /** False: nothing can come of it that would not come of what was tried before. */
  isNew(id: string, spent: bigint): boolean {
    const known = this.#spent.get(id);
    if (known?.some((less) => (less & ~spent) === 0n) === true) return false;
    if (known === undefined) this.#spent.set(id, [spent]);
    else known.push(spent);
    this.count++;
    return true;
  }
}

/** Steps of one key. */
export function checkLinear(steps: readonly Step[], begin: KeyState = emptyKey): Verdict {
  return findOrder(steps, begin, describeKey);
}

/** `describe`: the same for states that are the same. */
export function findOrder<State extends object>(
  steps: readonly Step<State>[],
  begin: State,
  describe: (state: State) => string,
): Verdict<State> {
  const names = new WeakMap<State, string>();
  const nameOf = (state: State): string => {
    let name = names.get(state);
    if (name === undefined) {
      // Hundreds of versions, and thousands of states with most of them: as they stand they would fill the memory.
      name = createHash('md5').update(describe(state)).digest('base64');
      names.set(state, name);
    }
    return name;
  };
  const head = eventsOf(steps);
  const marks = steps.map((_, index) => [mixed(2 * index + 1), mixed(2 * index + 2)] as const);
  const openSteps = steps.filter(({ isOpen }) => isOpen);
  const openBits = new Map(openSteps.map((step, index) => [step, 1n << BigInt(index)]));
  const tried = new Tried();
  let [high, low] = [0, 0];
  let spent = 0n;
  let missing = steps.length - openSteps.length;
  let stuck: { turns: number; step: Step<State> | undefined; state: State } = {
    turns: -1,
    step: steps[0],
    state: begin,
  };

  const move = ({ index, step }: Event<State>, isTaken: boolean): void => {
    const openBit = openBits.get(step);
    if (openBit !== undefined) {
      spent ^= openBit;
      return;
    }
    const [markHigh = 0, markLow = 0] = marks[index] ?? [];
    high ^= markHigh;
    low ^= markLow;
    missing += isTaken ? -1 : 1;
  };
  const turns: Turn<State>[] = [{ choices: choicesOf(head, begin), state: begin, without: null, taken: null }];
  for (let turn = turns.at(-1); turn !== undefined; turn = turns.at(-1)) {
    if (missing === 0) return { isLinear: true, tried: tried.count };
    if (tried.count > triedMax)
      return { isLinear: false, isGivenUp: true, stuckAt: stepOf(stuck.step), state: stuck.state };
    if (turn.taken !== null) {
      relink(turn.taken);
      move(turn.taken, false);
      turn.taken = null;
    }
    const choice = turn.choices.pop();
    if (choice === undefined) {
      turns.pop();
      continue;
    }
    const call = choice.isCall ? choice : choice.call;
    const next = choice.isCall ? call.step.apply(turn.state) : turn.state;
    if (next === null) continue;
    // The same comes of it without the open step in front of it, which need not have happened for this.
    const other = choice.isCall && turn.without !== null ? call.step.apply(turn.without) : null;
    if (other !== null && nameOf(other) === nameOf(next)) continue;
    move(call, true);
    // One that leaves an open step out goes on from where it was, which counts as tried.
    if (choice.isCall && !tried.isNew(`${high} ${low} ${nameOf(next)}`, spent)) {
      move(call, false);
      continue;
    }
    unlink(call);
    turn.taken = call;
    const without = choice.isCall && call.step.isOpen ? turn.state : null;
    turns.push({ choices: missing === 0 ? [] : choicesOf(head, next), state: next, without, taken: null });
    if (turns.length > stuck.turns)
      stuck = { turns: turns.length, step: firstAnswer(head)?.step ?? call.step, state: next };
  }
  return { isLinear: false, isGivenUp: false, stuckAt: stepOf(stuck.step), state: stuck.state };
}

/** Calls before the first answer that is left: what comes behind it in time cannot come before it. */
function choicesOf<State>(head: Event<State>, state: State): Event<State>[] {
  const answered: Event<State>[] = [];
  const likely: Event<State>[] = [];
  const unlikely: Event<State>[] = [];
  let event = head.after;
  for (; event?.isCall === true; event = event.after) {
    const { step } = event;
    // A read may as well come now: an order in which it comes later is as good with it here.
    if (step.isRead && step.apply(state) !== null) return [event];
    if (step.isRead) continue;
    if (!step.isOpen) answered.push(event);
    else if (step.isSeen === true) likely.push(event);
    else unlikely.push(event);
  }
  answered.sort((a, b) => b.step.answerMs - a.step.answerMs);
  const dropped = event?.step.isOpen === true ? [event] : [];
  return [...unlikely, ...dropped, ...likely, ...answered];
}

function firstAnswer<State>(head: Event<State>): Event<State> | null {
  let event = head.after;
  while (event?.isCall === true) event = event.after;
  return event;
}

function eventsOf<State>(steps: readonly Step<State>[]): Event<State> {
  const timed: { event: Event<State>; ms: number }[] = [];
  for (const [index, step] of steps.entries()) {
    const call = eventOf(step, index);
    timed.push({ event: call, ms: step.callMs });
    if (step.answerMs === Infinity) continue;
    call.answer = { ...eventOf(step, index), isCall: false, call };
    timed.push({ event: call.answer, ms: step.answerMs });
  }
  // At the same moment they may be in either order: calls first.
  timed.sort((a, b) => a.ms - b.ms || Number(b.event.isCall) - Number(a.event.isCall));
  const head = eventOf<State>({ ...nothing, apply: (state) => state }, -1);
  let last = head;
  for (const { event } of timed) {
    event.before = last;
    last.after = event;
    last = event;
  }
  return head;
}

const nothing = { what: '', callMs: 0, answerMs: 0, isOpen: true, isRead: true };

function eventOf<State>(step: Step<State>, index: number): Event<State> {
  const event: Omit<Event<State>, 'call'> = { step, index, isCall: true, answer: null, before: null, after: null };
  return Object.assign(event, { call: event as Event<State> });
}

/** Takes a call and its answer out of what is left. */
function unlink<State>(call: Event<State>): void {
  for (const event of [call, call.answer]) {
    if (event?.before != null) event.before.after = event.after;
    if (event?.after != null) event.after.before = event.before;
  }
}

/** In the opposite order of `unlink`, as turns are taken back. */
function relink<State>(call: Event<State>): void {
  for (const event of [call.answer, call]) {
    if (event?.before != null) event.before.after = event;
    if (event?.after != null) event.after.before = event;
  }
}

function stepOf<State>(step: Step<State> | undefined): Step<State> {
  if (step === undefined) throw new Error('a history without steps is in order');
  return step;
}

export function describeKey({ mode, versions, order, modifiedSeconds, copied }: KeyState): string {
  const listed = versions.map(({ versionId, etag, token }) => `${versionId}/${etag ?? ''}/${token}`);
  return `${mode} ${listed.join()} ${order} ${modifiedSeconds} ${[...copied].sort().join()}`;
}

/** 32 bits that look random: the sum of those of the steps taken stands for the set of them. */
function mixed(number: number): number {
  let bits = Math.imul(number, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
