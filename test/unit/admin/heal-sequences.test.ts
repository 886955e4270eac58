import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { HealSequences, type HealWalk } from '../../../src/admin/heal-sequences.js';
import type { ObjectHealResult } from '../../../src/object/index.js';

const settings = { recursive: true, dryRun: false, scanMode: 1 };
const result = (bucket: string, key: string): ObjectHealResult => ({
  bucket,
  key,
  versionId: 'null',
  setIndex: 0,
  bytes: 1,
  dataShards: 1,
  parityShards: 0,
  before: ['sound'],
  after: ['sound'],
  isInline: false,
});

function world(counts: Readonly<Record<string, number>>, hold?: Promise<void>) {
  const time = { ms: 0 };
  let walked = 0;
  const walk: HealWalk = {
    bucketNames: () => Object.keys(counts),
    async *objects({ bucket, prefix, isStopped }) {
      await hold;
      for (let index = 0; index < (counts[bucket] ?? 0); index++) {
        if (isStopped()) return;
        walked++;
        const key = `key-${index}`;
        if (key.startsWith(prefix)) yield result(bucket, key);
      }
    },
  };
  const clock = { nowMs: () => 1000 + time.ms, monotonicMs: () => time.ms };
  const sequences = new HealSequences(walk, clock);
  const start = (bucket: string, prefix = '', more: Partial<typeof settings> = {}, isForced = false) =>
    sequences.start({ bucket, prefix, settings: { ...settings, ...more }, clientAddress: '127.0.0.1', isForced });
  return { sequences, start, time, walkedCount: () => walked };
}

const names = (items: readonly { bucket: string; object: ObjectHealResult | null }[]) =>
  items.map(({ bucket, object }) => (object === null ? bucket : `${bucket}/${object.key}`));
const refused = (code: string) => expect.objectContaining({ code }) as Error;

describe('a healing', () => {
  test('of everything reports each bucket and each object, once', async () => {
    const { sequences, start } = world({ one: 2, two: 1 });
    const { token, path, startedMs } = start('');
    expect([path, startedMs]).toEqual(['', 1000]);
    for (let index = 0; index < 20; index++) await turn();
    const progress = sequences.poll('', '', token);
    expect(progress.summary).toBe('finished');
    expect(names(progress.items)).toEqual(['one', 'one/key-0', 'one/key-1', 'two', 'two/key-0']);
    expect(progress.items.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
    expect(sequences.poll('', '', token).items).toEqual([]);
  });

  test('that is not recursive is of the bucket alone, or of one object', async () => {
    const { sequences, start } = world({ one: 3 });
    const bucket = start('one', '', { recursive: false });
    const object = world({ one: 3 });
    const one = object.start('one', 'key-0', { recursive: false });
    for (let index = 0; index < 20; index++) await turn();
    expect(names(sequences.poll('one', '', bucket.token).items)).toEqual(['one']);
    expect(names(object.sequences.poll('one', 'key-0', one.token).items)).toEqual(['one', 'one/key-0']);
  });

  test('waits while nobody fetches its results, and goes on when somebody does', async () => {
    const { sequences, start, walkedCount } = world({ one: 2500 });
    const { token } = start('one');
    for (let index = 0; index < 3000; index++) await turn();
    expect(walkedCount()).toBeLessThan(1002);
    let count = 0;
    for (let rounds = 0; rounds < 10; rounds++) {
      const progress = sequences.poll('one', '', token);
      expect(progress.items.length).toBeLessThanOrEqual(1000);
      count += progress.items.length;
      if (progress.summary === 'finished' && progress.items.length === 0) break;
      for (let index = 0; index < 3000; index++) await turn();
    }
    expect(count).toBe(2501);
  });

  test('is refused for a bucket that is not there, a place that is being healed, and one inside of it', () => {
    const never = new Promise<void>(() => undefined);
    const { sequences, start } = world({ one: 1, two: 1 }, never);
    expect(() => start('three')).toThrow(refused('NoSuchBucket'));
    start('one', 'a/');
    expect(() => start('one', 'a/')).toThrow(refused('XMinioHealAlreadyRunning'));
    expect(() => start('one')).toThrow(refused('XMinioHealOverlappingPaths'));
    expect(() => start('one', 'a/b')).toThrow(refused('XMinioHealOverlappingPaths'));
    expect(() => start('')).toThrow(refused('XMinioHealOverlappingPaths'));
    start('one', 'b/');
    start('one', 'c/');
    start('two');
    expect(() => start('one', 'd/')).toThrow(refused('SlowDown'));
    sequences.stop('two', '');
    start('one', 'd/');
  });

  test('can be started anew by force, and stopped', async () => {
    let release: () => void = () => undefined;
    const hold = new Promise<void>((resolve) => (release = resolve));
    const { sequences, start } = world({ one: 5 }, hold);
    const first = start('one');
    const second = start('one', '', {}, true);
    expect(() => sequences.poll('one', '', first.token)).toThrow(refused('XMinioHealInvalidClientToken'));
    expect(() => sequences.poll('two', '', second.token)).toThrow(refused('XMinioHealNoSuchProcess'));
    expect(sequences.stop('one', '').token).toBe(second.token);
    release();
    for (let index = 0; index < 20; index++) await turn();
    const progress = sequences.poll('one', '', second.token);
    expect([progress.summary, progress.detail, names(progress.items)]).toEqual([
      'stopped',
      'It was asked to stop.',
      ['one'],
    ]);
    expect(() => sequences.stop('two', '')).toThrow(refused('XMinioHealNoSuchProcess'));
  });

  test('is forgotten a while after its end', async () => {
    const { sequences, start, time } = world({ one: 1 });
    const { token } = start('one');
    for (let index = 0; index < 20; index++) await turn();
    time.ms = 9 * 60_000;
    expect(sequences.poll('one', '', token).summary).toBe('finished');
    time.ms = 20 * 60_000;
    expect(() => sequences.poll('one', '', token)).toThrow(refused('XMinioHealNoSuchProcess'));
  });

  test('that meets an error says so', async () => {
    const failing: HealWalk = {
      bucketNames: () => ['one'],
      objects: () => {
        throw new Error('no memory');
      },
    };
    const sequences = new HealSequences(failing, { nowMs: () => 0, monotonicMs: () => 0 });
    const { token } = sequences.start({ bucket: 'one', prefix: '', settings, clientAddress: '', isForced: false });
    for (let index = 0; index < 20; index++) await turn();
    expect(sequences.poll('one', '', token)).toMatchObject({ summary: 'stopped', detail: 'no memory' });
  });
});
