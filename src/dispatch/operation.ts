/**
 * One operation of a protocol as data, and the proof that a call was authorized.
 * The pipeline (`dispatcher.ts`) is the only constructor of `Authorized`, so no handler can be
 * reached without authentication and an authorization decision.
 */
import type { Refusal } from '../base/index.js';
import type { ExchangeRequest, ExchangeResponse, HeaderMap } from '../exchange/index.js';
import type { Principal } from '../identity/index.js';
import type { Authentication } from '../signature/index.js';
import type { Payload } from './payload.js';

/** A request whose target was parsed once: path style or virtual host, percent-decoded, checked. */
export interface ParsedCall {
  readonly request: ExchangeRequest;
  /** Empty for service-level calls. */
  readonly bucket: string;
  /** Empty for bucket-level calls. */
  readonly key: string;
  /** Decoded query; the first value of a repeated name. With the fields of a form: see `Service.formBytesMax`. */
  readonly query: ReadonlyMap<string, string>;
}

/** What is asked of the policy layer: every pair must be allowed. */
export interface Permission {
  /** `s3:PutObject` */
  readonly action: string;
  readonly bucket: string;
  readonly key: string;
  /** See `DecisionMode` of the policy room; `allow` when omitted. */
  readonly mode?: 'allow' | 'deny-only';
  /**
   * Condition keys that the operation knows better than the headers and the query: from the body, or from what is
   * stored. By name as in `ConditionValues`; an empty list says that the key is absent.
   */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** What the headers of S3 are, where a form carries them as fields. */
  readonly headers?: HeaderMap;
}

declare const authorized: unique symbol;

export interface Authorized<Input> extends ParsedCall {
  readonly [authorized]: true;
  readonly input: Input;
  readonly principal: Principal;
  readonly authentication: Authentication;
  /** The request body, freed of its transfer framing. The only way for a handler to read it. */
  readonly payload: Payload;
  /**
   * The signature is in the body (a form upload): verifies it, and from then on the call speaks for its signer.
   * Only for an operation that does not ask for permissions before. Throws a refusal of the signature room.
   */
  authenticateForm(field: (name: string) => string | undefined): void;
  /**
   * The same decision for further targets (each key of DeleteObjects, the source of a copy). Always a promise, so that
   * one that was not waited for does not compile as an answer.
   */
  isAllowed(permission: Permission): Promise<boolean>;
}

export interface OperationSpec<Input, Deps> {
  /** The API's name: `PutObject`. For logs, metrics and audit. */
  readonly name: string;
  /** Set for what a client asks before it knows the region: signatures for any are accepted. */
  readonly anyRegion?: true;
  /** Validates everything that can be known without the body; throws Refusal. */
  parse(call: ParsedCall): Input;
  /** What must be allowed before `handle` runs. */
  permissions(call: ParsedCall, input: Input): readonly Permission[];
  /**
   * Runs synchronously up to its first await, so that `call.payload.consume` can be called before
   * the first byte has to be kept by the front.
   */
  handle(deps: Deps, call: Authorized<Input>): Promise<ExchangeResponse> | ExchangeResponse;
}

/** One protocol as the pipeline sees it. */
export interface Service<Deps> {
  readonly deps: Deps;
  /**
   * Set where a form in the body says what is asked for (STS): it is read before anything else, up to so many
   * bytes, and its fields join the parameters of the query, which go first.
   */
  readonly formBytesMax?: number;
  /** Which operation this is; throws Refusal (NotImplemented, MethodNotAllowed, a malformed target). */
  route(call: ParsedCall): OperationSpec<unknown, Deps>;
  /** The answer to a refusal in the protocol's own form. */
  refuse(refusal: Refusal, call: Pick<ParsedCall, 'request' | 'bucket' | 'key'>): ExchangeResponse;
}
