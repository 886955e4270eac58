/** A parsed document, ready to be asked. Immutable but for what it remembers about action names. */
import { invariant } from '../base/index.js';
import { candidatesMax } from './limits.js';
import type { Policy, PolicyKind } from './policy.js';
import type { Statement } from './statement.js';

/** The statements that speak for one action, by effect. */
export interface Candidates {
  readonly denies: readonly Statement[];
  readonly allows: readonly Statement[];
}

export class CompiledPolicy implements Policy {
  readonly statementCount: number;
  readonly isEmpty: boolean;
  private readonly candidates = new Map<string, Candidates>();

  constructor(
    readonly kind: PolicyKind,
    readonly text: string,
    readonly statements: readonly Statement[],
  ) {
    this.statementCount = statements.length;
    this.isEmpty = statements.length === 0;
  }

  for(action: string): Candidates {
    const known = this.candidates.get(action);
    if (known !== undefined) return known;
    const speaking = this.statements.filter((statement) => statement.speaksFor(action));
    const found = {
      denies: speaking.filter((statement) => statement.parts.isDeny),
      allows: speaking.filter((statement) => !statement.parts.isDeny),
    };
    // Names come from the operations' table; the bound only stops a mistake.
    if (this.candidates.size < candidatesMax) this.candidates.set(action, found);
    return found;
  }
}

/** Only this room makes policies. */
export function compiled(policy: Policy): CompiledPolicy {
  invariant(policy instanceof CompiledPolicy, 'a policy comes from parsePolicy');
  return policy;
}
