/**
 * Documents that were bent against the parser of policies. It answers with a policy that decides, or with a refusal
 * that names a place: nothing else is thrown, and no document takes long.
 * Replay with FUZZ_SEED; FUZZ_RUNS sets how many.
 */
import { describe, expect, test } from 'vitest';
import { conditionOperators, parsePolicy, PolicyRefusal, type PolicyKind } from '../../src/policy/index.js';
import { isAllowed } from '../support/policy-requests.js';
import { seededRandom } from '../support/seeded-random.js';

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(process.env['FUZZ_RUNS'] ?? 5000);
console.log(`policy fuzz: FUZZ_SEED=${seed} FUZZ_RUNS=${runs}`);

const kinds: readonly PolicyKind[] = ['identity', 'bucket', 'session'];
/** On a machine that is shared; an attack on the parser's time would take minutes. */
const parseMsMax = 2000;

/** Null: refused. */
function parse(text: string, kind: PolicyKind, bucket?: string) {
  const begun = performance.now();
  try {
    return parsePolicy(text, kind, bucket === undefined ? {} : { bucket });
  } catch (error) {
    if (!(error instanceof PolicyRefusal)) throw error;
    expect(error.code).toBe('MalformedPolicy');
    expect(error.message.length).toBeLessThan(2000);
    expect(Number.isSafeInteger(error.line) && error.line >= 1).toBe(true);
    expect(Number.isSafeInteger(error.column) && error.column >= 1).toBe(true);
    return null;
  } finally {
    expect(performance.now() - begun).toBeLessThan(parseMsMax);
  }
}

/** Whatever was taken is taken again, and decides about anything without throwing. */
function check(text: string, kind: PolicyKind, bucket?: string): boolean {
  const policy = parse(text, kind, bucket);
  if (policy === null) return false;
  expect(parsePolicy(policy.text, kind, bucket === undefined ? {} : { bucket }).text).toBe(policy.text);
  const list =
    kind === 'bucket' ? { bucket: policy } : kind === 'session' ? { session: [policy] } : { identity: [policy] };
  for (const action of ['s3:GetObject', 's3:ListBucket', 'admin:ServerInfo', 'kms:CreateKey']) {
    const values = { 'aws:useragent': 'x', 'aws:sourceip': '10.0.0.1', 'jwt:groups': ['a', 'b'] };
    isAllowed({ action, on: 'b/k', trusted: values, request: values }, { ...list, isRoot: kind === 'session' });
  }
  return true;
}

function chooser(salt: number) {
  const random = seededRandom(seed + salt);
  const below = (count: number) => Math.floor(random() * count);
  return { below, pick: <T>(values: readonly T[]): T => values[below(values.length)] as T };
}

const example = JSON.stringify(
  {
    Version: '2012-10-17',
    Id: 'x',
    Statement: [
      {
        Sid: 'a',
        Effect: 'Allow',
        Principal: { AWS: ['*', 'alice'] },
        Action: ['s3:GetObject', 's3:Put*'],
        Resource: ['arn:aws:s3:::b/${aws:username}/*', "arn:aws:s3:::b/${jwt:sub, 'none'}?"],
        Condition: {
          'ForAnyValue:StringLike': { 'jwt:groups': ['a*', 'b'] },
          IpAddressIfExists: { 'aws:SourceIp': '10.0.0.0/8' },
          NumericLessThan: { 's3:signatureAge': 60000 },
          Bool: { 'aws:SecureTransport': true },
        },
      },
      { Effect: 'Deny', Principal: '*', NotAction: 's3:*', NotResource: 'arn:aws:s3:::b' },
    ],
  },
  null,
  1,
);

test('the example is taken', () => {
  expect(check(example, 'bucket', 'b')).toBe(true);
});

describe('bytes changed, cut out, doubled', () => {
  const scraps = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ',',
    ':',
    '\\',
    '\u0000',
    '\\ud800',
    '${',
    '}*',
    '*'.repeat(50),
    '[[[[',
    '1e999',
    '-',
  ].concat(
    'null',
    'true',
    '\n',
    '\ufeff',
    '😀',
    '\ud83d',
    '"Effect":"Deny",',
    's3:*',
    '__proto__',
    'constructor',
    '"":{}',
  );
  test('of a document', () => {
    const { below, pick } = chooser(1);
    for (let run = 0; run < runs; run++) {
      let text = example;
      for (let change = 0; change <= below(4); change++) {
        const at = below(text.length);
        const length = below(12);
        text =
          text.slice(0, at) + pick([pick(scraps), '', text.slice(at, at + length).repeat(2)]) + text.slice(at + length);
      }
      check(text, pick(kinds), pick([undefined, 'b']));
    }
  });
});

describe('fields of every kind', () => {
  const names = [
    'Version',
    'Statement',
    'Effect',
    'Action',
    'NotAction',
    'Resource',
    'NotResource',
    'Principal',
    'Condition',
  ]
    .concat(
      'Sid',
      'Id',
      'AWS',
      '__proto__',
      'toString',
      '',
      'aws:SourceIp',
      's3:prefix',
      'jwt:x',
      'ldap:y',
      ...conditionOperators,
    )
    .concat('ForAllValues:StringLike', 'ForAnyValue:Bool', 'StringLikeIfExists', 's3:ExistingObjectTag/a');
  const texts = [
    '2012-10-17',
    'Allow',
    'Deny',
    '*',
    's3:*',
    's3:GetObject',
    'admin:*',
    'kms:*',
    'sts:*',
    '?',
    '',
    'true',
    '7',
  ]
    .concat(
      'arn:aws:s3:::b',
      'arn:aws:s3:::b/*',
      'arn:aws:s3:::',
      'arn:minio:kms:::k',
      '${aws:username}',
      '10.0.0.0/8',
      '::/0',
    )
    .concat("${jwt:a, 'b'}", '${*}', '2026-01-01', '1769860800', 'AAAA', 'arn:a:b:c:d:e', '${', 'arn:aws:iam:::user/a');

  test('one within the other', () => {
    const { below, pick } = chooser(2);
    const value = (depth: number): unknown => {
      switch (below(depth > 6 ? 3 : 6)) {
        case 0:
          return pick(texts);
        case 1:
          return pick([null, true, false, 0, -1.5, 1e21]);
        case 2:
        case 3:
          return Array.from({ length: below(4) }, () => value(depth + 1));
        default:
          return Object.fromEntries(Array.from({ length: below(5) }, () => [pick(names), value(depth + 1)]));
      }
    };
    for (let run = 0; run < runs; run++) check(JSON.stringify(value(0)), pick(kinds), pick([undefined, 'b']));
  });

  test('in statements that are nearly right', () => {
    const { below, pick } = chooser(3);
    const list = () => (below(3) === 0 ? pick(texts) : Array.from({ length: 1 + below(3) }, () => pick(texts)));
    let taken = 0;
    for (let run = 0; run < runs; run++) {
      const kind = pick(kinds);
      const statement: Record<string, unknown> = {
        Effect: pick(['Allow', 'Deny']),
        [pick(['Action', 'NotAction'])]: pick(['s3:GetObject', 's3:*', '*', 'admin:*', list()]),
        ...(below(4) > 0 && { [pick(['Resource', 'NotResource'])]: pick(['*', 'arn:aws:s3:::b/*', list()]) }),
        ...(kind === 'bucket' && { Principal: pick(['*', { AWS: list() }]) }),
        ...(below(2) === 0 && { Condition: { [pick(names)]: { [pick(names)]: list() } } }),
      };
      const text = JSON.stringify({ Version: '2012-10-17', Statement: [statement, statement] });
      if (check(text, kind, pick([undefined, 'b']))) taken++;
    }
    // It would prove little if all of them were refused.
    expect(taken).toBeGreaterThan(runs / 20);
  });
});

describe('made to take long', () => {
  const statement = (more: object) =>
    JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*', ...more }] });
  const list = (text: string, count: number) => Array.from({ length: count }, (_, index) => `${text}${index}`);
  test.each<readonly [what: string, text: string]>([
    ['braces', '{"a":'.repeat(4000)],
    ['brackets', '['.repeat(20_000)],
    ['an open string', `"${'a'.repeat(20_000)}`],
    ['escapes', `{"Id":"${'\\u0041'.repeat(3000)}"}`],
    ['variables that never close', statement({ Resource: list(`arn:aws:s3:::b/${'${a '.repeat(400)}`, 9) })],
    ['spaces in a variable', statement({ Resource: list(`arn:aws:s3:::b/\${a${' '.repeat(1900)}`, 9) })],
    ['stars', statement({ Resource: list(`arn:aws:s3:::${'*a'.repeat(900)}`, 9) })],
    ['actions of stars', statement({ Action: list(`s3:${'*'.repeat(1900)}`, 9) })],
    ['actions of marks', statement({ Action: list(`s3:${'*?'.repeat(900)}`, 9) })],
    ['addresses', statement({ Condition: { IpAddress: { 'aws:SourceIp': list(':'.repeat(1000), 18) } } })],
    ['ARNs', statement({ Condition: { ArnLike: { 'jwt:x': list(`arn:${'${:'.repeat(600)}:`, 9) } } })],
    ['numbers', statement({ Condition: { NumericEquals: { 's3:signatureAge': list('9'.repeat(1900), 9) } } })],
  ])('%s', (_what, text) => {
    expect(text.length).toBeLessThan(21_000);
    for (const kind of kinds) check(text, kind, 'b');
    check(text.replace('"Effect"', '"Principal":"*","Effect"'), 'bucket', 'b');
  });
});
