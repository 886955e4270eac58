/**
 * The policy of a form upload: what its signer lets others upload, until when. Parsed and applied here; its
 * signature is the dispatch room's affair. Pure.
 */
import type { Refusal } from '../base/index.js';
import { s3Error } from './errors.js';

export interface PostPolicy {
  readonly expiresMs: number;
  readonly conditions: readonly PolicyCondition[];
  /** Null: none was given. */
  readonly lengthRange: { readonly bytesMin: number; readonly bytesMax: number } | null;
}

interface PolicyCondition {
  readonly operator: 'eq' | 'starts-with';
  /** Lower case, without the dollar sign. */
  readonly field: string;
  readonly value: string;
}

/** Not what a signer restricts: the signature itself, the file, and keys for encryption. */
const freeFields: ReadonlySet<string> = new Set([
  'policy',
  'file',
  'signature',
  'awsaccesskeyid',
  'x-amz-signature',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-server-side-encryption-customer-key-md5',
]);
/** A prefix of these would say nothing. */
const exactFields: ReadonlySet<string> = new Set([
  'bucket',
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'tagging',
]);
const conditionsMax = 1000;

/** Of the text in the form, base64. Throws InvalidPolicyDocument. */
export function parsePostPolicy(base64: string): PostPolicy {
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(base64)) throw invalidPolicy('Invalid base64.');
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64, 'base64')));
  } catch {
    // Not UTF-8, or not JSON: the client is told which document it is.
    throw invalidPolicy('Invalid JSON.');
  }
  if (!isObject(document)) throw invalidPolicy('Invalid JSON.');
  const { expiration, conditions } = document;
  const expiresMs = typeof expiration === 'string' && isoTime.test(expiration) ? Date.parse(expiration) : Number.NaN;
  if (Number.isNaN(expiresMs)) throw invalidPolicy('Invalid or missing expiration.');
  if (!Array.isArray(conditions)) throw invalidPolicy('Missing conditions.');
  if (conditions.length > conditionsMax) throw invalidPolicy('Too many conditions.');
  return { expiresMs, ...parseConditions(conditions) };
}

const isoTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

function parseConditions(conditions: readonly unknown[]): Pick<PostPolicy, 'conditions' | 'lengthRange'> {
  const parsed: PolicyCondition[] = [];
  let lengthRange: PostPolicy['lengthRange'] = null;
  for (const condition of conditions) {
    if (isObject(condition)) {
      for (const [name, value] of Object.entries(condition)) parsed.push(matching('eq', name, value));
      continue;
    }
    if (!Array.isArray(condition) || condition.length !== 3) throw invalidPolicy('Invalid condition.');
    const [operator, first, second] = condition as readonly unknown[];
    const name = typeof operator === 'string' ? operator.toLowerCase() : '';
    if (name === 'content-length-range') {
      lengthRange = narrower(lengthRange, { bytesMin: bytesOf(first), bytesMax: bytesOf(second) });
    } else if (name === 'eq' || name === 'starts-with') {
      if (typeof first !== 'string' || !first.startsWith('$')) throw invalidPolicy('A condition names no field.');
      parsed.push(matching(name, first.slice(1), second));
    } else throw invalidPolicy('A condition has an unknown operator.');
  }
  return { conditions: parsed, lengthRange };
}

function matching(operator: PolicyCondition['operator'], name: string, value: unknown): PolicyCondition {
  const field = name.toLowerCase();
  if (typeof value !== 'string' && typeof value !== 'number') throw invalidPolicy('A condition has an invalid value.');
  if (operator === 'starts-with' && exactFields.has(field))
    throw invalidPolicy(`The field ${field} has to be given exactly.`);
  return { operator, field, value: String(value) };
}

function bytesOf(value: unknown): number {
  const bytes = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0)
    throw invalidPolicy('Invalid content-length-range.');
  return bytes;
}

function narrower(
  one: PostPolicy['lengthRange'],
  other: NonNullable<PostPolicy['lengthRange']>,
): PostPolicy['lengthRange'] {
  if (one === null) return other;
  return { bytesMin: Math.max(one.bytesMin, other.bytesMin), bytesMax: Math.min(one.bytesMax, other.bytesMax) };
}

/**
 * `fields`: as the form has them, with the bucket of the request and the key as it will be.
 * Throws AccessDenied unless every condition holds and every field has one.
 */
export function checkPostPolicy(policy: PostPolicy, fields: ReadonlyMap<string, string>, nowMs: number): void {
  if (nowMs >= policy.expiresMs) throw refused('Policy expired.');
  const covered = new Set<string>(['bucket']);
  for (const { operator, field, value } of policy.conditions) {
    covered.add(field);
    const sent = fields.get(field) ?? '';
    const holds = operator === 'eq' ? sent === value : startsWith(field, sent, value);
    if (!holds) throw refused(`Policy Condition failed: ["${operator}", "$${field}", ${JSON.stringify(value)}]`);
  }
  const extra = [...fields.keys()].filter((name) => !covered.has(name) && !isFree(name));
  if (extra.length > 0) throw refused(`Extra input fields: ${extra.join(', ').slice(0, 256)}`);
}

/** A Content-Type may list several: each has to match. */
function startsWith(field: string, sent: string, prefix: string): boolean {
  const values = field === 'content-type' ? sent.split(',').map((one) => one.trim()) : [sent];
  return values.every((one) => one.startsWith(prefix));
}

function isFree(name: string): boolean {
  return freeFields.has(name) || name.startsWith('x-ignore-');
}

/** Throws EntityTooSmall, EntityTooLarge. */
export function checkLengthRange({ lengthRange }: PostPolicy, bytes: number): void {
  if (lengthRange === null) return;
  const ProposedSize = String(bytes);
  if (bytes < lengthRange.bytesMin) {
    throw s3Error('EntityTooSmall', undefined, { ProposedSize, MinSizeAllowed: String(lengthRange.bytesMin) });
  }
  if (bytes > lengthRange.bytesMax) {
    throw s3Error('EntityTooLarge', undefined, { ProposedSize, MaxSizeAllowed: String(lengthRange.bytesMax) });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalidPolicy(text: string): Refusal {
  return s3Error('InvalidPolicyDocument', `Invalid Policy: ${text}`);
}

function refused(text: string): Refusal {
  return s3Error('AccessDenied', `Invalid according to Policy: ${text}`);
}
