/**
 * One operation of this API as data. Whoever adds a family of them writes a file like `users.ts` that
 * exports a list of routes, and names that list in `service.ts`.
 */
import type { Authorized, OperationSpec, ParsedCall } from '../dispatch/index.js';
import type { ExchangeResponse } from '../exchange/index.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';

export type AdminOperation = OperationSpec<unknown, AdminDeps>;
export type AdminCall = Authorized<AdminParameters>;

/** Path and query of a request behind `/minio/admin/v3/`. */
export interface AdminParameters {
  /** Decoded. */
  readonly path: readonly string[];
  /** Empty when it is absent. */
  query(name: string): string;
  /** Every value of a repeated name. */
  queries(name: string): readonly string[];
  /** The name with the value `true`. */
  flag(name: string): boolean;
}

export interface AdminRoute {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Behind `/minio/admin/v3/`; `{name}` is one part of the path, `{name...}` the rest of it. */
  readonly path: string;
  /** Also behind `/minio/admin/v4/`: the one version that has it elsewhere. */
  readonly isAlsoV4?: true;
  /** Names that the query must have, with any value. */
  readonly query?: readonly string[];
  readonly operation: AdminOperation;
}

/**
 * Who may: any one of these actions (`admin:` is put in front); or a decision over the call, for what may
 * also be done to one's own account. There is no operation without one.
 */
export type Access = readonly string[] | ((deps: AdminDeps, call: AdminCall) => boolean | Promise<boolean>);

export interface AdminOperationOptions {
  /** For logs, metrics and audit. */
  readonly name: string;
  readonly access: Access;
  /** Runs when access is granted. Throws Refusal. */
  readonly handle: (deps: AdminDeps, call: AdminCall) => Promise<ExchangeResponse> | ExchangeResponse;
}

export function adminOperation({ name, access, handle }: AdminOperationOptions): AdminOperation {
  return {
    name,
    anyRegion: true,
    parse: (call) => parametersOf(call),
    // Any one of several may do, which a list of permissions cannot say: asked below, through the same decision.
    permissions: () => [],
    handle: async (deps, call) => {
      const typed = call as AdminCall;
      if (typed.principal.kind === 'anonymous' || !(await isGranted(access, deps, typed))) {
        throw adminError('AccessDenied');
      }
      return await handle(deps, typed);
    },
  };
}

function isGranted(access: Access, deps: AdminDeps, call: AdminCall): boolean | Promise<boolean> {
  return typeof access === 'function' ? access(deps, call) : mayAnyOf(call, access);
}

/** One of these actions is enough. */
export async function mayAnyOf(call: Pick<AdminCall, 'isAllowed'>, actions: readonly string[]): Promise<boolean> {
  for (const action of actions) if (await mayAdmin(call, action)) return true;
  return false;
}

type Values = NonNullable<Parameters<AdminCall['isAllowed']>[0]['values']>;

/** `admin:ACTION`, which ignores resources. `values`: see `Permission`. */
export function mayAdmin(call: Pick<AdminCall, 'isAllowed'>, action: string, values: Values = {}): Promise<boolean> {
  return call.isAllowed({ action: `admin:${action}`, bucket: '', key: '', values });
}

/** The action is not denied to whoever asks; a session policy must allow it all the same. */
export function isNotDenied(call: Pick<AdminCall, 'isAllowed'>, action: string, values: Values = {}): Promise<boolean> {
  return call.isAllowed({ action: `admin:${action}`, bucket: '', key: '', mode: 'deny-only', values });
}

export const anySigner: Access = (_deps, call) => call.principal.kind !== 'anonymous';

function parametersOf(call: ParsedCall): AdminParameters {
  // `admin/v3/…` or `admin/v4/…`: the router has looked at it.
  const path = call.key.split('/').slice(2);
  return {
    path,
    query: (name) => call.query.get(name) ?? '',
    queries: (name) => new URLSearchParams(call.request.rawQuery).getAll(name),
    flag: (name) => call.query.get(name) === 'true',
  };
}
