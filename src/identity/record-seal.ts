/**
 * Encryption of records at rest: docs/format/iam.md. A random data key seals the records; the data key itself
 * lies in a record of its own, sealed by a key that is derived from the root credentials. A change of the root
 * credentials therefore rewrites that one record, and a crash leaves either the old or the new one.
 */
import { createCipheriv, createDecipheriv, createHmac, scrypt } from 'node:crypto';
import { StartupError, invariant } from '../base/index.js';
import type { IamChange } from './iam-store.js';
import type { RootCredentialOptions } from './root-credentials.js';

export const sealRecordName = 'iam/seal';

const version = 1;
const keyBytes = 32;
const saltBytes = 24;
const subkeySaltBytes = 12;
const tagBytes = 16;
const rootSaltBytes = 32;
/** 32 MiB and a tenth of a second at each start: the root password may be a weak one. */
const scryptCost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

export interface RecordSeal {
  /** What may be written under `name`. Only after `ready`. */
  seal(name: string, value: Uint8Array): Uint8Array;
  /** Throws SealError for what was not sealed under this name with this key. */
  open(name: string, sealed: Uint8Array): Buffer;
  /** Resolves when the record of the data key is durable; without that nothing that was sealed can be opened. */
  ready(): Promise<void>;
}

export class SealError extends Error {
  override readonly name = 'SealError';
}

/** HMAC-SHA256. Node's makes an object for each call, which a hundred thousand accounts feel at every start. */
export type Mac = (key: Uint8Array, message: Uint8Array) => Uint8Array;

const nodeMac: Mac = (key, message) => createHmac('sha256', key).update(message).digest();

interface OpenOptions {
  /** The record of the data key, or null when there is none. */
  readonly stored: Uint8Array | null;
  readonly rootCredentials: RootCredentialOptions;
  /** Tried when the others do not fit; the data key is then sealed anew. */
  readonly oldRootCredentials: RootCredentialOptions | null;
  readonly random: (bytes: number) => Uint8Array;
  readonly mac?: Mac;
  readonly write: (changes: readonly IamChange[]) => Promise<void>;
}

/** Throws StartupError when the root credentials do not fit. Writes nothing before `ready` is asked for. */
export async function openRecordSeal(options: OpenOptions): Promise<{ seal: RecordSeal; isRotated: boolean }> {
  const { stored, rootCredentials, oldRootCredentials, random } = options;
  const found = stored === null ? null : await findDataKey(stored, rootCredentials, oldRootCredentials);
  const dataKey = found?.dataKey ?? Buffer.from(random(keyBytes));
  const isCurrent = found?.isCurrent ?? false;
  const pending = isCurrent ? null : await wrap(dataKey, rootCredentials, random);
  return { seal: new DataKeySeal(dataKey, pending, options), isRotated: found !== null && !isCurrent };
}

async function findDataKey(
  stored: Uint8Array,
  root: RootCredentialOptions,
  oldRoot: RootCredentialOptions | null,
): Promise<{ dataKey: Buffer; isCurrent: boolean }> {
  const dataKey = await unwrap(stored, root);
  if (dataKey !== null) return { dataKey, isCurrent: true };
  const oldKey = oldRoot === null ? null : await unwrap(stored, oldRoot);
  if (oldKey !== null) return { dataKey: oldKey, isCurrent: false };
  throw new StartupError(
    oldRoot === null
      ? 'The stored accounts and settings are encrypted with other root credentials than these.'
      : 'The stored accounts and settings are encrypted with neither these root credentials nor the old ones given.',
    'Start with the MINIO_ROOT_USER and MINIO_ROOT_PASSWORD of before. To change them, set the new ones and give ' +
      'those of before in MINIO_ROOT_USER_OLD and MINIO_ROOT_PASSWORD_OLD for one start. Nothing was changed.',
  );
}

function rootKey(root: RootCredentialOptions, salt: Uint8Array): Promise<Buffer> {
  // Lengths in front: no two pairs give the same text.
  const text = `${root.accessKey.length}:${root.accessKey}:${root.secretKey}`;
  return new Promise((resolve, reject) => {
    scrypt(text, salt, keyBytes, scryptCost, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** u8 version, 32 bytes of salt, the data key sealed under the record's name. */
async function wrap(
  dataKey: Buffer,
  root: RootCredentialOptions,
  random: (bytes: number) => Uint8Array,
): Promise<Buffer> {
  const salt = random(rootSaltBytes);
  const key = await rootKey(root, salt);
  return Buffer.concat([Buffer.of(version), salt, sealWith(key, sealRecordName, dataKey, random(saltBytes))]);
}

async function unwrap(stored: Uint8Array, root: RootCredentialOptions): Promise<Buffer | null> {
  if (stored[0] !== version) {
    throw new StartupError(
      'The stored accounts are in a form that this release does not know.',
      'Start the release that wrote them, or a later one.',
    );
  }
  const key = await rootKey(root, stored.subarray(1, 1 + rootSaltBytes));
  try {
    return openWith(key, sealRecordName, stored.subarray(1 + rootSaltBytes));
  } catch (error) {
    if (error instanceof SealError) return null;
    throw error;
  }
}

/**
 * u8 version, 24 random bytes, ciphertext, tag. Half of the random bytes pick a subkey and half are the nonce:
 * together they are long enough to be random for any number of records.
 */
function sealWith(key: Buffer, name: string, value: Uint8Array, salt: Uint8Array, mac = nodeMac): Buffer {
  invariant(salt.length === saltBytes, 'a salt has its length');
  const cipher = createCipheriv('aes-256-gcm', subkey(mac, key, salt), salt.subarray(subkeySaltBytes));
  cipher.setAAD(Buffer.from(name, 'utf8'));
  return Buffer.concat([Buffer.of(version), salt, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
}

function openWith(key: Buffer, name: string, sealed: Uint8Array, mac = nodeMac): Buffer {
  const bodyAt = 1 + saltBytes;
  if (sealed[0] !== version || sealed.length < bodyAt + tagBytes) throw new SealError(`${name} is not a sealed record`);
  const salt = sealed.subarray(1, bodyAt);
  const decipher = createDecipheriv('aes-256-gcm', subkey(mac, key, salt), salt.subarray(subkeySaltBytes));
  decipher.setAAD(Buffer.from(name, 'utf8'));
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  try {
    const head = decipher.update(sealed.subarray(bodyAt, sealed.length - tagBytes));
    const tail = decipher.final();
    return tail.length === 0 ? head : Buffer.concat([head, tail]);
  } catch (error) {
    throw new SealError(`${name} was sealed under another name or key, or was changed`, { cause: error });
  }
}

function subkey(mac: Mac, key: Buffer, salt: Uint8Array): Uint8Array {
  return mac(key, salt.subarray(0, subkeySaltBytes));
}

class DataKeySeal implements RecordSeal {
  readonly #dataKey: Buffer;
  readonly #options: Pick<OpenOptions, 'random' | 'write' | 'mac'>;
  #pending: Buffer | null;
  #writing: Promise<void> | null = null;

  constructor(dataKey: Buffer, pending: Buffer | null, options: Pick<OpenOptions, 'random' | 'write' | 'mac'>) {
    this.#dataKey = dataKey;
    this.#pending = pending;
    this.#options = options;
  }

  seal(name: string, value: Uint8Array): Uint8Array {
    return sealWith(this.#dataKey, name, value, this.#options.random(saltBytes), this.#options.mac);
  }

  open(name: string, sealed: Uint8Array): Buffer {
    return openWith(this.#dataKey, name, sealed, this.#options.mac);
  }

  ready(): Promise<void> {
    if (this.#pending === null) return Promise.resolve();
    this.#writing ??= this.#store(this.#pending).finally(() => (this.#writing = null));
    return this.#writing;
  }

  async #store(value: Buffer): Promise<void> {
    await this.#options.write([{ name: sealRecordName, value }]);
    this.#pending = null;
  }
}
