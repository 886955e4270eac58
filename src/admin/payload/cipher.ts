/**
 * Payloads of the administration API under the secret key of whoever asks: salt (32), kind (1), nonce
 * prefix (8), stream. Answers are of the kind that every client reads, Argon2id with AES-GCM.
 */
import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { limits, type Clock } from '../../base/index.js';
import { adminError } from '../errors.js';
import { SealKeys } from './seal-keys.js';
import { noncePrefixBytes, openStream, sealStream, tagBytes, type SioCipher } from './sio.js';
import { Turns } from './turns.js';

export interface PayloadCipher {
  seal(secret: string, account: string, plain: Uint8Array): Promise<Uint8Array>;
  /** Both: `account` is whose turn it is. Throws XMinioAdminConfigBadJSON for whatever was not sealed so, SlowDown when too many wait. */
  open(secret: string, account: string, sealed: Uint8Array): Promise<Uint8Array>;
}

/** The addon's, or a test's. */
export type Argon2id = (
  password: Uint8Array,
  salt: Uint8Array,
  passes: number,
  memoryKiB: number,
  lanes: number,
  tagBytes: number,
) => Promise<Uint8Array>;

const saltBytes = 32;
const headerBytes = saltBytes + 1 + noncePrefixBytes;
const keyBytes = 32;
const argon2 = { passes: 1, memoryKiB: 65_536, lanes: 4 } as const;
const pbkdf2Iterations = 8192;
const answerKind = 0x00;

const kinds: Readonly<Record<number, { readonly derive: 'argon2id' | 'pbkdf2'; readonly cipher: SioCipher }>> = {
  0x00: { derive: 'argon2id', cipher: 'aes-256-gcm' },
  0x01: { derive: 'argon2id', cipher: 'chacha20-poly1305' },
  0x02: { derive: 'pbkdf2', cipher: 'aes-256-gcm' },
};

const derivePbkdf2 = promisify(pbkdf2);

export function createPayloadCipher(argon2id: Argon2id, clock: Pick<Clock, 'monotonicMs'>): PayloadCipher {
  const turns = new Turns(limits.keyDerivations);
  const deriveArgon2 = (secret: string, account: string, salt: Uint8Array) =>
    turns.take(account, () =>
      argon2id(Buffer.from(secret), salt, argon2.passes, argon2.memoryKiB, argon2.lanes, keyBytes),
    );
  const sealKeys = new SealKeys(limits.adminSealKeys, clock, deriveArgon2);
  return {
    async seal(secret, account, plain) {
      const { salt, key } = await sealKeys.get(secret, account);
      const noncePrefix = randomBytes(noncePrefixBytes);
      const sealed = sealStream({ cipher: 'aes-256-gcm', key, noncePrefix }, plain);
      return Buffer.concat([salt, Uint8Array.of(answerKind), noncePrefix, sealed]);
    },
    async open(secret, account, sealed) {
      const kind = sealed.length < headerBytes + tagBytes ? undefined : kinds[sealed[saltBytes] ?? 0xff];
      if (kind === undefined) throw adminError('XMinioAdminConfigBadJSON');
      const salt = sealed.subarray(0, saltBytes);
      const key =
        kind.derive === 'argon2id'
          ? await deriveArgon2(secret, account, salt)
          : await derivePbkdf2(secret, salt, pbkdf2Iterations, keyBytes, 'sha256');
      const noncePrefix = sealed.subarray(saltBytes + 1, headerBytes);
      const plain = openStream({ cipher: kind.cipher, key, noncePrefix }, sealed.subarray(headerBytes));
      if (plain === null) throw adminError('XMinioAdminConfigBadJSON');
      return plain;
    },
  };
}
