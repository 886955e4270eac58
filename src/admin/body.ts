/** Request bodies: of a known length and bounded, plain or under the secret key of whoever asks. */
import { limits } from '../base/index.js';
import { accountOf } from './account.js';
import { secretOf } from './answer.js';
import type { AdminDeps } from './deps.js';
import { adminError, AdminRefusal } from './errors.js';
import type { AdminCall } from './operation.js';

/** Call it before the first await of the handler. */
export async function plainBody(call: AdminCall, bytesMax: number = limits.adminBodyBytesMax): Promise<Uint8Array> {
  const contentBytes = call.payload.contentBytes();
  // Of unknown length: it could be of any.
  if (contentBytes === null || contentBytes > bytesMax) throw adminError('XMinioAdminConfigTooLarge');
  return (await call.payload.collect(bytesMax)).bytes;
}

/** Throws XMinioAdminConfigBadJSON when it was sealed under another key, or changed. */
export async function sealedBody(deps: AdminDeps, call: AdminCall): Promise<Uint8Array> {
  const secret = secretOf(deps, call);
  return deps.cipher.open(secret, accountOf(call), await plainBody(call));
}

/** An object in JSON; what it holds is the caller's to check. */
export function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw badJson(error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badJson();
  return value as Readonly<Record<string, unknown>>;
}

export async function sealedObject(deps: AdminDeps, call: AdminCall): Promise<Readonly<Record<string, unknown>>> {
  return parseObject(await sealedBody(deps, call));
}

/** A field that is text; absent and null count as empty. Names are matched as Go does: without regard to case. */
export function textField(object: Readonly<Record<string, unknown>>, name: string): string {
  const value = anyField(object, name);
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw badJson();
  return value;
}

export function listField(object: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const value = anyField(object, name);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string')) throw badJson();
  return value;
}

export function flagField(object: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = anyField(object, name);
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw badJson();
  return value;
}

export function anyField(object: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(object, name)) return object[name];
  const lower = name.toLowerCase();
  const found = Object.keys(object).find((key) => key.toLowerCase() === lower);
  return found === undefined ? undefined : object[found];
}

export function badJson(cause?: unknown) {
  return new AdminRefusal('XMinioAdminConfigBadJSON', undefined, undefined, cause);
}
