import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, explain, parsePolicy, type DecisionMode } from '../../../src/policy/index.js';
import { policies, policySets, questions, statements } from '../../support/policy-arbitraries.js';
import { document, isAllowed, policySet, question, type Policies } from '../../support/policy-requests.js';

/** What holds of every policy and every question. */
const modes = fc.constantFrom<DecisionMode>('allow', 'deny-only');
const runs = { numRuns: 400 };
const shuffled = <T>(values: readonly T[], seed: number): T[] =>
  values
    .map((value, index) => ({ value, rank: Math.imul(index + 1, seed | 1) >>> 0 }))
    .sort((one, other) => one.rank - other.rank)
    .map(({ value }) => value);

describe('a decision', () => {
  test('never grants more for a Deny that is added anywhere', () => {
    const where = fc.constantFrom('identity', 'bucket', 'session');
    fc.assert(
      fc.property(policySets, questions, modes, statements('bucket'), where, (set, asked, mode, added, list) => {
        const principal = list === 'bucket' ? '*' : undefined;
        const deny = added.map((one) => ({ ...one, Effect: 'Deny', Principal: principal }));
        const append = (kind: 'identity' | 'bucket' | 'session', text: string) => {
          const { Statement } = JSON.parse(text) as { Statement: object[] };
          return parsePolicy(document(...(Statement as []), ...deny), kind);
        };
        const more: Policies = {
          ...set,
          // Beside the others, within one that is there, within each session.
          ...(list === 'identity' && { identity: [...set.identity, append('identity', '{"Statement":[]}')] }),
          ...(list === 'bucket' && set.bucket !== null && { bucket: append('bucket', set.bucket.text) }),
          ...(list === 'session' && { session: set.session.map(({ text }) => append('session', text)) }),
        };
        if (isAllowed(asked, more, mode)) expect(isAllowed(asked, set, mode)).toBe(true);
      }),
      runs,
    );
  });

  test('does not depend on the order of statements and policies', () => {
    fc.assert(
      fc.property(policySets, questions, modes, fc.integer(), (set, asked, mode, seed) => {
        const reorder = (kind: 'identity' | 'bucket' | 'session', text: string) => {
          const { Statement } = JSON.parse(text) as { Statement: [] };
          return parsePolicy(document(...shuffled(Statement, seed)), kind);
        };
        const other: Policies = {
          ...set,
          identity: shuffled(set.identity, seed).map(({ text }) => reorder('identity', text)),
          bucket: set.bucket === null ? null : reorder('bucket', set.bucket.text),
          session: shuffled(set.session, seed).map(({ text }) => reorder('session', text)),
        };
        expect(isAllowed(asked, other, mode)).toBe(isAllowed(asked, set, mode));
      }),
      runs,
    );
  });

  test('never grants more for a session policy', () => {
    fc.assert(
      fc.property(policySets, questions, modes, policies('session'), (set, asked, mode, session) => {
        const more = { ...set, session: [...set.session, session] };
        if (isAllowed(asked, more, mode)) expect(isAllowed(asked, set, mode)).toBe(true);
      }),
      runs,
    );
  });

  test('never takes anything away for an Allow', () => {
    fc.assert(
      fc.property(policySets, questions, modes, statements('identity'), (set, asked, mode, added) => {
        const allow = parsePolicy(document(...added.map((one) => ({ ...one, Effect: 'Allow' }))), 'identity');
        if (isAllowed(asked, set, mode)) {
          expect(isAllowed(asked, { ...set, identity: [...set.identity, allow] }, mode)).toBe(true);
        }
      }),
      runs,
    );
  });

  test('about one account does not depend on the name being a pattern', () => {
    const identity = [
      parsePolicy(
        document({ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/${aws:username}/*' }),
        'identity',
      ),
    ];
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 8 }),
        fc.string({ minLength: 1, maxLength: 8 }),
        (account, owner) => {
          const may = isAllowed({ action: 's3:GetObject', on: `b/${owner}/k`, account }, { identity });
          expect(may).toBe(`${owner}/k`.startsWith(`${account}/`));
        },
      ),
      runs,
    );
  });

  test('is the one that its explanation gives, and the statement named is there', () => {
    fc.assert(
      fc.property(policySets, questions, modes, (set, asked, mode) => {
        const request = question(asked);
        const explained = explain(request, policySet(set), mode);
        expect(explained.isAllowed).toBe(decide(request, policySet(set), mode));
        const { decidedBy, reason } = explained;
        if (reason === 'explicit-deny' || reason === 'allowed') expect(decidedBy).not.toBeNull();
        if (decidedBy === null) return;
        const list = decidedBy.list === 'bucket' ? [set.bucket!] : set[decidedBy.list];
        const { Statement } = JSON.parse(list[decidedBy.policy]!.text) as { Statement: { Effect: string }[] };
        expect(Statement[decidedBy.statement]!.Effect).toBe(reason === 'explicit-deny' ? 'Deny' : 'Allow');
      }),
      runs,
    );
  });
});

test('the text of a policy is the same policy', () => {
  fc.assert(
    fc.property(statements('bucket'), fc.array(questions, { minLength: 1, maxLength: 5 }), (list, asked) => {
      const one = parsePolicy(document(...list), 'bucket');
      const again = parsePolicy(one.text, 'bucket');
      expect(again.text).toBe(one.text);
      expect(again.statementCount).toBe(one.statementCount);
      for (const each of asked) expect(isAllowed(each, { bucket: again })).toBe(isAllowed(each, { bucket: one }));
    }),
    runs,
  );
});
