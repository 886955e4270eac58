/** What names, keys and policies of accounts may be. Each check throws what the administration API answers. */
import { randomBytes } from 'node:crypto';
import { limits } from '../base/index.js';
import type { Policy } from '../policy/index.js';
import { IamRefusal } from './iam-refusal.js';

/** They separate names in lists and the parts of an Authorization header. */
const separators = /[=,]/;
/** Control characters, and halves of surrogate pairs, which would not come back from the store. */
const unstorable = /[\p{Cc}\p{Cs}]/u;
const keyNamePattern = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;
const keyCharsMin = 3;
const secretCharsMin = 8;
const serviceKeyCharsMax = 20;
const serviceSecretCharsMax = 40;

function checkStorable(name: string, what: string): void {
  if (name !== name.trim() || unstorable.test(name)) {
    throw new IamRefusal(
      'XMinioInvalidResource',
      `The ${what} begins or ends with a space, or has control characters.`,
    );
  }
  if (Buffer.byteLength(name) > limits.accountNameBytesMax) {
    throw new IamRefusal('XMinioInvalidResource', `The ${what} has ${limits.accountNameBytesMax} bytes at most.`);
  }
}

export function checkUserName(name: string): void {
  checkStorable(name, 'access key');
  if ([...name].length < keyCharsMin || separators.test(name)) {
    throw new IamRefusal(
      'XMinioAdminInvalidAccessKey',
      'The access key has 3 characters at least, without "=" and ",".',
    );
  }
}

export function checkUserSecret(secretKey: string): void {
  if ([...secretKey].length < secretCharsMin || Buffer.byteLength(secretKey) > limits.accountNameBytesMax) {
    throw new IamRefusal('XMinioAdminInvalidSecretKey', 'The secret key has 8 characters at least.');
  }
}

export function checkServiceKey(accessKey: string): void {
  checkUserName(accessKey);
  if (accessKey.length > serviceKeyCharsMax) {
    throw new IamRefusal('XMinioAdminInvalidAccessKey', 'The access key has 20 characters at most.');
  }
}

export function checkServiceSecret(secretKey: string): void {
  checkUserSecret(secretKey);
  if (secretKey.length > serviceSecretCharsMax) {
    throw new IamRefusal('XMinioAdminInvalidSecretKey', 'The secret key has 40 characters at most.');
  }
}

export function checkGroupName(name: string): void {
  checkStorable(name, 'group name');
  if (name === '' || separators.test(name)) throw new IamRefusal('XMinioInvalidGroupName');
}

export function checkPolicyName(name: string): void {
  checkStorable(name, 'policy name');
  if (name === '' || name.includes(',')) throw new IamRefusal('PolicyInvalidName');
}

/** Of external accounts and groups: DNs bring "=" and ",". */
export function checkExternalName(name: string): void {
  checkStorable(name, 'name');
  if (name === '') throw new IamRefusal('XMinioInvalidResource', 'The name is empty.');
}

export function checkKeyTexts({ name, description }: { name: string; description: string }): void {
  if (name !== '' && !keyNamePattern.test(name)) {
    throw new IamRefusal(
      'XMinioInvalidResource',
      'The name has at most 32 characters: a letter, then letters, digits, "_" and "-".',
    );
  }
  if (Buffer.byteLength(description) > limits.accessKeyDescriptionBytesMax || /\p{Cs}/u.test(description)) {
    throw new IamRefusal('XMinioInvalidResource', 'The description has 256 bytes at most.');
  }
}

export function checkEmbeddedPolicy(policy: Policy | null): void {
  if (policy === null || Buffer.byteLength(policy.text) <= limits.sessionPolicyBytesMax) return;
  throw new IamRefusal('XMinioIAMServiceAccountSessionPolicyTooLarge');
}

type Random = (bytes: number) => Uint8Array;

export const systemRandom: Random = (bytes) => randomBytes(bytes);

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** 20 characters, each of 36 with the same chance. */
export function makeAccessKey(random: Random): string {
  let key = '';
  while (key.length < serviceKeyCharsMax) {
    // 252 is a multiple of 36.
    for (const byte of random(32)) if (byte < 252 && key.length < serviceKeyCharsMax) key += alphabet.charAt(byte % 36);
  }
  return key;
}

/** 40 characters; a slash would have to be escaped in URLs. */
export function makeSecretKey(random: Random): string {
  return Buffer.from(random(30)).toString('base64').replaceAll('/', '+');
}
