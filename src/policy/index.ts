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
export { parsePolicy, type ParseOptions } from './parse.js';
export { decide } from './decide.js';
export { explain } from './explain.js';
export { PolicyRefusal } from './policy-refusal.js';
export { buildBuiltInPolicies, builtInPolicyNames } from './builtin.js';
export { isPublic } from './public-access.js';
export {
  allActions,
  conditionKeysOf,
  findAction,
  type ActionFamily,
  type ActionInfo,
  type ActionScope,
} from './actions.js';
export { commonConditionKeys, isReservedClaim } from './condition-keys.js';
export { conditionOperators } from './conditions.js';
export { policyBytesMax, policyStatementsMax } from './limits.js';
