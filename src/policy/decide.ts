/**
 * The decision. Identity policies and the bucket's policy are united, each session policy must allow as well, an
 * explicit Deny in any of them wins; root stands above, anonymous callers have the bucket's policy alone.
 */
import { compiled } from './compiled-policy.js';
import type { AccessRequest, DecisionMode, Policy, PolicySet } from './policy.js';
import type { Statement } from './statement.js';

/**
 * An action that is also allowed by whoever allows another one, unless that other one is denied.
 * Version actions count apart where a document denies them.
 */
const impliedBy: ReadonlyMap<string, string> = new Map([
  ['s3:ListBucketVersions', 's3:ListBucket'],
  ['s3:GetObject', 's3:GetObjectVersion'],
  ['s3:DeleteObjectVersion', 's3:DeleteObject'],
]);

/**
 * The actions on versions, each with the action on the object. MinIO asks for the latter whatever version is
 * named: whoever denied it there, or here, does not mean that `?versionId=` opens what is closed.
 */
const alsoDeniedBy: ReadonlyMap<string, string> = new Map(
  ['GetObject', 'GetObjectAcl', 'GetObjectAttributes', 'GetObjectTagging', 'DeleteObject', 'DeleteObjectTagging']
    .concat('PutObjectAcl', 'PutObjectTagging')
    .map((name): [string, string] => [`s3:${name.replace('Object', 'ObjectVersion')}`, `s3:${name}`]),
);

/** What signing in is for, whatever a bucket's policy says. */
const neverAnonymous: ReadonlySet<string> = new Set(['s3:ListAllMyBuckets']);

/** One request against one set; lists are already narrowed to those that have a say. */
export class Evaluation {
  readonly isAnonymous: boolean;
  readonly identity: readonly Policy[];
  readonly bucket: readonly Policy[];
  readonly session: readonly Policy[];
  private readonly resource: string;

  constructor(
    private readonly request: AccessRequest,
    policies: PolicySet,
  ) {
    const isAboutS3 = request.action.startsWith('s3:');
    this.isAnonymous = request.account === '';
    this.identity = this.isAnonymous || policies.isRoot ? noPolicies : policies.identity;
    this.bucket = isAboutS3 && policies.bucket !== null ? [policies.bucket] : noPolicies;
    this.session = policies.session;
    this.resource = `${request.bucket}/${request.key}`;
  }

  /** The first statement of these policies that denies. */
  deny(policies: readonly Policy[], action = this.request.action): Statement | null {
    for (const policy of policies) {
      for (const statement of compiled(policy).for(action).denies) {
        if (statement.applies(this.request, this.resource)) return statement;
      }
    }
    return null;
  }

  denyAnywhere(action = this.request.action): Statement | null {
    const own = this.deny(this.identity, action) ?? this.deny(this.bucket, action) ?? this.deny(this.session, action);
    if (own !== null) return own;
    const base = alsoDeniedBy.get(action);
    return base === undefined ? null : this.denyAnywhere(base);
  }

  /** The first statement of these policies that allows, be it by implication. Requires: nothing denies the action. */
  allow(policies: readonly Policy[]): Statement | null {
    const { action } = this.request;
    const direct = this.allowOf(policies, action);
    if (direct !== null) return direct;
    const other = impliedBy.get(action);
    if (other === undefined) return null;
    const implied = this.allowOf(policies, other);
    return implied === null || this.denyAnywhere(other) !== null ? null : implied;
  }

  private allowOf(policies: readonly Policy[], action: string): Statement | null {
    for (const policy of policies) {
      for (const statement of compiled(policy).for(action).allows) {
        if (statement.applies(this.request, this.resource)) return statement;
      }
    }
    return null;
  }

  /** For each Allow that speaks for the action and does not apply. */
  nearMisses(policies: readonly Policy[]): { readonly policyIndex: number; readonly statement: Statement }[] {
    const { action } = this.request;
    const other = impliedBy.get(action);
    return policies.flatMap((policy, policyIndex) => {
      const { allows } = compiled(policy).for(action);
      const implied = other === undefined ? [] : compiled(policy).for(other).allows;
      return [...new Set([...allows, ...implied])].map((statement) => ({ policyIndex, statement }));
    });
  }

  mismatch(statement: Statement): ReturnType<Statement['mismatch']> {
    return statement.mismatch(this.request, this.resource);
  }
}

const noPolicies: readonly Policy[] = [];

export function mayAskAnonymously(action: string): boolean {
  return !neverAnonymous.has(action);
}

/** Nobody's account has nothing that is its own: `deny-only` counts for those who signed in. */
export function needsAllow(mode: DecisionMode, isAnonymous: boolean): boolean {
  return mode === 'allow' || isAnonymous;
}

export function decide(request: AccessRequest, policies: PolicySet, mode: DecisionMode = 'allow'): boolean {
  if (policies.isRoot && policies.session.length === 0) return true;
  const evaluation = new Evaluation(request, policies);
  if (evaluation.isAnonymous && !mayAskAnonymously(request.action)) return false;
  if (evaluation.denyAnywhere() !== null) return false;
  if (!policies.isRoot && needsAllow(mode, evaluation.isAnonymous)) {
    if (evaluation.allow(evaluation.identity) === null && evaluation.allow(evaluation.bucket) === null) return false;
  }
  for (const policy of evaluation.session) if (evaluation.allow([policy]) === null) return false;
  return true;
}
