import { expect, test } from 'vitest';
import { silentLogger, type Logger } from '../../../src/telemetry/index.js';
import { parsePolicy } from '../../../src/policy/index.js';
import { bucketPolicies } from '../../../src/wiring/bucket-policies.js';
import { MemoryObjectLayer } from '../../support/memory-object-layer.js';
import { document, isAllowed } from '../../support/policy-requests.js';

/** From a stored document to the policy that decides. */
async function world() {
  const objects = new MemoryObjectLayer();
  await objects.createBucket('b', { region: '' });
  const errors: unknown[] = [];
  const log: Logger = { ...silentLogger, error: (text, fields) => errors.push([text, fields]) };
  const policyOf = bucketPolicies(objects, log);
  const put = (text: string | null) => objects.setBucketDocument('b', 'policy', text);
  const may = () => isAllowed({ action: 's3:GetObject', on: 'b/k', account: '' }, { bucket: policyOf('b') });
  return { policyOf, put, may, errors };
}

const open = document({ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/*' });

test('a document counts from when it is stored until it is gone', async () => {
  const { policyOf, put, may } = await world();
  expect(policyOf('b')).toBeNull();
  await put(open);
  expect(may()).toBe(true);
  // Parsed once.
  expect(policyOf('b')).toBe(policyOf('b'));
  await put(open.replace('Allow', 'Deny'));
  expect(may()).toBe(false);
  await put(null);
  expect(policyOf('b')).toBeNull();
});

test('a bucket that is not there has none', async () => {
  expect((await world()).policyOf('nowhere')).toBeNull();
});

test('a document that cannot be read closes its bucket, and says so once', async () => {
  const { policyOf, put, errors } = await world();
  await put('{"Version":"2012-10-17","Statement":[{"Effect":"Sometimes"}]}');
  const everything = document({ Effect: 'Allow', Action: '*', Resource: '*' });

  const identity = [parsePolicy(everything, 'identity')];
  for (const account of ['alice', '']) {
    const asked = { action: 's3:GetObject', on: 'b/k', account };
    expect(isAllowed(asked, { identity, bucket: policyOf('b') })).toBe(false);
  }
  expect(
    isAllowed({ action: 's3:DeleteBucketPolicy', on: 'b', account: 'root' }, { isRoot: true, bucket: policyOf('b') }),
  ).toBe(true);
  expect(errors).toHaveLength(1);
});
