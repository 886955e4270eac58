import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createPayloadCipher, type Argon2id } from '../../../src/admin/payload/index.js';
import { openStream, sealedLength, sealStream } from '../../../src/admin/payload/sio.js';
import { Turns } from '../../../src/admin/payload/turns.js';
import { limits } from '../../../src/base/index.js';
import { keyDerivation } from '../../../src/native/index.js';

const argon2id: Argon2id = (...parts) => keyDerivation.argon2id(...parts);
let nowMs = 0;
const cipher = createPayloadCipher(argon2id, { monotonicMs: () => nowMs });
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const refused = expect.objectContaining({ code: 'XMinioAdminConfigBadJSON', status: 400 });

/** Made by the clients' own library. */
const golden = [
  {
    secret: '',
    sealed: hex(`828aa81599df0651c0461adb82283e8b89956baee9f6e719947ef9cddc849028 00 1dc9d3ac0938f66b
      07bacc9751437e1985f8a9763c240e81`),
    plain: Buffer.alloc(0),
  },
  {
    secret: 'xPl.8/rhR"Q_1xLt',
    sealed: hex(`b5c016e93b84b473fc8a37af94936563630c36d6df1841d23a86ee51ca161f9e 00 ac19116b32f643ff
      6a56a212b265d8c56195bb0d12ce199e13dfdc5272f80c1564da2c6fc2fa18da91d8062de02af5cdafea491c6f3cae1f`),
    plain: Buffer.alloc(32),
  },
];

describe('payloads', () => {
  it('opens what the clients seal', async () => {
    for (const { secret, sealed, plain } of golden) expect(await cipher.open(secret, 'a', sealed)).toEqual(plain);
  });

  it('opens what it seals, of every length around a chunk', async () => {
    for (const length of [0, 1, 16_383, 16_384, 16_385, 32_768, 50_000]) {
      const plain = randomBytes(length);
      const sealed = await cipher.seal('sesame sesame', 'a', plain);
      expect(sealed).toHaveLength(41 + sealedLength(length));
      expect(await cipher.open('sesame sesame', 'a', sealed)).toEqual(plain);
    }
  });

  it('opens all three kinds', async () => {
    const plain = Buffer.from('{"secretKey":"12345678"}');
    for (const kind of [0, 1, 2]) {
      const header = randomBytes(41);
      header[32] = kind;
      const salt = header.subarray(0, 32);
      const key =
        kind === 2
          ? pbkdf2Sync('s', salt, 8192, 32, 'sha256')
          : await argon2id(Buffer.from('s'), salt, 1, 65_536, 4, 32);
      const name = kind === 1 ? 'chacha20-poly1305' : 'aes-256-gcm';
      const body = sealStream({ cipher: name, key, noncePrefix: header.subarray(33) }, plain);
      expect(await cipher.open('s', 'a', Buffer.concat([header, body]))).toEqual(plain);
    }
  });

  it('refuses another secret, any flipped byte, a cut, and an unknown kind', async () => {
    const sealed = Buffer.from(await cipher.seal('right', 'a', Buffer.from('hello')));
    await expect(cipher.open('wrong', 'a', sealed)).rejects.toEqual(refused);
    for (const at of [0, 33, 41, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(cipher.open('right', 'a', changed)).rejects.toEqual(refused);
    }
    for (const length of [0, 32, 41, 56, sealed.length - 1]) {
      await expect(cipher.open('right', 'a', sealed.subarray(0, length))).rejects.toEqual(refused);
    }
    const unknown = Buffer.from(sealed);
    unknown[32] = 3;
    await expect(cipher.open('right', 'a', unknown)).rejects.toEqual(refused);
  });
});

describe('answers', () => {
  it('use a key for a while, of one secret only, and never a nonce twice', async () => {
    let derived = 0;
    const counting = createPayloadCipher(
      (...parts) => {
        derived++;
        return argon2id(...parts);
      },
      { monotonicMs: () => nowMs },
    );
    const seal = (secret: string) => counting.seal(secret, 'a', Buffer.from('x'));
    const first = await seal('one');
    const second = await seal('one');
    expect(derived).toBe(1);
    expect(second.subarray(0, 33)).toEqual(first.subarray(0, 33));
    expect(second.subarray(33, 41)).not.toEqual(first.subarray(33, 41));
    expect((await seal('two')).subarray(0, 32)).not.toEqual(first.subarray(0, 32));
    nowMs += limits.adminSealKeys.lifeMs;
    expect((await seal('one')).subarray(0, 32)).not.toEqual(first.subarray(0, 32));
    expect(derived).toBe(3);
  });

  it('are made together with one derivation, and tried again after one that failed', async () => {
    let derived = 0;
    const failing = createPayloadCipher(
      (...parts) => (++derived === 1 ? Promise.reject(new Error('no memory')) : argon2id(...parts)),
      { monotonicMs: () => 0 },
    );
    const seal = () => failing.seal('one', 'a', Buffer.from('x'));
    await expect(seal()).rejects.toThrow('no memory');
    await Promise.all([seal(), seal(), seal()]);
    expect(derived).toBe(2);
  });
});

describe('the stream', () => {
  const stream = { cipher: 'aes-256-gcm', key: randomBytes(32), noncePrefix: randomBytes(8) } as const;

  it('refuses chunks that are dropped, swapped or made the last', () => {
    const plain = randomBytes(3 * 16_384);
    const sealed = sealStream(stream, plain);
    const chunk = (index: number) => sealed.subarray(index * 16_400, (index + 1) * 16_400);
    expect(openStream(stream, sealed)).toEqual(plain);
    expect(openStream(stream, Buffer.concat([chunk(0), chunk(1)]))).toBeNull();
    expect(openStream(stream, Buffer.concat([chunk(1), chunk(0), chunk(2)]))).toBeNull();
    expect(openStream(stream, Buffer.concat([chunk(0), chunk(2)]))).toBeNull();
    expect(openStream(stream, Buffer.concat([sealed, Buffer.alloc(16)]))).toBeNull();
  });
});

describe('turns', () => {
  it('run few at once, let few wait, and no account wait alone for all', async () => {
    const turns = new Turns({ running: 1, waiting: 2, waitingPerAccount: 2 });
    let running = 0;
    let most = 0;
    const ends: (() => void)[] = [];
    const work = () => {
      most = Math.max(most, ++running);
      return new Promise<void>((resolve) =>
        ends.push(() => {
          running--;
          resolve();
        }),
      );
    };
    const slow = expect.objectContaining({ code: 'SlowDown' });
    const all = [turns.take('a', work), turns.take('a', work)];
    await expect(turns.take('a', work)).rejects.toEqual(slow);
    all.push(turns.take('b', work));
    await expect(turns.take('b', work)).rejects.toEqual(slow);
    for (let ended = 0; ended < 3; ended++) {
      ends.shift()?.();
      await new Promise(setImmediate);
    }
    await Promise.all(all);
    expect(most).toBe(1);
    const after = turns.take('a', work);
    ends.shift()?.();
    await after;
  });

  it('go on after work that failed', async () => {
    const turns = new Turns({ running: 1, waiting: 1, waitingPerAccount: 2 });
    await expect(turns.take('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(turns.take('a', () => Promise.resolve(7))).resolves.toBe(7);
  });
});
