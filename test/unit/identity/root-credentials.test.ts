import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { createRootCredentials } from '../../../src/identity/index.js';

const secretKey = 'a very secret secret';

function startupErrorOf(options: { accessKey: string; secretKey: string }): StartupError {
  try {
    createRootCredentials(options);
  } catch (error) {
    if (error instanceof StartupError) return error;
    throw error;
  }
  throw new Error('expected a StartupError');
}

describe('root credentials', () => {
  it('resolve their own access key to the root principal, and no other', () => {
    const store = createRootCredentials({ accessKey: 'minioadmin', secretKey });
    expect(store.lookup('minioadmin')).toMatchObject({
      accessKey: 'minioadmin',
      sessionToken: null,
      principal: { kind: 'root', accessKey: 'minioadmin' },
    });
    expect(store.lookup('minioadmin')?.secretKey).toBe(secretKey);
    for (const other of ['', 'minioadmi', 'minioadmin ', 'MINIOADMIN', '__proto__', 'constructor']) {
      expect(store.lookup(other)).toBeNull();
    }
  });

  it('have the lengths of MinIO', () => {
    expect(createRootCredentials({ accessKey: 'abc', secretKey: '12345678' }).lookup('abc')).not.toBeNull();
    expect(startupErrorOf({ accessKey: 'ab', secretKey }).message).toMatch(/user name has fewer than 3 characters/);
    expect(startupErrorOf({ accessKey: '', secretKey }).remedy).toMatch(/MINIO_ROOT_USER/);
    expect(startupErrorOf({ accessKey: 'abc', secretKey: '1234567' }).message).toMatch(/fewer than 8 characters/);
    expect(startupErrorOf({ accessKey: 'abc', secretKey: '' }).remedy).toMatch(/MINIO_ROOT_PASSWORD/);
  });

  it.each(['a=b', 'a,b', 'abc\n', ' abc', 'ab\0c'])('refuse the user name %j', (accessKey) => {
    expect(startupErrorOf({ accessKey, secretKey }).message).toMatch(/user name contains/);
  });

  it.each(['secret-key\n', ' secret-key', 'secret\0key'])('refuse the password %j without repeating it', (secret) => {
    const error = startupErrorOf({ accessKey: 'abc', secretKey: secret });
    expect(error.message).toMatch(/password contains/);
    expect(inspect(error)).not.toContain(secret.trim());
  });

  it('take any printable character in a password', () => {
    const secret = 'p=a,s/s+w ö 漢 😀';
    expect(createRootCredentials({ accessKey: 'abc', secretKey: secret }).lookup('abc')?.secretKey).toBe(secret);
  });

  it('never print their secret', () => {
    const store = createRootCredentials({ accessKey: 'minioadmin', secretKey });
    const credential = store.lookup('minioadmin');
    const printed = [
      inspect(credential, { depth: null, showHidden: true, getters: true }),
      inspect({ nested: [credential] }, { depth: null, showHidden: true, getters: true }),
      inspect(store, { depth: null, showHidden: true }),
      JSON.stringify(credential),
      JSON.stringify({ ...credential }),
      `${credential as unknown as string}`,
    ];
    for (const text of printed) expect(text).not.toContain(secretKey);
    expect(printed[0]).toContain('minioadmin');
  });
});
