/**
 * The root account's credentials, as the operator set them. The rules are those of MinIO, so that an
 * environment that starts MinIO starts this server too.
 */
import { inspect } from 'node:util';
import { StartupError } from '../base/index.js';
import type { Credential, CredentialStore } from './identity.js';
import type { Principal } from './principal.js';

const accessKeyCharsMin = 3;
const secretKeyCharsMin = 8;
/** They separate the parts of an Authorization header. */
const reservedCharacter = /[=,]/;
const unprintable = /\p{Cc}|^\s|\s$/u;

export interface RootCredentialOptions {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Keeps the secret off everything that prints: logs, JSON, inspect. */
class RootCredential implements Credential {
  readonly accessKey: string;
  readonly sessionToken = null;
  readonly principal: Principal;
  readonly #secretKey: string;

  constructor(accessKey: string, secretKey: string) {
    this.accessKey = accessKey;
    this.principal = { kind: 'root', accessKey, account: accessKey, source: 'root', claims: new Map(), groups: [] };
    this.#secretKey = secretKey;
  }

  get secretKey(): string {
    return this.#secretKey;
  }

  [inspect.custom](): string {
    return `RootCredential { accessKey: ${JSON.stringify(this.accessKey)} }`;
  }
}

/** Throws StartupError. The secret is not part of any text. */
export function createRootCredentials({ accessKey, secretKey }: RootCredentialOptions): CredentialStore {
  if (accessKey.length < accessKeyCharsMin) {
    throw new StartupError(
      `The root user name has fewer than ${accessKeyCharsMin} characters.`,
      `Set MINIO_ROOT_USER to at least ${accessKeyCharsMin} characters.`,
    );
  }
  if (reservedCharacter.test(accessKey) || unprintable.test(accessKey)) {
    throw new StartupError(
      'The root user name contains a character that cannot stand in an access key.',
      'Set MINIO_ROOT_USER to a name without "=", ",", control characters and outer spaces.',
    );
  }
  if (secretKey.length < secretKeyCharsMin) {
    throw new StartupError(
      `The root password has fewer than ${secretKeyCharsMin} characters.`,
      `Set MINIO_ROOT_PASSWORD to at least ${secretKeyCharsMin} characters.`,
    );
  }
  if (unprintable.test(secretKey)) {
    throw new StartupError(
      'The root password contains control characters, or spaces at an end.',
      'Set MINIO_ROOT_PASSWORD without them; look for a line break at the end of its file.',
    );
  }
  const credential = new RootCredential(accessKey, secretKey);
  return { lookup: (candidate) => (candidate === accessKey ? credential : null) };
}
