/**
 * One request on its way through the pipeline. It is the parsed call, and once it is authorized, the
 * authorized call: one object, because a small GET is answered in a few microseconds.
 */
import { invariant, Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import type { Principal } from '../identity/index.js';
import type { Authentication } from '../signature/index.js';
import type { Authenticated } from './authenticate.js';
import type { IsAllowed } from './authorize.js';
import type { ByteBudget } from './byte-budget.js';
import type { Authorized, OperationSpec, ParsedCall, Permission } from './operation.js';
import { Payload } from './payload.js';
import { noQuery, type Target } from './target.js';

/** What handlers can see of it once they may. */
interface Proof {
  readonly authenticated: Authenticated;
  readonly isAllowed: IsAllowed;
  readonly budgets: PassageBudgets;
  readonly authenticateForm: AuthenticateForm;
}

const noClaims: ReadonlyMap<string, unknown> = new Map();

export type AuthenticateForm = (field: (name: string) => string | undefined) => Authenticated;

/** Bounds over all requests. */
export interface PassageBudgets {
  readonly documents: ByteBudget;
  readonly forms: ByteBudget;
}

export class Passage implements ParsedCall {
  readonly startedMs: number;
  request: ExchangeRequest;
  bucket = '';
  key = '';
  query: ReadonlyMap<string, string> = noQuery;
  input: unknown = undefined;
  /** For the record. */
  operation: string | null = null;
  errorCode: string | null = null;
  /** Empty unless it was kept. */
  remoteAddress = '';
  #proof: Proof | null = null;
  #payload: Payload | null = null;

  constructor(request: ExchangeRequest, startedMs: number) {
    this.request = request;
    this.startedMs = startedMs;
  }

  aim(request: ExchangeRequest, { bucket, key }: Target, query: ReadonlyMap<string, string>): void {
    this.request = request;
    this.bucket = bucket;
    this.key = key;
    this.query = query;
  }

  /** The body of a request whose operation is not known without it. Throws EntityTooLarge, ServerBusy, IncompleteBody. */
  async readForm(bytesMax: number, { documents, forms }: PassageBudgets): Promise<Uint8Array> {
    this.#payload = new Payload(this.request, { kind: 'unsigned' }, documents, forms);
    return (await this.#payload.collect(bytesMax)).bytes;
  }

  keepAddress(): void {
    this.remoteAddress = this.request.remoteAddress;
  }

  /**
   * The only constructor of `Authorized`. Refuses with AccessDenied unless everything the operation needs is allowed;
   * at once, as long as the decisions are.
   */
  authorize<Input, Deps>(
    operation: OperationSpec<Input, Deps>,
    authenticated: Authenticated,
    proof: Omit<Proof, 'authenticated'>,
  ): Authorized<Input> | Promise<Authorized<Input>> {
    // By name: V8 gives what is spread a shape of its own each time, and every later look at it is slow.
    const { isAllowed, authenticateForm, budgets } = proof;
    this.#proof = { authenticated, isAllowed, authenticateForm, budgets };
    // Policies may ask for it until the end, when the client may have left.
    if (authenticated.principal.kind !== 'root') void this.request.remoteAddress;
    const input = operation.parse(this);
    this.input = input;
    const permissions = operation.permissions(this, input);
    let decided = 0;
    for (const permission of permissions) {
      const verdict = this.#decide(permission);
      decided++;
      // What follows is asked one after the other: the first refusal spares the others.
      if (verdict instanceof Promise) return this.#authorizeLater(verdict, permissions.slice(decided));
      if (!verdict) throw new Refusal('AccessDenied');
    }
    // The brand exists in types alone: this is where it is given.
    return this as unknown as Authorized<Input>;
  }

  async #authorizeLater<Input>(
    verdict: Promise<boolean>,
    permissions: readonly Permission[],
  ): Promise<Authorized<Input>> {
    if (!(await verdict)) throw new Refusal('AccessDenied');
    for (const permission of permissions) {
      if (!(await this.isAllowed(permission))) throw new Refusal('AccessDenied');
    }
    return this as unknown as Authorized<Input>;
  }

  async isAllowed(permission: Permission): Promise<boolean> {
    return await this.#decide(permission);
  }

  #decide(permission: Permission): boolean | Promise<boolean> {
    const { isAllowed, authenticated } = this.#proven();
    const { principal, authentication } = authenticated;
    const verdict = isAllowed(principal, permission, { call: this, authentication });
    // Policies are looked at with every other form of an answer.
    return verdict instanceof Promise ? verdict.then((answer) => answer === true) : verdict === true;
  }

  authenticateForm(field: (name: string) => string | undefined): void {
    const proof = this.#proven();
    // Whoever signed the request itself must not be replaced by whom the body names.
    invariant(proof.authenticated.authentication.kind === 'anonymous', 'only the form is signed');
    this.#proof = { ...proof, authenticated: proof.authenticateForm(field) };
  }

  get principal(): Principal {
    return this.#proven().authenticated.principal;
  }

  get authentication(): Authentication {
    return this.#proven().authenticated.authentication;
  }

  /** Made when it is asked for: most requests have no body. */
  get payload(): Payload {
    const { documents, forms } = this.#proven().budgets;
    return (this.#payload ??= new Payload(this.request, this.authentication.payload, documents, forms));
  }

  get accessKey(): string | null {
    const authentication = this.#proof?.authenticated.authentication;
    return authentication === undefined || authentication.kind === 'anonymous' ? null : authentication.accessKey;
  }

  /** Null: nobody's, or not known. */
  get account(): string | null {
    const principal = this.#proof?.authenticated.principal;
    return principal === undefined || principal.kind === 'anonymous' ? null : principal.account;
  }

  get claims(): ReadonlyMap<string, unknown> {
    const principal = this.#proof?.authenticated.principal;
    return principal === undefined || principal.kind === 'anonymous' ? noClaims : principal.claims;
  }

  get receivedBytes(): number {
    return this.#payload?.receivedBytes ?? 0;
  }

  releasePayload(): void {
    this.#payload?.release();
  }

  #proven(): Proof {
    invariant(this.#proof !== null, 'the request was authenticated');
    return this.#proof;
  }
}
