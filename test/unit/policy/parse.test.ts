import { describe, expect, test } from 'vitest';
import {
  buildBuiltInPolicies,
  builtInPolicyNames,
  parsePolicy,
  policyBytesMax,
  PolicyRefusal,
  policyStatementsMax,
  type PolicyKind,
} from '../../../src/policy/index.js';
import { document, isAllowed, type Statement } from '../../support/policy-requests.js';

/** What may stand in a document, and where a fault is said to be. */
const good: Statement = { Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::b/*'] };

function fault(text: string, kind: PolicyKind = 'identity', bucket?: string): PolicyRefusal {
  try {
    parsePolicy(text, kind, bucket === undefined ? {} : { bucket });
  } catch (error) {
    if (error instanceof PolicyRefusal) return error;
    throw error;
  }
  throw new Error(`${text} is taken`);
}

describe('the place of a fault', () => {
  test.each<readonly [statement: Statement, place: string, message: RegExp]>([
    [{ ...good, Effect: 'allow' }, 'Statement[0].Effect', /must be "Allow" or "Deny"/],
    [{ ...good, Effect: undefined }, 'Statement[0]', /has an Effect/],
    [{ ...good, Effect: true }, 'Statement[0].Effect', /must be "Allow" or "Deny"/],
    [{ ...good, Sid: 7 }, 'Statement[0].Sid', /must be text/],
    [{ ...good, Colour: 'red' }, 'Statement[0].Colour', /unknown field "Colour"/],
    [{ ...good, action: 's3:GetObject' }, 'Statement[0].action', /did you mean "Action"\?/],
    [{ ...good, Action: undefined }, 'Statement[0]', /has an Action or a NotAction/],
    [{ ...good, NotAction: 's3:PutObject' }, 'Statement[0].NotAction', /Action and NotAction exclude each other/],
    [{ ...good, Action: [] }, 'Statement[0].Action', /at least one action/],
    [{ ...good, Action: 's3:GetObjects' }, 'Statement[0].Action', /unknown action "s3:GetObjects"/],
    [{ ...good, Action: 's3:getobject' }, 'Statement[0].Action', /unknown action/],
    [{ ...good, Action: 'ec2:*' }, 'Statement[0].Action', /unknown action/],
    [{ ...good, Action: 's3:Foo*' }, 'Statement[0].Action', /unknown action/],
    [{ ...good, Action: '' }, 'Statement[0].Action', /unknown action/],
    [{ ...good, Action: ['s3:GetObject', 7] }, 'Statement[0].Action[1]', /must be text/],
    [{ ...good, Action: ['s3:GetObject', 'admin:*'] }, 'Statement[0].Action[1]', /actions of one family/],
    [{ ...good, Action: { a: 1 } }, 'Statement[0].Action', /must be text/],
    [{ ...good, Resource: undefined }, 'Statement[0]', /has a Resource or a NotResource/],
    [{ ...good, NotResource: '*' }, 'Statement[0].NotResource', /Resource and NotResource exclude each other/],
    [{ ...good, Resource: 'b/*' }, 'Statement[0].Resource', /begins with "arn:aws:s3:::"/],
    [{ ...good, Resource: 'arn:aws:ec2:::b' }, 'Statement[0].Resource', /begins with/],
    [{ ...good, Resource: ['*', 'arn:aws:s3:::/b'] }, 'Statement[0].Resource[1]', /does not begin with "\/"/],
    [{ ...good, Resource: 'arn:minio:kms:::key' }, 'Statement[0].Resource', /no resource of s3 actions/],
    [{ ...good, Resource: 'arn:aws:s3:::b' }, 'Statement[0].Action[0]', /acts on an object, which no resource/],
    [{ Effect: 'Allow', Action: 'kms:CreateKey', Resource: 'arn:aws:s3:::b' }, 'Statement[0].Resource', /of kms/],
    [{ Effect: 'Allow', Action: 'kms:*', Resource: 'arn:minio:kms:::a/b' }, 'Statement[0].Resource', /a key has no/],
    [{ ...good, Principal: '*' }, 'Statement[0].Principal', /only bucket policies have a Principal/],
    [{ ...good, Condition: [] }, 'Statement[0].Condition', /an object of operators/],
    [{ ...good, Condition: { Equals: {} } }, 'Statement[0].Condition.Equals', /unknown operator "Equals"/],
    [{ ...good, Condition: { NullIfExists: {} } }, 'Statement[0].Condition.NullIfExists', /unknown operator/],
    [{ ...good, Condition: { 'ForSomeValues:Bool': {} } }, 'Statement[0].Condition.ForSomeValues:Bool', /unknown/],
    [{ ...good, Condition: { 'ForAllValue:Bool': {} } }, 'Statement[0].Condition.ForAllValue:Bool', /unknown/],
    [{ ...good, Condition: { Bool: 'x' } }, 'Statement[0].Condition.Bool', /an object of condition keys/],
    [{ ...good, Condition: { Bool: {} } }, 'Statement[0].Condition.Bool', /at least one condition key/],
    [
      { ...good, Condition: { StringLike: { 'aws:Nothing': 'x' } } },
      'Statement[0].Condition.StringLike.aws:Nothing',
      /unknown condition key "aws:Nothing"/,
    ],
    [
      { ...good, Condition: { StringLike: { 's3:prefix': 'x' } } },
      'Statement[0].Condition.StringLike.s3:prefix',
      /the action "s3:GetObject" has no condition key "s3:prefix"/,
    ],
    [
      { ...good, Condition: { StringLike: { 'aws:Referer': 'x', 'AWS:referer': 'y' } } },
      'Statement[0].Condition.StringLike.AWS:referer',
      /appears twice/,
    ],
    [
      { ...good, Condition: { StringLike: { 'aws:Referer': ['x', null] } } },
      'Statement[0].Condition.StringLike.aws:Referer[1]',
      /must be text, a number/,
    ],
    [
      { ...good, Condition: { Null: { 'aws:Referer': [] } } },
      'Statement[0].Condition.Null.aws:Referer',
      /at least one/,
    ],
    [
      { ...good, Condition: { IpAddress: { 'aws:SourceIp': ['10.0.0.0/8', '10.0.0.0/33'] } } },
      'Statement[0].Condition.IpAddress.aws:SourceIp[1]',
      /takes an IP address/,
    ],
    [
      { ...good, Condition: { Bool: { 'aws:SecureTransport': 'yes' } } },
      'Statement[0].Condition.Bool.aws:SecureTransport',
      /takes true or false, not "yes"/,
    ],
    [
      { ...good, Condition: { NumericLessThan: { 's3:signatureAge': '1e3' } } },
      'Statement[0].Condition.NumericLessThan.s3:signatureAge',
      /takes a number/,
    ],
    [
      { ...good, Condition: { DateLessThan: { 'aws:CurrentTime': '2026-02-30T00:00:00Z' } } },
      'Statement[0].Condition.DateLessThan.aws:CurrentTime',
      /takes a date/,
    ],
    [
      { ...good, Condition: { BinaryEquals: { 'aws:Referer': 'a' } } },
      'Statement[0].Condition.BinaryEquals.aws:Referer',
      /takes Base64/,
    ],
    [
      { ...good, Condition: { ArnLike: { 'jwt:role': 'role/x' } } },
      'Statement[0].Condition.ArnLike.jwt:role',
      /an ARN of six parts/,
    ],
    [
      { ...good, Condition: { Null: { 'aws:Referer': 'maybe' } } },
      'Statement[0].Condition.Null.aws:Referer',
      /takes true or false/,
    ],
  ])('%j', (statement, place, message) => {
    const refusal = fault(document(statement));
    expect(refusal.place).toBe(place);
    expect(refusal.message).toMatch(message);
    expect(refusal.code).toBe('MalformedPolicy');
    // Behind a good one it is the second.
    expect(fault(document(good, statement)).place).toBe(place.replace('[0]', '[1]'));
  });

  test('is a line and a column', () => {
    const text = '{\n  "Version": "2012-10-17",\n  "Statement": [\n    { "Effect": "Perhaps" }\n  ]\n}';
    const { line, column, message } = fault(text);
    expect([line, column]).toEqual([4, 17]);
    expect(message).toBe('Statement[0].Effect (line 4, column 17): must be "Allow" or "Deny"');
  });
});

describe('bucket policies', () => {
  const open = { ...good, Principal: '*' };
  test.each<readonly [statement: Statement, place: string, message: RegExp]>([
    [good, 'Statement[0]', /has a Principal/],
    [{ ...open, Principal: 'alice' }, 'Statement[0].Principal', /is "\*" or \{"AWS"/],
    [{ ...open, Principal: {} }, 'Statement[0].Principal', /is "\*" or \{"AWS"/],
    [{ ...open, Principal: ['*'] }, 'Statement[0].Principal', /is "\*" or \{"AWS"/],
    [{ ...open, Principal: { AWS: [] } }, 'Statement[0].Principal.AWS', /at least one principal/],
    [{ ...open, Principal: { AWS: '' } }, 'Statement[0].Principal.AWS', /must not be empty/],
    [{ ...open, Principal: { Service: 'x' } }, 'Statement[0].Principal.Service', /unknown field/],
    [{ ...open, Principal: { AWS: 'arn:aws:iam::1:root' } }, 'Statement[0].Principal.AWS', /a principal is/],
    [{ ...open, NotPrincipal: '*' }, 'Statement[0].NotPrincipal', /unknown field/],
    [{ ...open, Action: 'kms:*' }, 'Statement[0].Action', /about s3 actions/],
    [{ ...open, Resource: 'arn:minio:kms:::k' }, 'Statement[0].Resource', /no resource of s3 actions/],
    [{ ...open, Resource: 'arn:aws:s3:::c/*' }, 'Statement[0].Resource', /does not match the bucket "b"/],
    [{ ...open, Resource: ['arn:aws:s3:::b/*', 'arn:aws:s3:::c'] }, 'Statement[0].Resource[1]', /does not match/],
    [{ ...open, Resource: 'arn:aws:s3:::${aws:username}/*' }, 'Statement[0].Resource', /does not match/],
    [{ ...open, Action: 's3:ListBucket' }, 'Statement[0].Action', /acts on a bucket/],
  ])('%j', (statement, place, message) => {
    const refusal = fault(document(statement), 'bucket', 'b');
    expect(refusal.place).toBe(place);
    expect(refusal.message).toMatch(message);
  });

  test.each(['arn:aws:s3:::b/*', 'arn:aws:s3:::b/${aws:username}/*', 'arn:aws:s3:::*', 'arn:aws:s3:::?/x', '*'])(
    'of the bucket b may be about %s',
    (Resource) => {
      expect(parsePolicy(document({ ...open, Resource }), 'bucket', { bucket: 'b' }).statementCount).toBe(1);
    },
  );
});

describe('documents', () => {
  test.each<readonly [text: string, message: RegExp]>([
    ['', /expected a JSON value, found the end of the document/],
    ['null', /a policy is a JSON object/],
    ['[]', /a policy is a JSON object/],
    ['"x"', /a policy is a JSON object/],
    ['{', /expected a field name/],
    ['{} x', /nothing may follow/],
    ['{"Version":"2012-10-17",}', /expected a field name/],
    ["{'Version':1}", /expected a field name/],
    ['{"Version":2012}', /Version must be/],
    ['{"Version":"2008-10-17","Statement":[]}', /Version must be "2012-10-17", not "2008-10-17"/],
    ['{"Version":"2012-10-17","Statement":"x"}', /a list of statements/],
    ['{"Version":"2012-10-17","Statement":[7]}', /a statement is an object/],
    ['{"Version":"2012-10-17","Statement":[],"Statement":[]}', /"Statement" appears twice/],
    ['{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Effect":"Deny"}]}', /"Effect" appears twice/],
    ['{"version":"2012-10-17"}', /did you mean "Version"\?/],
    ['{"Id":7}', /must be text/],
    ['{"Version":"2012-10-17","Statement":[[[[[[[[]]]]]]]]}', /nested deeper than 8/],
    ['{"Id":"\\ud800"}', /half a surrogate pair/],
    ['{"Id":"\\q"}', /unknown escape/],
    ['{"Id":"a\nb"}', /must be escaped/],
    ['{"Id":"abc', /no closing quote/],
    ['{"Id":01}', /expected "," or "}"/],
    ['\ufeff{}', /expected a JSON value/],
  ])('%s', (text, message) => {
    expect(fault(text).message).toMatch(message);
  });

  test('without a version, of one statement, with null for nothing, with either ID', () => {
    expect(parsePolicy(JSON.stringify({ Statement: good }), 'identity').statementCount).toBe(1);
    expect(parsePolicy('{"Version":"","Statement":null,"ID":"x"}', 'identity').isEmpty).toBe(true);
    expect(parsePolicy('{}', 'identity').isEmpty).toBe(true);
    expect(parsePolicy(document({ ...good, Condition: null, Sid: '' }), 'identity').statementCount).toBe(1);
    expect(parsePolicy(document({ ...good, Condition: {} }), 'identity').statementCount).toBe(1);
  });

  test('a session policy with statements says its version', () => {
    const text = JSON.stringify({ Statement: [good] });
    expect(fault(text, 'session').message).toMatch(/Version must be/);
    expect(parsePolicy('{}', 'session').isEmpty).toBe(true);
    expect(() => parsePolicy(text, 'bucket', { isVersionRequired: true })).toThrow(/Version must be/);
  });

  test('a repeated statement is kept once', () => {
    const other = { Sid: 'again', Resource: ['arn:aws:s3:::b/*'], Action: 's3:GetObject', Effect: 'Allow' };
    const policy = parsePolicy(document(good, other, { ...good, Effect: 'Deny' }), 'identity');
    expect(policy.statementCount).toBe(2);
    expect(JSON.parse(policy.text)).toEqual(JSON.parse(document(good, { ...good, Effect: 'Deny' })));
  });

  test('the bare prefix of resources loads and covers nothing', () => {
    const policy = parsePolicy(document({ Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::' }), 'identity');
    for (const on of ['b', 'b/k', ''])
      expect(isAllowed({ action: 's3:GetObject', on }, { identity: [policy] })).toBe(false);
  });
});

describe('limits', () => {
  const padded = (bytes: number) => document(good) + ' '.repeat(bytes - document(good).length);
  test('bytes', () => {
    expect(parsePolicy(padded(policyBytesMax), 'identity').statementCount).toBe(1);
    expect(fault(padded(policyBytesMax + 1)).message).toMatch(/at most 20480 bytes/);
  });

  test('statements', () => {
    const many = (count: number) =>
      document(...Array.from({ length: count }, (_, index) => ({ Effect: 'Deny', Action: 'sts:*', Sid: `${index}` })));
    expect(parsePolicy(many(policyStatementsMax), 'identity').statementCount).toBe(1);
    expect(fault(many(policyStatementsMax + 1)).message).toMatch(/holds 201 statements; 200 are allowed/);
  });

  test('entries of a list', () => {
    const many = (count: number) => ({
      ...good,
      Resource: Array.from({ length: count }, (_, index) => `arn:aws:s3:::b/${index}`),
    });
    expect(parsePolicy(document(many(500)), 'identity').statementCount).toBe(1);
    expect(fault(document(many(501))).message).toMatch(/a list has at most 500 entries/);
  });

  test('characters of an entry', () => {
    const long = (count: number) => ({ ...good, Resource: `arn:aws:s3:::b/`.padEnd(count, 'x') });
    expect(parsePolicy(document(long(2048)), 'identity').statementCount).toBe(1);
    expect(fault(document(long(2049))).message).toMatch(/at most 2048 characters/);
  });

  test('what a message quotes', () => {
    const { message } = fault(document({ ...good, Action: `s3:${'x'.repeat(2000)}` }));
    expect(message.length).toBeLessThan(200);
    expect(fault(document({ ...good, Action: 'a\nb' })).message).toContain('"a\\nb"');
  });
});

describe('built-in policies', () => {
  const policies = buildBuiltInPolicies();
  const actions = [
    's3:GetObject',
    's3:PutObject',
    's3:GetBucketLocation',
    's3:ListBucket',
    'admin:ServerInfo',
  ] as const;
  test.each<readonly [name: string, allowed: readonly boolean[]]>([
    ['readwrite', [true, true, true, true, false]],
    ['readonly', [true, false, true, false, false]],
    ['writeonly', [false, true, false, false, false]],
    ['diagnostics', [false, false, false, false, true]],
    ['consoleAdmin', [true, true, true, true, true]],
  ])('%s', (name, allowed) => {
    const identity = [policies.get(name)!];
    expect(actions.map((action) => isAllowed({ action, on: 'b/k' }, { identity }))).toEqual(allowed);
  });
  test('are those five; readonly denies that one sets the own secret; none grants sessions', () => {
    expect([...builtInPolicyNames].sort()).toEqual([
      'consoleAdmin',
      'diagnostics',
      'readonly',
      'readwrite',
      'writeonly',
    ]);
    for (const [name, one] of policies) {
      expect(isAllowed({ action: 'admin:CreateUser' }, { identity: [one] }, 'deny-only')).toBe(name !== 'readonly');
      expect(isAllowed({ action: 'sts:AssumeRole' }, { identity: [one] })).toBe(false);
    }
    expect(isAllowed({ action: 'kms:CreateKey' }, { identity: [policies.get('consoleAdmin')!] })).toBe(true);
  });
});
