/** What a walk through a log file takes for damage, and what for the leavings of a crash. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { JournalSet, quietLog } from '../../support/journal-set.js';
import type { OpenedJournal } from '../../../src/journal/index.js';

const pageBytes = 4096;
const all = 0b1111;
let set: JournalSet;
let opened: OpenedJournal;
let lines: { readonly message: string; readonly details: unknown }[];

beforeEach(async () => {
  set = new JournalSet(4, 2);
  lines = [];
  const info = (message: string, details: unknown): void => void lines.push({ message, details });
  opened = await set.open({ log: { ...quietLog, info } });
  while (set.index.position === null || set.index.position.fileNumber < 2) await commit(1);
});

afterEach(async () => {
  await opened.journal.close();
});

async function commit(count: number) {
  for (let index = 0; index < count; index++) {
    const { prepared, release } = set.record(`record ${index}`, 90_000);
    await opened.journal.commit(() => prepared);
    release();
  }
}

function verify() {
  const pace = () => Promise.resolve();
  return opened.journal.verifyFile(1, { positions: all, isRepair: true, pace });
}

/** The first page behind the last batch of a file. */
function endOf(file: Uint8Array): number {
  let end = file.length;
  while (end > 0 && file.subarray(end - pageBytes, end).every((byte) => byte === 0)) end -= pageBytes;
  return end;
}

function fileOne(position: number): Uint8Array {
  const file = set.stores[position]?.files.get(1);
  if (file === undefined) throw new Error('the drive has no first file');
  return file;
}

it('finds nothing in what a crash left behind the last batch of a file, when the next goes on from there', async () => {
  const end = endOf(fileOne(1));
  expect(end).toBeLessThan(fileOne(1).length);
  fileOne(1).fill(0xa5, end, end + pageBytes);
  const report = await verify();
  expect(report).toMatchObject({ sound: all, bad: 0, holes: 0, unreadable: 0 });
  expect(report.batches).toBeGreaterThan(4);
});

it('says in one line how many batches of a file were written anew', async () => {
  // Of batches that take more than sixteen pages each.
  for (const page of [20, 40, 60]) fileOne(2).fill(0xa5, page * pageBytes, (page + 1) * pageBytes);
  const report = await verify();
  expect(report).toMatchObject({ sound: all, bad: 3, repaired: 3 });
  const details = { position: 2, fileNumber: 1, batches: 3 };
  expect(lines).toEqual([{ message: 'Damaged batches of the log were written anew', details }]);
});

it('finds a batch that is gone from the middle on every drive', async () => {
  // One batch takes more than sixteen pages.
  const [from, to] = [16 * pageBytes, 48 * pageBytes];
  for (let position = 0; position < 4; position++) fileOne(position).fill(0xa5, from, to);
  const report = await verify();
  expect(report.sound).toBe(0);
  expect(report.holes).toBeGreaterThan(0);
});

it('finds nothing wrong with what is written behind it while it goes', async () => {
  await commit(5);
  let isWriting = false;
  const pace = async () => {
    if (isWriting) return;
    isWriting = true;
    await commit(5);
  };
  const report = await opened.journal.verifyFile(2, { positions: all, isRepair: true, pace });
  expect(isWriting).toBe(true);
  expect(report).toMatchObject({ sound: all, bad: 0, repaired: 0, holes: 0, unreadable: 0 });
});

it('has a file made anew that a drive has lost, or a part of it, and says so at the start', async () => {
  const whole = Buffer.from(fileOne(0));
  const bytes = whole.length;
  const ofOthers = [1, 3].map((position) => Buffer.from(fileOne(position)));
  await opened.journal.close();
  set.stores[1]?.files.delete(1);
  set.stores[3]?.files.set(1, Buffer.from(fileOne(3).subarray(0, 300_000)));
  const warnings: string[] = [];
  opened = await set.open({ log: { ...quietLog, warn: (message) => void warnings.push(message) } });
  const ofStart = [...opened.report.hollowFiles].sort((a, b) => a.position - b.position);
  expect(ofStart).toEqual([
    { position: 1, fileNumber: 1 },
    { position: 3, fileNumber: 1 },
  ]);
  expect(warnings.sort()).toEqual([
    'A log file is missing: it is made anew and filled from the other drives',
    'A log file was cut short: it has its full length again',
  ]);
  const report = await verify();
  expect(report).toMatchObject({ sound: all, holes: 0, unreadable: 0 });
  expect(report.repaired).toBe(report.bad);
  expect(report.bad).toBeGreaterThan(4);
  for (const [index, position] of [1, 3].entries()) {
    expect(fileOne(position).length).toBe(bytes);
    expect(Buffer.from(fileOne(position)).equals(ofOthers[index] ?? whole)).toBe(true);
  }
  await opened.journal.close();
  opened = await set.open();
  expect(opened.report.hollowFiles).toEqual([]);
});
