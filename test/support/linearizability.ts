/**
 * Whether a history of one key can be put into an order that explains every answer: each step takes effect at one moment
 * between its call and its answer (Wing and Gong's search, with Lowe's memory of what was tried). A step without an answer
 * took effect at any moment behind its call, up to its deadline, or never.
 */

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
  /** Of a call: the event of its answer; null when there is none. */
  answer: Event | null;
  before: Event | null;
  after: Event | null;
}

interface Taken {
  readonly call: Event;
  readonly state: KeyState;
  /** Nothing else has to be tried in its place. */
  readonly isOnlyChoice: boolean;
}

/** Steps of one key. */
export function checkLinear(steps: readonly Step[], begin: KeyState = emptyKey): Verdict {
  const head = eventsOf(steps);
  const marks = steps.map((_, index) => [mixed(2 * index + 1), mixed(2 * index + 2)] as const);
  const seen = new Set<string>();
  const stack: Taken[] = [];
  let state = begin;
  let [high, low] = [0, 0];
  let missing = steps.filter(({ isOpen }) => !isOpen).length;
  let stuck = { taken: -1, step: steps[0], state };

  const toggle = (index: number): void => {
    const [markHigh = 0, markLow = 0] = marks[index] ?? [];
    high ^= markHigh;
    low ^= markLow;
  };
  /** Takes the step out of what is left, with the state behind it, unless that was tried before. */
  const take = (call: Event, next: KeyState, isOnlyChoice: boolean): boolean => {
    toggle(call.index);
    const id = `${high} ${low} ${nameOf(next)}`;
    if (seen.has(id)) {
      toggle(call.index);
      return false;
    }
    seen.add(id);
    stack.push({ call, state, isOnlyChoice });
    state = next;
    unlink(call);
    if (call.answer !== null) unlink(call.answer);
    if (!call.step.isOpen) missing--;
    return true;
  };

  let event = head.after;
  while (missing > 0) {
    if (seen.size > triedMax) return { isLinear: false, isGivenUp: true, stuckAt: stepOf(stuck.step), state };
    if (event?.isCall === true) {
      const next = event.step.apply(state);
      // A read may as well come now: an order in which it comes later is as good with it here.
      event = next !== null && take(event, next, event.step.isRead) ? head.after : event.after;
      continue;
    }
    // An answer whose step does not fit anywhere before it.
    if (event !== null && event.step.isOpen) {
      const call = callOf(head, event);
      if (take(call, state, true)) {
        event = head.after;
        continue;
      }
    }
    if (stack.length > stuck.taken && event !== null) stuck = { taken: stack.length, step: event.step, state };
    let last = stack.pop();
    for (; last !== undefined; last = stack.pop()) {
      relink(last.call.answer);
      relink(last.call);
      toggle(last.call.index);
      if (!last.call.step.isOpen) missing++;
      state = last.state;
      if (!last.isOnlyChoice) break;
    }
    if (last === undefined)
      return { isLinear: false, isGivenUp: false, stuckAt: stepOf(stuck.step), state: stuck.state };
    event = last.call.after;
  }
  return { isLinear: true, tried: seen.size };
}

function eventsOf(steps: readonly Step[]): Event {
  const events: (Event & { ms: number })[] = [];
  for (const [index, step] of steps.entries()) {
    const end = { step, index, isCall: false, answer: null, before: null, after: null, ms: step.answerMs };
    const answer = step.answerMs === Infinity ? null : end;
    events.push({ step, index, isCall: true, answer, before: null, after: null, ms: step.callMs });
    if (answer !== null) events.push(answer);
  }
  // At the same moment they may be in either order: calls first.
  events.sort((a, b) => a.ms - b.ms || Number(b.isCall) - Number(a.isCall));
  const first: Event = { step: openStep, index: -1, isCall: false, answer: null, before: null, after: null };
  let last = first;
  for (const event of events) {
    event.before = last;
    last.after = event;
    last = event;
  }
  return first;
}

const openStep: Step = { what: '', callMs: 0, answerMs: 0, isOpen: true, isRead: true, apply: (state) => state };

function callOf(head: Event, answer: Event): Event {
  for (let event = head.after; event !== null; event = event.after) if (event.answer === answer) return event;
  throw new Error('an answer comes behind its call');
}

function unlink(event: Event): void {
  if (event.before !== null) event.before.after = event.after;
  if (event.after !== null) event.after.before = event.before;
}

function relink(event: Event | null): void {
  if (event === null) return;
  if (event.before !== null) event.before.after = event;
  if (event.after !== null) event.after.before = event;
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
    name = `${state.mode} ${versions.join()} ${state.order} ${state.modifiedSeconds} ${[...state.copied].sort().join()}`;
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
