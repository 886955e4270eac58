/** Policies by name: `mc admin policy create`, `info`, `list`, `remove`. */
import { Refusal } from '../base/index.js';
import type { PolicyInfo } from '../identity/index.js';
import { parsePolicy, policyBytesMax, type Policy } from '../policy/index.js';
import { emptyAnswer, jsonAnswer, textAnswer } from './answer.js';
import { plainBody } from './body.js';
import { adminError, AdminRefusal } from './errors.js';
import { adminOperation, type AdminCall, type AdminRoute } from './operation.js';
import { timeText } from './time.js';

const addPolicy = adminOperation({
  name: 'AddCannedPolicy',
  access: ['CreatePolicy'],
  handle: async (deps, call) => {
    const name = call.input.query('name');
    if (name.includes(',')) throw adminError('PolicyInvalidName');
    if (name === '' || name !== name.trim()) throw adminError('XMinioInvalidResource');
    await deps.iam.setPolicy(name, await policyBody(call));
    return emptyAnswer();
  },
});

export async function policyBody(call: AdminCall): Promise<Policy> {
  const contentBytes = call.payload.contentBytes();
  if (contentBytes === null) throw adminError('MissingContentLength');
  if (contentBytes > policyBytesMax) throw adminError('EntityTooLarge');
  return parseIdentityPolicy(Buffer.from(await plainBody(call, policyBytesMax)).toString('utf8'));
}

const policyInfo = adminOperation({
  name: 'InfoCannedPolicy',
  access: ['GetPolicy'],
  handle: (deps, call) => {
    const name = call.input.query('name');
    if (name.includes(',')) throw adminError('XMinioAdminInvalidRequest');
    const found = deps.iam.policy(name);
    if (found === null) throw adminError('XMinioAdminNoSuchPolicy');
    if (!call.query.has('v')) return textAnswer(found.policy.text);
    if (call.input.query('v') !== '2') throw adminError('XMinioAdminInvalidRequest');
    return textAnswer(JSON.stringify(describePolicy(found), null, 1));
  },
});

const listPolicies = adminOperation({
  name: 'ListCannedPolicies',
  access: ['ListUserPolicies'],
  handle: (deps) =>
    jsonAnswer(Object.fromEntries(deps.iam.policies().map(({ name, policy }) => [name, documentOf(policy)]))),
});

const removePolicy = adminOperation({
  name: 'RemoveCannedPolicy',
  access: ['DeletePolicy'],
  handle: async (deps, call) => {
    await deps.iam.removePolicy(call.input.query('name'));
    return emptyAnswer();
  },
});

/** What people and clients read: a list where the language allows one text or a list. */
export function documentOf(policy: Policy): unknown {
  const document = JSON.parse(policy.text) as Record<string, unknown>;
  const statements = document['Statement'];
  if (!Array.isArray(statements)) return document;
  const lists = ['Action', 'NotAction', 'Resource', 'NotResource'];
  document['Statement'] = statements.map((statement: unknown) => {
    if (typeof statement !== 'object' || statement === null) return statement;
    return Object.fromEntries(
      Object.entries(statement).map(([name, value]) => [
        name,
        lists.includes(name) && typeof value === 'string' ? [value] : (value as unknown),
      ]),
    );
  });
  return document;
}

/** Throws XMinioMalformedIAMPolicy with the place in the document; MalformedPolicy when it has no version. */
export function parseIdentityPolicy(text: string): Policy {
  const policy = parseAs(text, 'identity');
  if ((JSON.parse(policy.text) as { Version?: unknown }).Version === undefined) {
    throw adminError('MalformedPolicy', 'The policy has no Version.');
  }
  return policy;
}

export function parseAs(text: string, kind: 'identity' | 'session'): Policy {
  try {
    return parsePolicy(text, kind);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new AdminRefusal('XMinioMalformedIAMPolicy', error.message);
  }
}

export function describePolicy({ name, policy, createdMs, updatedMs }: PolicyInfo) {
  const isStored = createdMs !== null || updatedMs !== null;
  return {
    PolicyName: name,
    Policy: documentOf(policy),
    ...(isStored && { CreateDate: timeText(createdMs), UpdateDate: timeText(updatedMs) }),
  };
}

export const policyRoutes: readonly AdminRoute[] = [
  { method: 'PUT', path: 'add-canned-policy', query: ['name'], operation: addPolicy },
  { method: 'GET', path: 'info-canned-policy', query: ['name'], operation: policyInfo },
  { method: 'GET', path: 'list-canned-policies', operation: listPolicies },
  { method: 'DELETE', path: 'remove-canned-policy', query: ['name'], operation: removePolicy },
];
