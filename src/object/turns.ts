/**
 * A look at the index that may have to pass any number of deleted entries, cut into turns: between two of them others
 * are served. Each turn sees one state of the index, and begins anew; what was passed before costs it nothing.
 */
import { limits } from '../base/index.js';
import type { Turn } from '../catalog/index.js';

class TurnOver extends Error {}

class BoundedTurn implements Turn {
  constructor(private deletionsLeft: number) {}

  pass(deletions: number): void {
    this.deletionsLeft -= deletions;
    if (this.deletionsLeft < 0) throw new TurnOver('more deleted entries lie on the way than are passed in one turn');
  }
}

export async function inTurns<T>(look: (turn: Turn) => T): Promise<T> {
  // No index has so many deleted entries in one place. If others write and delete there all the time, it ends as well.
  for (let left = limits.listTurnsMax; left > 0; left--) {
    try {
      return look(new BoundedTurn(limits.deletionsPerTurn));
    } catch (error) {
      if (!(error instanceof TurnOver)) throw error;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return look(new BoundedTurn(Number.MAX_SAFE_INTEGER));
}
