/** Records of the server itself and documents of buckets: written, read back, built anew from the log. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface World {
  running: RunningEngine;
  restart(options?: { withoutIndex?: boolean }): Promise<void>;
}

async function world(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'granary-system-'));
  cleanups.push(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const options = {
    drives: [join(folder, 'a'), join(folder, 'b')],
    indexDirectory: join(folder, 'index'),
  };
  const made: World = {
    running: await startEngine(options),
    restart: async ({ withoutIndex = false } = {}) => {
      await made.running.close();
      if (withoutIndex) rmSync(options.indexDirectory, { recursive: true });
      made.running = await startEngine(options);
    },
  };
  cleanups.push(() => made.running.close());
  return made;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const namesOf = (running: RunningEngine, prefix: string): string[] => {
  const names: string[] = [];
  running.engine.systemRecords(prefix, (name) => names.push(name));
  return names;
};

describe('system records', () => {
  it('are read back, listed in byte order by prefix, and removed', async () => {
    const { running } = await world();
    await running.engine.writeSystemRecords([
      { name: 'iam/users/é', value: bytes('3') },
      { name: 'iam/users/b', value: bytes('2') },
      { name: 'iam/users/a', value: bytes('1') },
      { name: 'iam/userz', value: bytes('4') },
      { name: 'config/x', value: bytes('') },
    ]);
    expect(Buffer.from(running.engine.systemRecord('iam/users/a') ?? []).toString()).toBe('1');
    expect(running.engine.systemRecord('config/x')).toEqual(new Uint8Array());
    expect(running.engine.systemRecord('iam/users')).toBeNull();
    expect(namesOf(running, 'iam/users/')).toEqual(['iam/users/a', 'iam/users/b', 'iam/users/é']);
    await running.engine.writeSystemRecords([
      { name: 'iam/users/a', value: null },
      { name: 'iam/users/b', value: bytes('22') },
      { name: 'iam/users/none', value: null },
    ]);
    expect(namesOf(running, 'iam/users/')).toEqual(['iam/users/b', 'iam/users/é']);
    expect(Buffer.from(running.engine.systemRecord('iam/users/b') ?? []).toString()).toBe('22');
  });

  it.each([false, true])('survive a start (index rebuilt from the logs: %s)', async (withoutIndex) => {
    const it = await world();
    await it.running.engine.writeSystemRecords([
      { name: 'x/1', value: bytes('one') },
      { name: 'x/2', value: bytes('two') },
    ]);
    await it.running.engine.writeSystemRecords([{ name: 'x/1', value: null }]);
    await it.restart({ withoutIndex });
    expect(namesOf(it.running, 'x/')).toEqual(['x/2']);
    expect(Buffer.from(it.running.engine.systemRecord('x/2') ?? []).toString()).toBe('two');
  });

  it('are no keys and no buckets', async () => {
    const { running } = await world();
    await running.engine.createBucket('b', { region: '' });
    await running.engine.writeSystemRecords([{ name: 'b/key', value: bytes('x') }]);
    expect(running.engine.listBuckets()).toHaveLength(1);
    expect(() => running.engine.head('b', 'b/key', '')).toThrow('NoSuchKey');
    await running.engine.deleteBucket('b');
    expect(running.engine.systemRecord('b/key')).not.toBeNull();
  });

  it('refuse what would break the log: a name twice, a long name, too many bytes', async () => {
    const { engine } = (await world()).running;
    const value = bytes('x');
    await expect(
      engine.writeSystemRecords([
        { name: 'a', value },
        { name: 'a', value },
      ]),
    ).rejects.toThrow('changed once');
    await expect(engine.writeSystemRecords([{ name: 'n'.repeat(901), value }])).rejects.toThrow('bound');
    await expect(engine.writeSystemRecords([{ name: 'a', value: new Uint8Array(2 << 20) }])).rejects.toThrow('bound');
    expect(engine.systemRecord('a')).toBeNull();
  });
});

describe('bucket documents', () => {
  it('are kept by kind, stay the same object until changed, and can be removed', async () => {
    const { engine } = (await world()).running;
    await engine.createBucket('b', { region: '' });
    expect(engine.bucketDocument('b', 'policy')).toBeNull();
    await engine.setBucketDocument('b', 'policy', '{"a":1}');
    await engine.setBucketDocument('b', 'tagging', '<ü/>');
    const first = engine.bucketDocument('b', 'policy');
    expect(first?.text).toBe('{"a":1}');
    expect(first?.updatedMs).toBeGreaterThan(0);
    expect(engine.bucketDocument('b', 'policy')).toBe(first);
    await engine.setBucketDocument('b', 'policy', '{"a":1}');
    expect(engine.bucketDocument('b', 'policy')).not.toBe(first);
    await engine.setBucketDocument('b', 'policy', null);
    expect(engine.bucketDocument('b', 'policy')).toBeNull();
    expect(engine.bucketDocument('b', 'tagging')?.text).toBe('<ü/>');
  });

  it.each([false, true])('survive a start (index rebuilt from the logs: %s)', async (withoutIndex) => {
    const it = await world();
    await it.running.engine.createBucket('b', { region: '' });
    await it.running.engine.setBucketDocument('b', 'versioning', 'on');
    await it.running.engine.setBucketDocument('b', 'quota', 'gone');
    await it.running.engine.setBucketDocument('b', 'quota', null);
    const before = it.running.engine.bucketDocument('b', 'versioning');
    await it.restart({ withoutIndex });
    expect(it.running.engine.bucketDocument('b', 'versioning')).toEqual(before);
    expect(it.running.engine.bucketDocument('b', 'quota')).toBeNull();
  });

  it('go with their bucket and do not come back with its name', async () => {
    const it = await world();
    await it.running.engine.createBucket('b', { region: '' });
    await it.running.engine.setBucketDocument('b', 'policy', 'open');
    await it.running.engine.deleteBucket('b');
    expect(() => it.running.engine.bucketDocument('b', 'policy')).toThrow('NoSuchBucket');
    await expect(it.running.engine.setBucketDocument('b', 'policy', 'x')).rejects.toThrow('NoSuchBucket');
    await it.running.engine.createBucket('b', { region: '' });
    expect(it.running.engine.bucketDocument('b', 'policy')).toBeNull();
    await it.restart();
    expect(it.running.engine.bucketDocument('b', 'policy')).toBeNull();
  });

  it('a document under way when its bucket is deleted goes too, or is refused', async () => {
    const it = await world();
    await it.running.engine.createBucket('b', { region: '' });
    const outcomes = await Promise.allSettled([
      it.running.engine.setBucketDocument('b', 'policy', 'one'),
      it.running.engine.deleteBucket('b'),
      it.running.engine.setBucketDocument('b', 'cors', 'two'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await it.running.engine.createBucket('b', { region: '' });
    expect(it.running.engine.bucketDocument('b', 'policy')).toBeNull();
    await it.restart({ withoutIndex: true });
    expect(it.running.engine.bucketDocument('b', 'policy')).toBeNull();
  });
});
