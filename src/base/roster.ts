/**
 * Objects that come and go with every request, to be looked through from time to time.
 *
 * A Set would do, but V8 makes a Set of that age outgrow its tables in the old generation, and what was a member at such
 * a moment stays alive with the old table until the next full collection: at ten thousand members a second that is a
 * good part of what requests allocate (bench: `path.put.4KiB.c64`).
 */
import { invariant } from './invariant.js';

export interface RosterMember {
  /** Kept by the roster; −1 outside of it. */
  rosterIndex: number;
}

export class Roster<Member extends RosterMember> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  has(member: Member): boolean {
    return member.rosterIndex >= 0;
  }

  /** Nothing when it is in the roster already. Requires: it is in no other. */
  add(member: Member): void {
    if (member.rosterIndex >= 0) return;
    member.rosterIndex = this.#members.length;
    this.#members.push(member);
  }

  /** Nothing when it is not in the roster. */
  delete(member: Member): void {
    const at = member.rosterIndex;
    if (at < 0) return;
    const last = this.#members.pop();
    invariant(last !== undefined, 'a member is in its roster');
    if (last !== member) {
      this.#members[at] = last;
      last.rosterIndex = at;
    }
    member.rosterIndex = -1;
  }

  /** In no order. Members may leave on the way; who joins meanwhile may be left out. */
  visit(look: (member: Member) => void): void {
    for (let at = this.#members.length - 1; at >= 0; at--) {
      const member = this.#members[at];
      if (member !== undefined) look(member);
    }
  }
}
