/** Policies and questions to them, in few words. One constructor for all tests of the room. */
import {
  decide,
  explain,
  parsePolicy,
  type AccessRequest,
  type DecisionMode,
  type Policy,
  type PolicyKind,
  type PolicySet,
} from '../../src/policy/index.js';

export interface Statement {
  readonly [field: string]: unknown;
}

export const document = (...statements: readonly Statement[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: statements });

export const policy = (kind: PolicyKind, ...statements: readonly Statement[]): Policy =>
  parsePolicy(document(...statements), kind);

export interface Question {
  readonly action: string;
  /** `bucket` or `bucket/key`. */
  readonly on?: string;
  /** Empty: anonymous. */
  readonly account?: string;
  readonly trusted?: Readonly<Record<string, readonly string[] | string>>;
  readonly request?: Readonly<Record<string, readonly string[] | string>>;
}

const listed = (value: readonly string[] | string | undefined): readonly string[] | undefined =>
  typeof value === 'string' ? [value] : value;

export function question({ action, on = '', account = 'alice', trusted = {}, request = {} }: Question): AccessRequest {
  const slash = on.indexOf('/');
  const own: Question['trusted'] = account === '' ? {} : { 'aws:username': account, 'aws:userid': account };
  return {
    action,
    bucket: slash < 0 ? on : on.slice(0, slash),
    key: slash < 0 ? '' : on.slice(slash + 1),
    account,
    conditions: {
      trusted: (name) => listed({ ...own, ...trusted }[name]),
      request: (name) => listed(request[name]),
    },
  };
}

export interface Policies {
  readonly identity?: readonly Policy[];
  readonly bucket?: Policy | null;
  readonly session?: readonly Policy[];
  readonly isRoot?: boolean;
}

export const policySet = ({ identity = [], bucket = null, session = [], isRoot = false }: Policies): PolicySet => ({
  isRoot,
  identity,
  bucket,
  session,
});

/** The decision; throws when the explanation is of another one. */
export function isAllowed(asked: Question, policies: Policies, mode?: DecisionMode): boolean {
  const request = question(asked);
  const set = policySet(policies);
  const answer = decide(request, set, mode);
  const explained = explain(request, set, mode);
  if (explained.isAllowed !== answer) throw new Error(`decided ${answer}, explained ${JSON.stringify(explained)}`);
  return answer;
}
