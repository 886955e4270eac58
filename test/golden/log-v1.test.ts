import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MiB } from '../../src/base/index.js';
import { BatchCodec } from '../../src/journal/batch-codec.js';
import { DriveStateFile } from '../../src/journal/drive-state.js';
import { kernels } from '../../src/native/index.js';
import { JournalSet, TestIndex, testArena } from '../support/journal-set.js';

/** The bytes that version 1 of the log writes, as docs/format/log.md describes them. They never change. */
const golden = (name: string): string => join(import.meta.dirname, `log-v1.${name}.bin`);
const positions = [0, 1, 2];
const usedBytes = 5 * 4096;

const pendingHeals = [
  { order: 131_073, fileNumber: 1, fileOffset: 4096 },
  { order: 2 ** 40 + 5, fileNumber: 7, fileOffset: 2 ** 33 },
];

async function writeSet(): Promise<JournalSet> {
  const set = new JournalSet(3, 2);
  const { journal } = await set.open();
  const first = set.record('a small object', 100);
  const commits = [
    journal.commit(() => first.prepared),
    journal.commit(() => ({ type: 513, body: new Uint8Array(Buffer.from('a tombstone')), slots: null })),
  ];
  await Promise.all(commits);
  first.release();
  const second = set.record('a larger object', 5000);
  await journal.commit(() => second.prepared);
  second.release();
  await journal.close();
  return set;
}

async function writeState(set: JournalSet): Promise<void> {
  const [store] = set.stores;
  if (store === undefined) throw new Error('three drives');
  const identity = { deploymentId: Buffer.alloc(16), setIndex: 0, driveCount: 3, dataShards: 2 };
  const opened = await DriveStateFile.open(new BatchCodec(identity, testArena(), kernels), store);
  if (!opened.ok) throw new Error('memory does not fail');
  expect(await opened.value.write({ isWitness: false, pendingHeals })).toBeNull();
}

it('writes the bytes of version 1', async () => {
  const set = await writeSet();
  await writeState(set);
  for (const position of positions) {
    const file = set.stores[position]?.files.get(1);
    expect(file?.subarray(usedBytes).every((byte) => byte === 0)).toBe(true);
    compare(`drive${String(position)}`, file?.subarray(0, usedBytes));
  }
  compare('state', set.stores[0]?.files.get(0)?.subarray(256 * 1024, 256 * 1024 + 128));
});

/** GOLDEN_WRITE=1 makes the files: only for a new version of the format, under a new name. */
function compare(name: string, bytes: Buffer | undefined): void {
  if (bytes === undefined) throw new Error('nothing was written');
  if (process.env['GOLDEN_WRITE'] === '1' && !existsSync(golden(name))) writeFileSync(golden(name), bytes);
  expect(readFileSync(golden(name)).equals(bytes), `${name} is as it always was`).toBe(true);
}

it('reads the bytes of version 1', async () => {
  const set = new JournalSet(3, 2);
  for (const position of positions) {
    const file = Buffer.alloc(MiB);
    readFileSync(golden(`drive${String(position)}`)).copy(file);
    set.stores[position]?.files.set(1, file);
  }
  set.index = new TestIndex();
  const { journal, report } = await set.open();
  expect(report).toMatchObject({ isReadOnly: false, replayedBatches: 2, droppedBatches: 0, lostPlaces: 0 });
  expect(set.index.bodies).toEqual(['a small object', 'a tombstone', 'a larger object']);
  expect(set.index.records.map((record) => record.type)).toEqual([2, 513, 2]);
  expect(set.index.records.map((record) => record.order)).toEqual([131_072, 131_073, 196_608]);
  for (const record of set.index.records) {
    if (record.slots !== null) expect(set.validSlots(record)).toEqual(positions);
  }
  await journal.close();
});

it('reads the notes of version 1', async () => {
  const set = new JournalSet(3, 2);
  const [store] = set.stores;
  if (store === undefined) throw new Error('three drives');
  const file = Buffer.alloc(512 * 1024);
  readFileSync(golden('state')).copy(file, 256 * 1024);
  store.files.set(0, file);
  const identity = { deploymentId: Buffer.alloc(16), setIndex: 0, driveCount: 3, dataShards: 2 };
  const opened = await DriveStateFile.open(new BatchCodec(identity, testArena(), kernels), store);
  expect(opened.ok && opened.value.state).toMatchObject({ isWitness: false, pendingHeals });
});
