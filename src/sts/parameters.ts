/** Parameters that the actions share, each read and bounded in one place. */
import { limits, Refusal } from '../base/index.js';
import type { ParsedCall } from '../dispatch/index.js';
import { parsePolicy, type Policy } from '../policy/index.js';
import { stsError } from './errors.js';

export const apiVersion = '2011-06-15';

type Parameters = Pick<ParsedCall, 'query'>;

/** Texts quote what the client sent, so they are kept short. */
export function quote(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}

/** Empty counts as absent. */
export function parameter({ query }: Parameters, name: string): string {
  return query.get(name) ?? '';
}

export function requireVersion(call: Parameters): void {
  const version = parameter(call, 'Version');
  if (version !== apiVersion) {
    throw stsError('MissingParameter', `Invalid STS API version ${quote(version)}, expecting ${apiVersion}`);
  }
}

/** Null: not asked for. */
export function durationSeconds(call: Parameters): number | null {
  const text = parameter(call, 'DurationSeconds');
  if (text === '') return null;
  const seconds = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  const { min, max } = limits.sessionSeconds;
  if (seconds < min || seconds > max) throw stsError('InvalidParameterValue', 'invalid token expiry');
  return seconds;
}

/** What the credentials are held down to. Null: to nothing. */
export function sessionPolicy(call: Parameters): Policy | null {
  const text = parameter(call, 'Policy');
  if (text === '') return null;
  const policy = parse(text);
  // Without statements it may lack its version, and would allow nothing: more likely a slip.
  const { Version } = JSON.parse(policy.text) as { readonly Version?: unknown };
  if (typeof Version !== 'string' || Version === '') {
    throw stsError('InvalidParameterValue', 'The session policy has no Version.');
  }
  if (Buffer.byteLength(policy.text) > limits.assumedPolicyBytesMax) {
    throw stsError('InvalidParameterValue', 'Session policy should not exceed 2048 characters');
  }
  return policy;
}

function parse(text: string): Policy {
  try {
    return parsePolicy(text, 'session');
  } catch (error) {
    if (error instanceof Refusal) throw stsError('InvalidParameterValue', error.message);
    throw error;
  }
}

/** The tag by which credentials can be ended together; empty: none. */
export function revokeType(call: Parameters): string {
  const text = parameter(call, 'TokenRevokeType');
  if (Buffer.byteLength(text) > limits.revokeTypeBytesMax || /[\p{Cc}\p{Cs}]/u.test(text)) {
    throw stsError('InvalidParameterValue', 'TokenRevokeType has 256 bytes at most, without control characters.');
  }
  return text;
}
