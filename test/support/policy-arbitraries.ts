/** Policies and questions about few names, so that they often meet. */
import fc from 'fast-check';
import { parsePolicy, type Policy, type PolicyKind } from '../../src/policy/index.js';
import { document, type Policies, type Question, type Statement } from './policy-requests.js';

const actions = ['s3:GetObject', 's3:GetObjectVersion', 's3:DeleteObject', 's3:DeleteObjectVersion', 's3:PutObject'];
const bucketActions = ['s3:ListBucket', 's3:ListBucketVersions', 's3:GetBucketLocation'];
const patterns = ['s3:*', 's3:Get*', 's3:*Object', 's3:*Version', 's3:?etObject', '*'];
const paths = ['b', 'b/*', 'b/a', 'b/a*', 'b/${aws:username}/*', 'b/?', '*', 'c/*', 'b*', 'b/*/a'];
const users = ['alice', 'bob', '*', 'a?ice'];
const keys = ['a', 'aa', 'alice/a', 'bob/a', '*/a', 'x/y/a', '${aws:username}/a'];

const conditions = fc.option(
  fc.dictionary(
    fc.constantFrom('StringEquals', 'StringNotEquals', 'StringLike', 'StringEqualsIfExists', 'ForAllValues:StringLike'),
    fc.dictionary(
      fc.constantFrom('aws:UserAgent', 'aws:username', 'jwt:team'),
      fc.array(fc.constantFrom('x', 'y', 'x*', '${aws:username}', 'alice'), { minLength: 1, maxLength: 2 }),
      { minKeys: 1, maxKeys: 2 },
    ),
    { minKeys: 1, maxKeys: 2 },
  ),
  { nil: undefined, freq: 2 },
);

const subset = (values: readonly string[]) =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });

function statement(kind: PolicyKind): fc.Arbitrary<Statement> {
  return fc
    .record({
      effect: fc.constantFrom('Allow', 'Allow', 'Deny'),
      // `*` goes alone: it is of no family.
      action: fc.oneof(subset([...actions, ...bucketActions, ...patterns.slice(0, -1)]), fc.constant(['*'])),
      isNotAction: fc.boolean(),
      resource: subset(paths.map((path) => (path === '*' ? '*' : `arn:aws:s3:::${path}`))),
      isNotResource: fc.boolean(),
      condition: conditions,
      principal: fc.oneof(fc.constant('*'), fc.record({ AWS: subset(users) })),
    })
    .map(({ effect, action, isNotAction, resource, isNotResource, condition, principal }) => ({
      Effect: effect,
      [isNotAction ? 'NotAction' : 'Action']: action,
      [isNotResource ? 'NotResource' : 'Resource']: resource,
      ...(condition !== undefined && { Condition: condition }),
      ...(kind === 'bucket' && { Principal: principal }),
    }));
}

/** Statements that parse: an action must be able to act on some resource. */
export function statements(kind: PolicyKind): fc.Arbitrary<readonly Statement[]> {
  const parses = (one: Statement): boolean => {
    try {
      parsePolicy(document(one), kind);
      return true;
    } catch {
      return false;
    }
  };
  return fc.array(statement(kind).filter(parses), { maxLength: 4 });
}

export const policies = (kind: PolicyKind): fc.Arbitrary<Policy> =>
  statements(kind).map((list) => parsePolicy(document(...list), kind));

export const policySets: fc.Arbitrary<Required<Policies>> = fc.record({
  identity: fc.array(policies('identity'), { maxLength: 3 }),
  bucket: fc.option(policies('bucket')),
  session: fc.array(policies('session'), { maxLength: 2 }),
  isRoot: fc.boolean(),
});

const aboutObjects = fc.record({
  action: fc.constantFrom(...actions),
  on: fc.constantFrom(...keys).map((key) => `b/${key}`),
});
const aboutOthers = fc.record({
  action: fc.constantFrom(...bucketActions, 'admin:ServerInfo', 'sts:AssumeRole', 's3:ListAllMyBuckets'),
  on: fc.constantFrom('b', 'c', ''),
});

export const questions: fc.Arbitrary<Question> = fc
  .record({
    target: fc.oneof(aboutObjects, aboutOthers),
    account: fc.constantFrom('alice', 'bob', '*', ''),
    agent: fc.constantFrom<readonly string[]>([], ['x'], ['y']),
    team: fc.constantFrom<readonly string[]>([], ['x'], ['x', 'y'], ['*']),
  })
  .map(({ target, account, agent, team }) => ({
    ...target,
    account,
    trusted: { 'jwt:team': team },
    request: { 'aws:useragent': agent },
  }));
