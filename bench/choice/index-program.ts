/**
 * One store of the choice of the index, in a process of its own: its CPU time is then the process's, it can be killed, and
 * it may die of what is done to it. `node index-program.js TASK KIND FOLDER BATCHES`; the answer is a line of JSON.
 */
import { openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { indexKinds, loseData, openIndex, type IndexKind, type IndexStore } from './index-store.js';

/** What follows a batch of the log under load, besides the position that the index stands at then. */
const batchEntries = 60;
const keyBytes = 50;
/** The record of a small object. */
const valueBytes = 300;
const pageEntries = 1000;
const listMs = 1500;
const warmUpWalks = 2;
/** A replay need not make every batch visible: this gathers a thousand entries. */
const replayedAtOnce = 16;
/** The signal comes some way into them. */
const batchesBeforeKill = 300;
const readsOfFailing = 200;
/** A prime above any number of entries here: multiples of it visit all of them, in no order. */
const stride = 15_485_863;

export interface WorkFigures {
  readonly operations: number;
  readonly elapsedMicros: number;
  readonly cpuMicros: number;
}

export interface RestartFigures {
  readonly milliseconds: number;
  /** Entries that the store did not have any more: written again, as by a replay of the log. */
  readonly replayed: number;
}

/** Of a store whose files cannot be read any more; a process that dies of it answers nothing. */
export interface FailingFigures {
  readonly errors: number;
  /** Reads that claim to have found nothing, or the end. */
  readonly wrongAnswers: number;
}

const positionKey = Buffer.from('!position');
const first = Buffer.from('objects/');
const end = Buffer.from('objects0');

/** Windows of it are values: no two entries of a batch have the same. */
const source = Buffer.alloc(1 << 20);
for (let at = 0; at < source.length; at += 4) source.writeUInt32LE(Math.imul(at + 1, 2654435761) >>> 0, at);

function keyOf(index: number, entries: number): Buffer {
  const number = ((index * stride) % entries).toString().padStart(10, '0');
  return Buffer.from(`objects/${number}/`.padEnd(keyBytes, 'a-name-of-a-file-'));
}

function valueOf(index: number): Buffer {
  const at = (index * 4 * 1009) % (source.length - valueBytes);
  return source.subarray(at, at + valueBytes);
}

type Batch = readonly { readonly key: Buffer; readonly value: Buffer }[];

/** Keys in no order; the last entry of each says that the store stands behind it. */
function batchesFrom(from: number, batches: number): Batch[] {
  const entries = batches * batchEntries;
  return Array.from({ length: batches - from }, (_, at) => {
    const batch = from + at;
    const position = Buffer.alloc(4);
    position.writeUInt32LE(batch + 1);
    const objects = Array.from({ length: batchEntries }, (_, entry) => {
      const index = batch * batchEntries + entry;
      return { key: keyOf(index, entries), value: valueOf(index) };
    });
    return [...objects, { key: positionKey, value: position }];
  });
}

async function writeAll(store: IndexStore, batches: readonly Batch[]): Promise<void> {
  for (const batch of batches) {
    await store.write((to) => {
      for (const { key, value } of batch) to.put(key, value);
    });
  }
}

async function measured(operations: number, work: () => Promise<void> | void): Promise<WorkFigures> {
  const before = process.cpuUsage();
  const start = performance.now();
  await work();
  const elapsedMicros = (performance.now() - start) * 1000;
  const { user, system } = process.cpuUsage(before);
  return { operations, elapsedMicros, cpuMicros: user + system };
}

interface Task {
  readonly kind: IndexKind;
  readonly folder: string;
  readonly batches: number;
}

/** Until the last of it is on the disk: what a store puts off is part of its cost. */
async function put({ kind, folder, batches }: Task): Promise<WorkFigures> {
  const all = batchesFrom(0, batches);
  const store = await openIndex(kind, folder);
  const figures = await measured(batches * batchEntries, async () => {
    await writeAll(store, all);
    await store.close();
  });
  rmSync(folder, { recursive: true });
  return figures;
}

/** From page to page, as a client asks for them. */
function walk(store: IndexStore): number {
  let start: Uint8Array = first;
  let seen = 0;
  for (;;) {
    let inPage = 0;
    for (const { key, value } of store.range({ start, end, limit: pageEntries })) {
      if (value.length !== valueBytes) throw new Error('a listing has another value than was written');
      inPage++;
      start = key;
    }
    seen += inPage;
    if (inPage < pageEntries) return seen;
    start = Buffer.concat([start, Buffer.alloc(1)]);
  }
}

/** Of an index that was written before; what is read is in memory after the first walk. */
async function list({ kind, folder, batches }: Task): Promise<WorkFigures> {
  const entries = batches * batchEntries;
  const store = await openIndex(kind, folder);
  for (let round = 0; round < warmUpWalks; round++) {
    if (walk(store) !== entries) throw new Error('a listing does not show what was written');
  }
  const start = performance.now();
  let walks = 0;
  const figures = await measured(entries, () => {
    do {
      walk(store);
      walks++;
    } while (performance.now() - start < listMs);
  });
  await store.close();
  return { ...figures, operations: entries * walks };
}

async function fill({ kind, folder, batches }: Task): Promise<object> {
  const store = await openIndex(kind, folder);
  await writeAll(store, batchesFrom(0, batches));
  await store.close();
  return {};
}

/** Stands for the log: how many batches had been written when the process was killed. */
const logOf = (folder: string): string => `${folder}.log`;

/** Says when most is written, and goes on until it is killed. */
async function fillUntilKilled({ kind, folder, batches }: Task): Promise<object> {
  const all = batchesFrom(0, batches);
  const store = await openIndex(kind, folder);
  const log = openSync(logOf(folder), 'w');
  for (const [index, batch] of all.entries()) {
    // The log first: the index is never ahead of it.
    writeSync(log, String(index + 1), 0);
    await writeAll(store, [batch]);
    if (index === all.length - batchesBeforeKill) process.stdout.write('{}\n');
  }
  setInterval(() => store.get(positionKey), 60_000);
  return {};
}

async function restart({ kind, folder, batches }: Task): Promise<RestartFigures> {
  // What a replay would read from the log, which costs all of them the same.
  const written = Number(readFileSync(logOf(folder), 'utf8'));
  const all = batchesFrom(0, batches).slice(0, written);
  const start = performance.now();
  const store = await openIndex(kind, folder);
  const position = store.get(positionKey)?.readUInt32LE(0) ?? 0;
  for (let at = position; at < all.length; at += replayedAtOnce) {
    await writeAll(store, [all.slice(at, at + replayedAtOnce).flat()]);
  }
  const isThere = store.get(keyOf(0, batches * batchEntries))?.equals(valueOf(0)) === true;
  const milliseconds = performance.now() - start;
  if (!isThere) throw new Error('the index has lost what it was given');
  const objects = all.flatMap((batch) => batch.slice(0, batchEntries));
  for (const { key, value } of objects) {
    if (store.get(key)?.equals(value) !== true) throw new Error('the index has lost some of what it was given');
  }
  await store.close();
  return { milliseconds, replayed: (written - position) * batchEntries };
}

async function failing({ kind, folder, batches }: Task): Promise<FailingFigures> {
  const entries = batches * batchEntries;
  const store = await openIndex(kind, folder);
  if (store.get(keyOf(0, entries)) === undefined) throw new Error('the index is empty');
  loseData(kind, folder);
  let errors = 0;
  let wrongAnswers = 0;
  const attempt = (read: () => boolean): void => {
    try {
      if (!read()) wrongAnswers++;
    } catch {
      errors++;
    }
  };
  // All over the file: a few may still come from a cache of the store, which is right.
  for (let read = 0; read < readsOfFailing; read++) {
    const index = Math.floor((read * entries) / readsOfFailing);
    attempt(() => store.get(keyOf(index, entries))?.equals(valueOf(index)) === true);
  }
  attempt(() => walk(store) === entries);
  // It goes on after that.
  await store.write((batch) => {
    batch.put(positionKey, Buffer.alloc(4));
  });
  if (store.get(positionKey)?.length !== 4) wrongAnswers++;
  return { errors, wrongAnswers };
}

const tasks = { put, list, fill, fillUntilKilled, restart, failing } as const;
export type IndexTask = keyof typeof tasks;

const [, , taskName = '', kindName = '', folder = '', batches = ''] = process.argv;
const task = Object.entries(tasks).find(([name]) => name === taskName)?.[1];
const kind = indexKinds.find((name) => name === kindName);
if (task === undefined || kind === undefined) throw new Error('index-program TASK KIND FOLDER BATCHES');
process.stdout.write(`${JSON.stringify(await task({ kind, folder, batches: Number(batches) }))}\n`);
