import { expect, it } from 'vitest';
import { iamWorld, rootCredentials } from '../../support/memory-iam.js';
import { stsWorld } from '../../support/sts-world.js';

/** What becomes of temporary credentials when the server starts anew, on the same records. */
async function before() {
  const world = await stsWorld();
  await world.iam.setUser('ann', { secretKey: 'secret-of-ann', status: 'enabled' });
  const ann = { accessKey: 'ann', secretKey: 'secret-of-ann' };
  const [short, long] = [
    (await world.assume(ann, { DurationSeconds: '900', TokenRevokeType: 'batch' })).credentials,
    (await world.assume(ann, { DurationSeconds: '7200', TokenRevokeType: 'batch' })).credentials,
  ];
  if (short === null || long === null) throw new Error('no credentials');
  return { world, short, long };
}

it('they go on, with their token and their tag, until they end', async () => {
  const { world, short, long } = await before();
  world.clock.ms += 900_000;
  const again = await iamWorld({ store: world.store, clock: world.clock });
  expect(again.iam.credentials.lookup(short.accessKey)).toBeNull();
  expect(again.iam.credentials.lookup(long.accessKey)).toMatchObject({
    secretKey: long.secretKey,
    sessionToken: long.sessionToken,
    principal: { kind: 'temporary', account: 'ann', source: 'internal' },
  });
  expect(await again.iam.revokeSessions('ann', 'other')).toBe(0);
  expect(await again.iam.revokeSessions('ann', 'batch')).toBe(1);
  expect(again.iam.credentials.lookup(long.accessKey)).toBeNull();
  const third = await iamWorld({ store: world.store, clock: world.clock });
  expect(third.iam.credentials.lookup(long.accessKey)).toBeNull();
});

it('they end when the root password is another one, and users stay', async () => {
  const { world, long } = await before();
  const root = { ...rootCredentials, secretKey: 'another-root-secret' };
  const again = await iamWorld({ store: world.store, clock: world.clock, root, oldRoot: rootCredentials });
  expect(again.iam.credentials.lookup(long.accessKey)).toBeNull();
  expect(again.iam.credentials.lookup('ann')).not.toBeNull();
  await again.sweep();
  expect([...world.store.records.keys()].filter((name) => name.startsWith('iam/keys/'))).toEqual([]);
});
