import type { Clock } from '../base/index.js';
import type { Iam, IdentityProviders } from '../identity/index.js';

/** What the actions are handed. A file of its own, so that actions and the table do not form a circle. */
export interface StsDeps {
  readonly iam: Pick<Iam, 'createSession' | 'policiesOfExternal'>;
  readonly providers: IdentityProviders;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** What AssumeRole gives whatever is asked for; null: what is asked for. */
  readonly fixedSeconds: number | null;
}
