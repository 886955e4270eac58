/** Root credentials from the environment, from secret files, or the defaults that everybody knows. */
import { join } from 'node:path';
import { StartupError } from '../base/index.js';
import type { Settings } from './environment.js';
import { readSmallFile } from './environment-file.js';
import { Secret } from './secret.js';

export interface RootCredentials {
  readonly accessKey: string;
  readonly secretKey: Secret;
  /** The well-known pair: anybody can sign in with it. */
  readonly isDefault: boolean;
}

export const accessKeyCharsMin = 3;
export const secretKeyCharsMin = 8;

const defaultName = 'minioadmin';

/** Where container platforms put secrets; a file setting may name one by its bare name. */
const secretsFolder = '/run/secrets';

interface Found {
  readonly name: string;
  readonly value: string;
}

export function readCredentials(settings: Settings): { credentials: RootCredentials; warnings: string[] } {
  const warnings: string[] = [];
  const user = find(settings, ['ROOT_USER', 'ACCESS_KEY'], warnings);
  const password = find(settings, ['ROOT_PASSWORD', 'SECRET_KEY'], warnings);
  if (user === null && password === null) {
    warnings.push(
      `Root credentials are the default ${defaultName}:${defaultName}, which everybody knows. ` +
        'Set MINIO_ROOT_USER and MINIO_ROOT_PASSWORD.',
    );
    return { credentials: { accessKey: defaultName, secretKey: new Secret(defaultName), isDefault: true }, warnings };
  }
  if (user === null || password === null) {
    const [set, missing] = user === null ? [password, 'MINIO_ROOT_USER'] : [user, 'MINIO_ROOT_PASSWORD'];
    throw new StartupError(`${(set as Found).name} is set and ${missing} is not`, `Set both, or neither.`);
  }
  checkUser(user);
  if ([...password.value].length < secretKeyCharsMin) {
    throw new StartupError(
      `the value of ${password.name} is shorter than ${secretKeyCharsMin} characters`,
      `Choose a password of at least ${secretKeyCharsMin} characters.`,
    );
  }
  const isDefault = user.value === defaultName && password.value === defaultName;
  if (isDefault) warnings.push(`Root credentials are set to ${defaultName}:${defaultName}, which everybody knows.`);
  return { credentials: { accessKey: user.value, secretKey: new Secret(password.value), isDefault }, warnings };
}

/**
 * The root credentials of before, for the one start at which they change; null when none are given. One of the
 * two is enough when only the other changed.
 */
export function readOldCredentials(
  settings: Settings,
  current: RootCredentials,
): { credentials: Pick<RootCredentials, 'accessKey' | 'secretKey'> | null; warnings: string[] } {
  const warnings: string[] = [];
  const user = find(settings, ['ROOT_USER_OLD', 'ACCESS_KEY_OLD'], warnings);
  const password = find(settings, ['ROOT_PASSWORD_OLD', 'SECRET_KEY_OLD'], warnings);
  if (user === null && password === null) return { credentials: null, warnings };
  const credentials = {
    accessKey: user?.value ?? current.accessKey,
    secretKey: password === null ? current.secretKey : new Secret(password.value),
  };
  return { credentials, warnings };
}

function checkUser(user: Found): void {
  if ([...user.value].length < accessKeyCharsMin) {
    throw new StartupError(
      `the value of ${user.name} is shorter than ${accessKeyCharsMin} characters`,
      `Choose a user name of at least ${accessKeyCharsMin} characters.`,
    );
  }
  // An access key stands in the credential scope of signatures and in lists of names.
  if (!/^[\x21-\x7e]+$/.test(user.value) || /[=,/]/.test(user.value)) {
    throw new StartupError(
      `the value of ${user.name} has a character that an access key must not have`,
      'Use printable ASCII without spaces, "=", "," and "/".',
    );
  }
}

/** By name, newest name first; of one name the file wins over the value, as in MinIO. */
function find(settings: Settings, names: readonly [string, string], warnings: string[]): Found | null {
  for (const name of names) {
    const direct = settings.get(name);
    const file = settings.get(`${name}_FILE`);
    const found = (file === null ? null : readSecretFile(file, direct, warnings)) ?? direct;
    if (found === null) continue;
    if (name === names[1])
      warnings.push(`${found.name} is the old name of ${found.name.replace(name, names[0])}; use the new one.`);
    return found;
  }
  return null;
}

function readSecretFile(file: Found, direct: Found | null, warnings: string[]): Found | null {
  const candidates = file.value.startsWith('/') ? [file.value] : [join(secretsFolder, file.value), file.value];
  for (const path of candidates) {
    const text = readSmallFile(path, `the file of ${file.name},`);
    if (text === null) continue;
    const value = text.trim();
    if (value === '') throw new StartupError(`${path}, named by ${file.name}, is empty`, 'Write the value into it.');
    return { name: file.name, value };
  }
  const missing = `${file.name} names ${file.value}, which does not exist`;
  // Falling back to the well-known password because a secret was not mounted would open the server to everyone.
  if (direct === null) throw new StartupError(missing, `Create the file, or unset ${file.name}.`);
  warnings.push(`${missing}; ${direct.name} is used.`);
  return null;
}
