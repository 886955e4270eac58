/**
 * Question: what does it cost to decide by policies?
 * Estimate: a decision by a policy of one statement under 2 µs; three policies with variables and conditions, 5 µs.
 * Result: docs/performance.md.
 */
import { decide, parsePolicy, type AccessRequest, type Policy } from '../../src/policy/index.js';
import type { ReportRow } from '../report.js';
import { measure, row } from './measure.js';

const account = 'bench-user';
const readwrite = { Effect: 'Allow', Action: ['s3:*'], Resource: ['arn:aws:s3:::bench/*'] };
const policy = (...statements: object[]): Policy =>
  parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'identity');
/** Variables, denials with conditions, and twenty statements that are about something else. */
const threePolicies = (): Policy[] => [
  policy(
    { ...readwrite, Resource: ['arn:aws:s3:::bench/${aws:username}/*'] },
    { ...readwrite, Action: ['s3:ListBucket'], Condition: { StringLike: { 's3:prefix': ['${aws:username}/*'] } } },
  ),
  policy(
    { Effect: 'Deny', Action: ['s3:*'], Resource: ['*'], Condition: { Bool: { 'aws:SecureTransport': 'true' } } },
    {
      Effect: 'Deny',
      Action: ['s3:Delete*'],
      Resource: ['*'],
      Condition: { NotIpAddress: { 'aws:SourceIp': '127.0.0.0/8' } },
    },
  ),
  policy(...Array.from({ length: 20 }, (_, index) => ({ ...readwrite, Resource: [`arn:aws:s3:::team-${index}/*`] }))),
];

/** What a policy of one statement comes down to: the floor of a decision. */
const prefixOf = (request: AccessRequest, prefix: string): boolean =>
  `${request.bucket}/${request.key}`.startsWith(prefix) && request.action.startsWith('s3:');

export async function accessRows(): Promise<ReportRow[]> {
  const known: Readonly<Record<string, readonly string[]>> = {
    'aws:username': [account],
    'aws:securetransport': ['false'],
    'aws:sourceip': ['127.0.0.1'],
  };
  const conditions = { trusted: (name: string) => known[name], request: () => undefined };
  const key = `${account}/object`;
  const request: AccessRequest = { action: 's3:GetObject', bucket: 'bench', key, account, conditions };
  const ask = (identity: readonly Policy[]): Promise<number> => {
    const set = { isRoot: false, identity, bucket: null, session: [] };
    return measure(() => {
      if (!decide(request, set)) throw new Error('the policies allow this');
    });
  };
  const floor = await measure(() => {
    if (!prefixOf(request, 'bench/')) throw new Error('the prefix fits');
  });
  return [
    row('policy.decide.simple', await ask([policy(readwrite)]), 'comparing a prefix', floor),
    row('policy.decide.three-policies', await ask(threePolicies()), 'comparing a prefix', floor),
  ];
}
