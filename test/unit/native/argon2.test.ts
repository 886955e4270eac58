import { describe, expect, it } from 'vitest';
import { keyDerivation } from '../../../src/native/index.js';

const bytes = (text: string) => Buffer.from(text);
const salt = Buffer.alloc(16, 2);

describe('argon2id', () => {
  it('answers 32 bytes that depend on everything it is given', async () => {
    const base = () => keyDerivation.argon2id(bytes('secret'), salt, 1, 64, 4, 32);
    const first = await base();
    expect(first).toHaveLength(32);
    expect(await base()).toEqual(first);
    const others = await Promise.all([
      keyDerivation.argon2id(bytes('Secret'), salt, 1, 64, 4, 32),
      keyDerivation.argon2id(bytes('secret'), Buffer.alloc(16, 3), 1, 64, 4, 32),
      keyDerivation.argon2id(bytes('secret'), salt, 2, 64, 4, 32),
      keyDerivation.argon2id(bytes('secret'), salt, 1, 96, 4, 32),
      keyDerivation.argon2id(bytes('secret'), salt, 1, 64, 2, 32),
    ]);
    for (const other of others) expect(other).not.toEqual(first);
  });

  it('copies its arguments before it returns', async () => {
    const password = bytes('secret');
    const running = keyDerivation.argon2id(password, salt, 1, 64, 1, 32);
    password.fill(0);
    expect(await running).toEqual(await keyDerivation.argon2id(bytes('secret'), salt, 1, 64, 1, 32));
  });

  it('refuses what is out of range', () => {
    const call = (passes: number, memoryKiB: number, lanes: number, tagBytes: number) => () =>
      void keyDerivation.argon2id(bytes('x'), salt, passes, memoryKiB, lanes, tagBytes);
    expect(call(0, 64, 4, 32)).toThrow(RangeError);
    expect(call(1, 31, 4, 32)).toThrow(RangeError);
    expect(call(1, 2 ** 20 + 1, 4, 32)).toThrow(RangeError);
    expect(call(1, 64, 0, 32)).toThrow(RangeError);
    expect(call(1, 256, 17, 32)).toThrow(RangeError);
    expect(call(1, 64, 4, 3)).toThrow(RangeError);
    expect(call(1, 64, 4, 65)).toThrow(RangeError);
    expect(() => void keyDerivation.argon2id(Buffer.alloc(65_537), salt, 1, 64, 4, 32)).toThrow(RangeError);
  });
});
