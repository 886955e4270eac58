/** The same decision as `decide`, with its reasons: for the console and the command line. */
import { compiled } from './compiled-policy.js';
import { Evaluation, mayAskAnonymously, needsAllow } from './decide.js';
import { explainedStatementsMax } from './limits.js';
import { quote } from './policy-refusal.js';
import type { AccessRequest, DecisionMode, Explanation, Policy, PolicySet } from './policy.js';
import type { Mismatch, Statement } from './statement.js';

type ListName = 'identity' | 'bucket' | 'session';

function describe(mismatch: Mismatch, { bucket, key, account }: AccessRequest): string {
  switch (mismatch.what) {
    case 'principal':
      return `its Principal does not name ${account === '' ? 'anonymous callers' : quote(account)}`;
    case 'resource':
      return `its resources do not cover ${quote(key === '' ? bucket : `${bucket}/${key}`)}`;
    case 'condition':
      return `its condition ${mismatch.condition.operator} on ${mismatch.condition.key.title} does not hold`;
  }
}

function name(list: ListName, policyIndex: number, { parts: { index, sid } }: Statement): string {
  const policy = list === 'bucket' ? 'bucket policy' : `${list} policy ${policyIndex}`;
  return `${policy}, statement ${index}${sid === '' ? '' : ` (${quote(sid)})`}`;
}

export function explain(request: AccessRequest, policies: PolicySet, mode: DecisionMode = 'allow'): Explanation {
  if (policies.isRoot && policies.session.length === 0) {
    return { isAllowed: true, reason: 'root', decidedBy: null, missing: [] };
  }
  const evaluation = new Evaluation(request, policies);
  const lists: readonly (readonly [ListName, readonly Policy[]])[] = [
    ['identity', evaluation.identity],
    ['bucket', evaluation.bucket],
    ['session', evaluation.session],
  ];
  const missing = lists.flatMap(([list, own]) =>
    evaluation.nearMisses(own).flatMap(({ policyIndex, statement }) => {
      const mismatch = evaluation.mismatch(statement);
      return mismatch === null ? [] : [`${name(list, policyIndex, statement)}: ${describe(mismatch, request)}`];
    }),
  );
  const answer = (isAllowed: boolean, reason: Explanation['reason'], statement: Statement | null): Explanation => ({
    isAllowed,
    reason,
    decidedBy: statement === null ? null : locate(lists, statement),
    missing: missing.slice(0, explainedStatementsMax),
  });

  if (evaluation.isAnonymous && !mayAskAnonymously(request.action)) return answer(false, 'nothing-allows', null);
  const deny = evaluation.denyAnywhere();
  if (deny !== null) return answer(false, 'explicit-deny', deny);
  const allow = evaluation.allow(evaluation.identity) ?? evaluation.allow(evaluation.bucket);
  const isAllowNeeded = !policies.isRoot && needsAllow(mode, evaluation.isAnonymous);
  if (isAllowNeeded && allow === null) return answer(false, 'nothing-allows', null);
  const session = evaluation.session.map((policy) => evaluation.allow([policy]));
  if (session.includes(null)) return answer(false, 'session-does-not-allow', null);
  if (allow === null && session.length === 0) return answer(true, 'not-denied', null);
  return answer(true, 'allowed', allow ?? session[0] ?? null);
}

function locate(
  lists: readonly (readonly [ListName, readonly Policy[]])[],
  statement: Statement,
): Explanation['decidedBy'] {
  for (const [list, policies] of lists) {
    const policy = policies.findIndex((one) => compiled(one).statements.includes(statement));
    if (policy >= 0) return { list, policy, statement: statement.parts.index, sid: statement.parts.sid };
  }
  return null;
}
