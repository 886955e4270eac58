/**
 * The contract of this room: what a policy is to others, and what is asked of it. Pure: no I/O, no clock.
 * Every decision of the server is `decide` over a `PolicySet` (I5, I6, I7).
 */

export type PolicyKind = 'identity' | 'bucket' | 'session';

/** A parsed and compiled policy document. Immutable; shared between requests. */
export interface Policy {
  readonly kind: PolicyKind;
  /** The document as compact JSON, without duplicate statements. Parsing it again gives the same policy. */
  readonly text: string;
  readonly statementCount: number;
  /** No statement at all: as a session policy of an access key this means "inherit". */
  readonly isEmpty: boolean;
}

/** Values of condition keys and variables. Names are lower case and carry their prefix: `aws:sourceip`. */
export interface ConditionValues {
  /** What the server computed or verified: a client cannot set, extend or shadow these. Undefined: absent. */
  trusted(name: string): readonly string[] | undefined;
  /**
   * What the request itself says, for the keys whose definition is a request header or parameter
   * (`aws:referer`, `aws:useragent`, `s3:prefix`, `s3:x-amz-…`). Asked only for those names.
   */
  request(name: string): readonly string[] | undefined;
}

export interface AccessRequest {
  /** `s3:GetObject`, `admin:ServerInfo`, `sts:AssumeRoleWithWebIdentity`, `kms:CreateKey`. */
  readonly action: string;
  /** Empty for service-level calls, and where the action ignores resources. */
  readonly bucket: string;
  readonly key: string;
  /** Whose name principals and `aws:username` see: the parent of derived credentials. Empty: anonymous. */
  readonly account: string;
  readonly conditions: ConditionValues;
}

/** Everything that has a say about one principal and one bucket. */
export interface PolicySet {
  /** Root without a session policy: allowed, whatever else says. */
  readonly isRoot: boolean;
  readonly identity: readonly Policy[];
  /** Of the bucket that the request names; null: it has none, or there is none. */
  readonly bucket: Policy | null;
  /** Each of them must allow as well (session policy, embedded policy). Empty: nothing restricts. */
  readonly session: readonly Policy[];
}

/**
 * `deny-only`: for what everybody may do to their own account unless it is denied. A session policy must
 * allow positively also then (CVE-2025-62506).
 */
export type DecisionMode = 'allow' | 'deny-only';

export type Decide = (request: AccessRequest, policies: PolicySet, mode?: DecisionMode) => boolean;

/** Which statement decided, in words for people. */
export interface Explanation {
  readonly isAllowed: boolean;
  readonly reason: 'root' | 'explicit-deny' | 'session-does-not-allow' | 'allowed' | 'not-denied' | 'nothing-allows';
  /** The statement that decided; null when none did. `policy`: index within its list. */
  readonly decidedBy: {
    readonly list: 'identity' | 'bucket' | 'session';
    readonly policy: number;
    readonly statement: number;
    readonly sid: string;
  } | null;
  /** For every statement that would have allowed the action but did not match: what was missing. */
  readonly missing: readonly string[];
}
