/**
 * One compiled statement. It speaks for an action (`speaksFor`, which depends on nothing but the action's name),
 * and applies to a request when principal, resource and conditions match as well.
 */
import { findAction, familyOfPattern, type ActionFamily } from './actions.js';
import type { Condition } from './conditions.js';
import type { AccessRequest } from './policy.js';
import type { Pattern } from './template.js';

export interface ResourcePattern {
  readonly service: 's3' | 'kms' | 'any';
  /** As the document spells it. */
  readonly text: string;
  /** Behind the ARN's prefix. */
  readonly pattern: Pattern;
  /** The bare prefix: matches nothing. */
  readonly isEmpty: boolean;
}

export interface StatementParts {
  /** 0-based, in the document as it was written. */
  readonly index: number;
  readonly sid: string;
  readonly isDeny: boolean;
  readonly family: ActionFamily | 'any';
  readonly actions: {
    readonly isNegated: boolean;
    readonly texts: readonly string[];
    readonly patterns: readonly Pattern[];
  };
  readonly resources: { readonly isNegated: boolean; readonly patterns: readonly ResourcePattern[] } | null;
  /** Null: the document has none, and its attachment says whom it is about. */
  readonly principals: { readonly texts: readonly string[]; readonly patterns: readonly Pattern[] } | null;
  readonly conditions: readonly Condition[];
  readonly isBucketPolicy: boolean;
}

/** What of a statement did not match, for `explain`. */
export type Mismatch =
  { readonly what: 'principal' | 'resource' } | { readonly what: 'condition'; readonly condition: Condition };

const noConditions = { trusted: () => undefined, request: () => undefined };

export class Statement {
  constructor(readonly parts: StatementParts) {}

  /** Action and NotAction. Depends on the name alone, so that the answer can be remembered. */
  speaksFor(action: string): boolean {
    const { actions, family, isDeny } = this.parts;
    const isListed = actions.patterns.some((pattern) => pattern.matches(action, noConditions));
    if (!actions.isNegated) return isListed;
    // "Everything but" is meant within a family when it grants: who writes about S3 does not grant administration.
    const isMeant = isDeny || family === 'any' || family === familyOfPattern(action);
    return isMeant && !isListed;
  }

  /** Requires: speaksFor(request.action). `resource`: bucket, slash and key. */
  applies(request: AccessRequest, resource: string): boolean {
    const { principals, conditions } = this.parts;
    if (principals !== null && !principals.patterns.some((one) => one.matches(request.account, noConditions))) {
      return false;
    }
    if (!this.coversResource(request, resource)) return false;
    for (const condition of conditions) if (!condition.holds(request.conditions)) return false;
    return true;
  }

  /** The first thing that keeps the statement from applying. Null: it applies. */
  mismatch(request: AccessRequest, resource: string): Mismatch | null {
    const { principals, conditions } = this.parts;
    if (principals !== null && !principals.patterns.some((one) => one.matches(request.account, noConditions))) {
      return { what: 'principal' };
    }
    if (!this.coversResource(request, resource)) return { what: 'resource' };
    const condition = conditions.find((one) => !one.holds(request.conditions));
    return condition === undefined ? null : { what: 'condition', condition };
  }

  private coversResource(request: AccessRequest, resource: string): boolean {
    const { resources, family } = this.parts;
    if (resources === null) return true;
    // Whoever writes "*" for the actions of one bucket does not mean administration: what has no resource counts
    // as everything then, and only a resource that stands for all of it covers that.
    const isAboutOthers = family === 'any' || family === 's3';
    if (!isAboutOthers && ignoresResource(request)) return true;
    return resources.patterns.some((one) => this.matchesResource(one, request, resource)) !== resources.isNegated;
  }

  private matchesResource(one: ResourcePattern, request: AccessRequest, resource: string): boolean {
    if (one.isEmpty) return false;
    const { bucket, key, conditions } = request;
    if (one.service === 'kms' || request.action.startsWith('kms:')) {
      return one.service !== 's3' && one.pattern.matches(key, conditions);
    }
    if (key !== '') return one.pattern.matches(resource, conditions);
    // A bucket is named by itself. Identity policies reach it through `bucket/*` as well, as clients expect.
    if (bucket !== '' && one.pattern.matches(bucket, conditions)) return true;
    return !this.parts.isBucketPolicy && one.pattern.matches(resource, conditions);
  }
}

/** Where resources have no meaning: administration of the whole server, STS, and KMS calls that name no key. */
function ignoresResource({ action, key }: AccessRequest): boolean {
  const family = familyOfPattern(action);
  if (family === 'kms') return key === '';
  if (family === 'sts') return true;
  // Administration of one bucket, asked for all of them, needs a resource that stands for all.
  return family === 'admin' && findAction(action)?.scope !== 'bucket';
}
