/**
 * policy: parse a policy document, decide about a request. Pure: no I/O, no clock.
 */
export type {
  AccessRequest,
  ConditionValues,
  Decide,
  DecisionMode,
  Explanation,
  Policy,
  PolicyKind,
  PolicySet,
} from './policy.js';
