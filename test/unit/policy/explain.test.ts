import { describe, expect, test } from 'vitest';
import { explain } from '../../../src/policy/index.js';
import { policy, policySet, question, type Policies, type Question } from '../../support/policy-requests.js';

const read = { Sid: 'read', Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/*' };
const deny = { Sid: 'keep-out', Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::b/secret/*' };
const tls = { ...read, Condition: { Bool: { 'aws:SecureTransport': 'true' } } };
const ask = (asked: Partial<Question>, policies: Policies, mode?: 'allow' | 'deny-only') =>
  explain(question({ action: 's3:GetObject', on: 'b/k', ...asked }), policySet(policies), mode);

describe('says which statement of which policy decided', () => {
  test('an Allow, in its list', () => {
    const other = policy('identity', { ...read, Resource: 'arn:aws:s3:::c/*' });
    const answer = ask({}, { identity: [other, policy('identity', { ...deny, Effect: 'Allow' }, read)] });
    expect(answer).toMatchObject({
      isAllowed: true,
      reason: 'allowed',
      decidedBy: { list: 'identity', policy: 1, statement: 1, sid: 'read' },
    });
    const bucket = policy('bucket', { ...read, Principal: '*' });
    expect(ask({ account: '' }, { bucket })).toMatchObject({ decidedBy: { list: 'bucket', policy: 0, statement: 0 } });
  });

  test('a Deny, wherever it stands', () => {
    const answer = ask(
      { on: 'b/secret/k' },
      { identity: [policy('identity', read)], session: [policy('session', read, deny)] },
    );
    expect(answer).toMatchObject({
      isAllowed: false,
      reason: 'explicit-deny',
      decidedBy: { list: 'session', policy: 0, statement: 1, sid: 'keep-out' },
    });
  });

  test('none', () => {
    expect(ask({}, {})).toEqual({ isAllowed: false, reason: 'nothing-allows', decidedBy: null, missing: [] });
    expect(ask({}, { isRoot: true })).toMatchObject({ isAllowed: true, reason: 'root', decidedBy: null });
    expect(ask({ action: 'admin:CreateUser' }, {}, 'deny-only')).toMatchObject({
      isAllowed: true,
      reason: 'not-denied',
    });
    const session = [policy('session', tls)];
    expect(ask({}, { identity: [policy('identity', read)], session })).toMatchObject({
      isAllowed: false,
      reason: 'session-does-not-allow',
      missing: ['session policy 0, statement 0 ("read"): its condition Bool on aws:SecureTransport does not hold'],
    });
  });
});

describe('says what was missing', () => {
  test.each<readonly [asked: Partial<Question>, policies: Policies, missing: string]>([
    [
      { on: 'c/k' },
      { identity: [policy('identity', read)] },
      'identity policy 0, statement 0 ("read"): its resources do not cover "c/k"',
    ],
    [
      {},
      { identity: [policy('identity', tls)] },
      'identity policy 0, statement 0 ("read"): its condition Bool on aws:SecureTransport does not hold',
    ],
    [
      {},
      { bucket: policy('bucket', { ...read, Sid: '', Principal: { AWS: 'bob' } }) },
      'bucket policy, statement 0: its Principal does not name "alice"',
    ],
    [
      { account: '' },
      { bucket: policy('bucket', { ...read, Principal: { AWS: 'bob' } }) },
      'bucket policy, statement 0 ("read"): its Principal does not name anonymous callers',
    ],
  ])('%j', (asked, policies, missing) => {
    expect(ask(asked, policies)).toMatchObject({ isAllowed: false, reason: 'nothing-allows', missing: [missing] });
  });

  test('not of statements about other actions, and not without end', () => {
    const other = policy('identity', { ...read, Action: 's3:PutObject' });
    expect(ask({}, { identity: [other] }).missing).toEqual([]);
    const many = Array.from({ length: 90 }, (_, index) => ({ ...read, Resource: `arn:aws:s3:::c/${index}` }));
    expect(ask({}, { identity: [policy('identity', ...many)] }).missing).toHaveLength(50);
  });
});
