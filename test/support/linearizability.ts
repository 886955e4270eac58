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

export interface Step {
  readonly what: string;
  readonly callMs: number;
  /** Infinity: nobody knows until when. */
  answerMs: number;
  /** It may never have happened. */
  readonly isOpen: boolean;
  /** Whatever the state is, it does not change it, or not so that anything fits less well behind it. */
  readonly isRead: boolean;
  /** Null: with this state it would have been answered otherwise. */
  readonly apply: (state: KeyState) => KeyState | null;
}

export type Verdict =
  | { readonly isLinear: true; readonly tried: number }
  /** `stuckAt`: the step that comes next in the longest order that was found. */
  | { readonly isLinear: false; readonly isGivenUp: boolean; readonly stuckAt: Step; readonly state: KeyState };

/** Beyond it there is no verdict; real histories need a few for each step. */
const triedMax = 1_000_000;

interface Event {
  readonly step: Step;
  readonly index: number;
  readonly isCall: boolean;
  /** Itself, or the call that it answers. */
  call: Event;
  /** Of a call: the event of its answer; null when there is none. */
  answer: Event | null;
  before: Event | null;
  after: Event | null;
}

interface Turn {
  /** What can come next, the likeliest last; an answer stands for an open step that never happened. */
  readonly choices: Event[];
  readonly state: KeyState;
  taken: Event | null;
}

/** Steps of one key. */
export function checkLinear(steps: readonly Step[], begin: KeyState = emptyKey): Verdict {
  const head = eventsOf(steps);
  const marks = steps.map((_, index) => [mixed(2 * index + 1), mixed(2 * index + 2)] as const);
  const seen = new Set<string>();
  let [high, low] = [0, 0];
  let missing = steps.filter(({ isOpen }) => !isOpen).length;
  let stuck: { turns: number; step: Step | undefined; state: KeyState } = { turns: -1, step: steps[0], state: begin };

  const move = ({ index, step }: Event, isTaken: boolean): void => {
    const [markHigh = 0, markLow = 0] = marks[index] ?? [];
    high ^= markHigh;
    low ^= markLow;
    if (!step.isOpen) missing += isTaken ? -1 : 1;
  };
  const turns: Turn[] = [{ choices: choicesOf(head, begin), state: begin, taken: null }];
  for (let turn = turns.at(-1); turn !== undefined; turn = turns.at(-1)) {
    if (missing === 0) return { isLinear: true, tried: seen.size };
    if (seen.size > triedMax)
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
    move(call, true);
    const id = `${high} ${low} ${nameOf(next)}`;
    if (seen.has(id)) {
      move(call, false);
      continue;
    }
    seen.add(id);
    unlink(call);
    turn.taken = call;
    turns.push({ choices: missing === 0 ? [] : choicesOf(head, next), state: next, taken: null });
    if (turns.length > stuck.turns)
      stuck = { turns: turns.length, step: firstAnswer(head)?.step ?? call.step, state: next };
  }
  return { isLinear: false, isGivenUp: false, stuckAt: stepOf(stuck.step), state: stuck.state };
}

/** Calls before the first answer that is left: what comes behind it in time cannot come before it. */
function choicesOf(head: Event, state: KeyState): Event[] {
  const choices: Event[] = [];
  let event = head.after;
  for (; event?.isCall === true; event = event.after) {
    // A read may as well come now: an order in which it comes later is as good with it here.
    if (event.step.isRead && event.step.apply(state) !== null) return [event];
    if (!event.step.isRead) choices.push(event);
  }
  const urgency = ({ step }: Event): number => (step.isOpen ? Infinity : step.answerMs);
  choices.sort((a, b) => (urgency(a) === urgency(b) ? 0 : urgency(b) - urgency(a)));
  return event?.step.isOpen === true ? [event, ...choices] : choices;
}

function firstAnswer(head: Event): Event | null {
  let event = head.after;
  while (event?.isCall === true) event = event.after;
  return event;
}

function eventsOf(steps: readonly Step[]): Event {
  const timed: { event: Event; ms: number }[] = [];
  for (const [index, step] of steps.entries()) {
    const call = eventOf(step, index);
    timed.push({ event: call, ms: step.callMs });
    if (step.answerMs === Infinity) continue;
    call.answer = { ...eventOf(step, index), isCall: false, call };
    timed.push({ event: call.answer, ms: step.answerMs });
  }
  // At the same moment they may be in either order: calls first.
  timed.sort((a, b) => a.ms - b.ms || Number(b.event.isCall) - Number(a.event.isCall));
  const head = eventOf(nothing, -1);
  let last = head;
  for (const { event } of timed) {
    event.before = last;
    last.after = event;
    last = event;
  }
  return head;
}

const nothing: Step = { what: '', callMs: 0, answerMs: 0, isOpen: true, isRead: true, apply: (state) => state };

function eventOf(step: Step, index: number): Event {
  const event: Omit<Event, 'call'> = { step, index, isCall: true, answer: null, before: null, after: null };
  return Object.assign(event, { call: event as Event });
}

/** Takes a call and its answer out of what is left. */
function unlink(call: Event): void {
  for (const event of [call, call.answer]) {
    if (event?.before != null) event.before.after = event.after;
    if (event?.after != null) event.after.before = event.before;
  }
}

/** In the opposite order of `unlink`, as turns are taken back. */
function relink(call: Event): void {
  for (const event of [call.answer, call]) {
    if (event?.before != null) event.before.after = event;
    if (event?.after != null) event.after.before = event;
  }
}

function stepOf(step: Step | undefined): Step {
  if (step === undefined) throw new Error('a history without steps is in order');
  return step;
}

const names = new WeakMap<KeyState, string>();

function nameOf(state: KeyState): string {
  let name = names.get(state);
  if (name === undefined) {
    const versions = state.versions.map(({ versionId, etag, token }) => `${versionId}/${etag ?? ''}/${token}`);
    const text = `${state.mode} ${versions.join()} ${state.order} ${state.modifiedSeconds} ${[...state.copied].sort().join()}`;
    // Hundreds of versions, and thousands of states with most of them: as they stand they would fill the memory.
    name = createHash('md5').update(text).digest('base64');
    names.set(state, name);
  }
  return name;
}

/** 32 bits that look random: the sum of those of the steps taken stands for the set of them. */
function mixed(number: number): number {
  let bits = Math.imul(number, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
