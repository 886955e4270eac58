/**
 * Whether a bucket policy opens its bucket to everybody: an Allow for all principals which no condition ties to
 * particular callers or networks. A Deny beside it does not make it private: it may hold for a part only.
 */
import { compiled } from './compiled-policy.js';
import type { Condition } from './conditions.js';
import { parseRange } from './ip-address.js';
import type { Policy } from './policy.js';
import type { Statement } from './statement.js';

/** Ranges wider than these are as good as everybody. */
const ipv4PrefixBitsMin = 8;
const ipv6PrefixBitsMin = 32;

/** What says who somebody is. */
const callerKeys: ReadonlySet<string> = new Set(['aws:username', 'aws:userid', 'aws:groups']);

const isCallerKey = (name: string): boolean =>
  callerKeys.has(name) || name.startsWith('jwt:') || name.startsWith('ldap:');

function isNarrowRange(text: string): boolean {
  const range = parseRange(text);
  if (range === null) return false;
  return range.prefixBits >= (range.groups.length === 2 ? ipv4PrefixBitsMin : ipv6PrefixBitsMin);
}

const isFixed = (text: string): boolean => text !== '' && !/[*?$]/.test(text);

/** Whether the condition holds for particular callers only. */
function restricts({ operator, key, values }: Condition): boolean {
  // ForAllValues and IfExists also hold for whoever has no value at all.
  if (operator.startsWith('ForAllValues:') || operator.endsWith('IfExists')) return false;
  const base = operator.replace('ForAnyValue:', '');
  if (base === 'IpAddress') return key.name === 'aws:sourceip' && values.every(isNarrowRange);
  if (!/^(?:StringEquals|StringEqualsIgnoreCase|StringLike)$/.test(base)) return false;
  if (key.name === 'aws:principaltype') return values.every((value) => isFixed(value) && !/^anonymous$/i.test(value));
  return isCallerKey(key.name) && values.every(isFixed);
}

/** A pattern of names that names nobody in particular. */
const isForEverybody = (statement: Statement): boolean =>
  statement.parts.principals?.texts.some((text) => /^[*?]+$/.test(text)) ?? false;

/** Requires: a bucket policy. */
export function isPublic(policy: Policy): boolean {
  return compiled(policy).statements.some(
    (statement) => !statement.parts.isDeny && isForEverybody(statement) && !statement.parts.conditions.some(restricts),
  );
}
