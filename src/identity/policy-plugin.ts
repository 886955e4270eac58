/**
 * The policy plugin: a web service of the operator's that decides in place of the policies, in the form that Open
 * Policy Agent has. Whatever is not its plain yes is a no.
 */
import { z } from 'zod';
import { limits, type Clock } from '../base/index.js';
import { boundedFetch, ProviderFault, type BoundedFetch } from './provider/bounded-fetch.js';
import { CallGate, GateFull } from './provider/call-gate.js';
import type { ClaimValue } from './principal.js';

export interface PolicyQuestion {
  /** The access key that signed. */
  readonly account: string;
  readonly groups: readonly string[];
  readonly action: string;
  readonly bucket: string;
  readonly key: string;
  readonly conditions: Readonly<Record<string, readonly string[]>>;
  /** The root account, or what hangs from it unrestricted. */
  readonly isOwner: boolean;
  readonly claims: ReadonlyMap<string, ClaimValue>;
  /** Asked is whether it is denied, not whether it is allowed. */
  readonly isDenyOnly: boolean;
}

export interface PolicyPluginOptions {
  readonly url: string;
  /** Sent as it is in the Authorization header; empty: none. */
  readonly authToken: string;
  readonly authorities: readonly string[];
  readonly clock: Clock;
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly fetch?: BoundedFetch;
}

const bounds = limits.policyPlugin;
/** Requests fail by the thousand while it is down. */
const logEveryMs = 10_000;

const verdictSchema = z.union([
  z.object({ result: z.boolean() }).transform(({ result }) => result),
  z.object({ result: z.object({ allow: z.boolean() }) }).transform(({ result }) => result.allow),
]);

export class PolicyPlugin {
  readonly #options: PolicyPluginOptions;
  readonly #fetch: BoundedFetch;
  readonly #gate: CallGate;
  readonly #closing = new AbortController();
  #loggedMs = -Infinity;
  #unloggedCount = 0;

  constructor(options: PolicyPluginOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? boundedFetch;
    this.#gate = new CallGate(bounds, options.clock);
  }

  close(): void {
    this.#closing.abort();
  }

  /** Never rejects: a fault is a no, and a line in the log. */
  async decide(question: PolicyQuestion): Promise<boolean> {
    let cause: string;
    try {
      const body = JSON.stringify({ input: inputOf(question) });
      const response = await this.#gate.run((timeoutMs) => this.#post(body, timeoutMs));
      const verdict = response.status === 200 ? readVerdict(response.body) : null;
      if (verdict !== null) return verdict;
      cause = response.status === 200 ? 'answered with what is no decision' : `answered with status ${response.status}`;
    } catch (error) {
      cause = error instanceof ProviderFault || error instanceof GateFull ? error.message : 'could not be asked';
    }
    this.#failed(cause);
    return false;
  }

  #post(body: string, timeoutMs: number) {
    const { url, authToken, authorities } = this.#options;
    return this.#fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authToken !== '' && { authorization: authToken }) },
      body,
      timeoutMs,
      bytesMax: bounds.replyBytesMax,
      authorities,
      signal: this.#closing.signal,
    });
  }

  #failed(cause: string): void {
    this.#unloggedCount++;
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#closing.signal.aborted || nowMs - this.#loggedMs < logEveryMs) return;
    this.#options.log('the policy plugin did not decide: requests were denied', {
      cause,
      requests: this.#unloggedCount,
    });
    this.#loggedMs = nowMs;
    this.#unloggedCount = 0;
  }
}

/** The names that plugins of other servers of this API are asked with. */
function inputOf(question: PolicyQuestion) {
  const { account, groups, action, bucket, key, conditions, isOwner, claims, isDenyOnly } = question;
  return {
    ...{ account, groups, action, originalAction: action, bucket, conditions },
    ...{ owner: isOwner, object: key, claims: Object.fromEntries(claims), denyOnly: isDenyOnly },
  };
}

function readVerdict(body: Buffer): boolean | null {
  try {
    const parsed = verdictSchema.safeParse(JSON.parse(body.toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
