/** What requests say about access keys, checked. */
import { limits } from '../base/index.js';
import type { AccountStatus } from '../identity/index.js';
import type { Policy } from '../policy/index.js';
import { anyField, badJson, textField } from './body.js';
import { adminError } from './errors.js';
import { parseAs } from './policies.js';

type Fields = Readonly<Record<string, unknown>>;

const nameText = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const minuteMs = 60_000;

export function nameField(body: Fields, name: string): string {
  const text = textField(body, name);
  if (text !== '' && !nameText.test(text)) {
    throw adminError(
      'XMinioInvalidResource',
      'The name has at most 32 characters: a letter, then letters, digits, "_" and "-".',
    );
  }
  return text;
}

export function descriptionField(body: Fields, name: string): string {
  const text = textField(body, name);
  if (Buffer.byteLength(text) > limits.accessKeyDescriptionBytesMax) {
    throw adminError('XMinioInvalidResource', 'The description has 256 bytes at most.');
  }
  return text;
}

/** Null: never, or not said. Whole seconds. */
export function expiryField(body: Fields, name: string, nowMs: number): number | null {
  const text = textField(body, name);
  if (text === '') return null;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw badJson();
  // The epoch and Go's zero time.
  if (ms <= 0) return null;
  if (ms < nowMs + limits.accessKeyMinutesMin * minuteMs || ms > nowMs + limits.accessKeyMinutesMax * minuteMs) {
    throw adminError('XMinioInvalidResource', 'The expiry is between 15 minutes and 365 days from now.');
  }
  return Math.floor(ms / 1000) * 1000;
}

/** Undefined when it was not sent, null for an empty document: whoever reads it decides what that means. */
export function policyField(body: Fields, name: string): Policy | null | undefined {
  const value = anyField(body, name);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw badJson();
  const statements = anyField(value as Fields, 'Statement');
  if (Object.keys(value).length === 0 || statements === undefined || statements === null) return null;
  const text = JSON.stringify(value);
  const policy = parseAs(text, 'session');
  if (Buffer.byteLength(policy.text) > limits.sessionPolicyBytesMax) {
    throw adminError('XMinioIAMServiceAccountSessionPolicyTooLarge');
  }
  return policy.isEmpty ? null : policy;
}

export function keyStatusField(body: Fields, name: string): AccountStatus | undefined {
  const text = textField(body, name);
  switch (text) {
    case '':
      return undefined;
    case 'on':
    case 'enabled':
      return 'enabled';
    case 'off':
    case 'disabled':
      return 'disabled';
    default:
      throw adminError('XMinioAdminInvalidArgument', 'The status is on or off.');
  }
}
