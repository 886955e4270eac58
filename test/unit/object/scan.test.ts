/** The scan finds what nobody reads, has it repaired, and keeps its place. */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { blobSubfolder } from '../../../src/drive/layout.js';
import {
  decodeScanState,
  encodeScanState,
  loadScanState,
  noCounts,
  saveScanState,
  type ScanState,
} from '../../../src/object/scan-state.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { filesBelow, startEngine, type RunningEngine } from '../../support/running-engine.js';
import { readAll } from '../../support/workload.js';

let folder = '';
let drives: string[] = [];
let running: RunningEngine;
const bodies = new Map<string, Buffer>();
const full = { bytesPerSecondMax: Number.MAX_SAFE_INTEGER, shareMax: 1 };
const dayMs = 86_400_000;

async function store(key: string, body: Buffer): Promise<void> {
  await (await finishedUpload(running.engine, key, body)).commitObject(plain);
  bodies.set(key, body);
}

async function start(sweepAfterMs = 50): Promise<void> {
  running = await startEngine({ drives, indexDirectory: join(folder, 'index'), logFileBytes: 2 << 20, sweepAfterMs });
  running.engine.setUpkeep({ heal: full, scan: { pace: full, cycleMsMin: dayMs } });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-scan-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  await start();
  await running.engine.createBucket('b', { region: '' });
  for (const [key, bytes] of Object.entries({
    inline: 300,
    small: 40_000,
    slots: 200_000,
    one: 600_001,
    many: 2_500_007,
  }))
    await store(key, randomBytes(bytes));
});

afterAll(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Every blob and every log, the spare and unused ones too. */
function contents(): string[] {
  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  return drives
    .flatMap((drive) => filesBelow(drive).filter((file) => file.includes('/blobs/') || file.endsWith('.log')))
    .map((file) => `${file} ${digest(file)}`)
    .sort();
}

function flip(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  const there = Buffer.alloc(3);
  readSync(fd, there, 0, 3, at);
  writeSync(
    fd,
    there.map((byte) => byte ^ 0xff),
    0,
    3,
    at,
  );
  closeSync(fd);
}

const logOf = (drive: number): string => join(drives[drive] ?? '', 'log', '00000001.log');
const blobsOf = (drive: number): string[] => filesBelow(join(drives[drive] ?? '', 'blobs'));

describe('a cycle', () => {
  it('finds nothing where nothing is wrong', async () => {
    await running.engine.upkeepDone();
    const { phase, cycles, current, last } = running.engine.upkeepStatus().scan;
    expect({ phase, current }).toEqual({ phase: 'idle', current: null });
    expect(cycles).toBeGreaterThan(0);
    expect(last).toMatchObject({ objects: 2, shards: 8, badShards: 0, missingShards: 0, badBatches: 0 });
    expect(last).toMatchObject({ unreadableObjects: 0, repaired: 0, orphansRemoved: 0, usageCorrected: 0 });
    expect(last?.bytes).toBeGreaterThan(2 * 3_100_000);
    expect(last?.batches).toBeGreaterThan(4 * 6);
  });

  it('has everything repaired that is wrong on as many drives as there is parity, without a read', async () => {
    const before = contents();
    for (const drive of [1, 3]) {
      const [first = '', second = ''] = blobsOf(drive);
      rmSync(first);
      flip(second, statSync(second).size - 1000);
      // Headers, records, slots.
      for (let at = 4100; at < 110_000; at += 20_001) flip(logOf(drive), at);
    }
    expect(contents()).not.toEqual(before);
    await running.engine.upkeepDone();
    expect(contents()).toEqual(before);
    const { scan, heal } = running.engine.upkeepStatus();
    expect(scan.last).toMatchObject({ badShards: 2, missingShards: 2, unreadableObjects: 0 });
    expect(scan.last?.badBatches).toBeGreaterThanOrEqual(4);
    expect(heal.repairedShards).toBe(4 + (scan.last?.badBatches ?? 0));
    expect(heal).toMatchObject({ waiting: 0, failedAttempts: 0 });
  });

  it('removes no file that a record names, however damaged, and counts what cannot be read', async () => {
    const name = blobsOf(0).reduce((a, b) => (statSync(a).size >= statSync(b).size ? a : b));
    const files = [0, 1, 2].map((drive) => name.replace('/drive1/', `/drive${drive + 1}/`));
    for (const file of files) flip(file, 8192 + 77);
    const before = contents();
    await running.engine.upkeepDone();
    expect(running.engine.upkeepStatus().scan.last).toMatchObject({ badShards: 3, unreadableObjects: 1 });
    expect(contents()).toEqual(before);
    // It was the copies' fault: two of them are back.
    for (const file of files.slice(0, 2)) flip(file, 8192 + 77);
    await running.engine.upkeepDone();
    for (const [key, body] of bodies) {
      const found = await readAll(running.engine.open('b', key, ''), 0, body.length);
      expect(found.equals(body), key).toBe(true);
    }
    expect(running.engine.upkeepStatus().heal.waiting).toBe(0);
  });

  it('removes leftovers and puts wrong counters right', async () => {
    const orphan = '00000000000000000077';
    const path = join(drives[2] ?? '', 'blobs', blobSubfolder(orphan), orphan);
    writeFileSync(path, 'of an upload that a crash cut off');
    const right = running.engine.bucketUsage('b');
    const { catalog } = running.engine.index;
    const [key] = [...catalog.range({ start: Buffer.from('C'), end: Buffer.from('D') })].map((entry) => entry.key);
    const wrong = Buffer.from(catalog.get(key ?? Buffer.alloc(0)) ?? Buffer.alloc(0));
    wrong[0] = 99;
    await catalog.write((batch) => batch.put(key ?? Buffer.alloc(0), wrong));
    await running.close();
    await start();
    expect(running.engine.bucketUsage('b').objects).toBe(99);
    await running.engine.upkeepDone();
    expect(running.engine.bucketUsage('b')).toEqual(right);
    expect(running.engine.upkeepStatus().scan.last).toMatchObject({ usageCorrected: 1 });
    expect(blobsOf(2)).not.toContain(path);
    expect(running.lines.join('\n')).toContain('1 leftover files');
  });
});

describe('the place of the scan', () => {
  it('is kept over a stop, and the cycle goes on from there', async () => {
    const { cycles } = running.engine.upkeepStatus().scan;
    // So slow that it cannot come to its end.
    const slow = { bytesPerSecondMax: 1000, shareMax: 1 };
    running.engine.setUpkeep({ heal: full, scan: { pace: slow, cycleMsMin: dayMs } });
    running.engine.scanNow();
    await expect.poll(() => running.engine.upkeepStatus().scan.phase).toBe('log');
    const { current } = running.engine.upkeepStatus().scan;
    await running.close();
    await start();
    await expect.poll(() => running.engine.upkeepStatus().scan.last?.startedMs).toBe(current?.startedMs);
    expect(running.engine.upkeepStatus().scan.cycles).toBe(cycles + 1);
  });

  it('is written as it is read', () => {
    const counts = { ...noCounts(), objects: 7, bytes: 2 ** 40, badShards: 1 };
    const states: ScanState[] = [
      { cycles: 0, current: null, last: null },
      { cycles: 3, current: { startedMs: 5, phase: 'blobs', logFile: 9, from: Buffer.from('Ok'), counts }, last: null },
      { cycles: 4, current: null, last: { ...counts, startedMs: 5, endedMs: 6 } },
    ];
    for (const state of states) expect(decodeScanState(encodeScanState(state))).toEqual(state);
  });

  it('is forgotten when it cannot be read', async () => {
    const { catalog } = running.engine.index;
    for (const hex of ['', '09', '01', '0100000000000000000109']) {
      await catalog.write((batch) => batch.put(Buffer.from('X'), Buffer.from(hex, 'hex')));
      expect(loadScanState(catalog)).toEqual({ cycles: 0, current: null, last: null });
    }
  });
});

describe('a clock that is set', () => {
  it('back by a year does not put the next cycle off for that year', async () => {
    const { catalog } = running.engine.index;
    const state = loadScanState(catalog);
    const aheadMs = Date.now() + 365 * dayMs;
    await running.engine.upkeepDone();
    const last = { ...noCounts(), startedMs: aheadMs, endedMs: aheadMs + 1 };
    await saveScanState(catalog, { ...state, current: null, last });
    await running.close();
    await start();
    await expect.poll(() => running.engine.upkeepStatus().scan.last?.startedMs).toBeLessThan(aheadMs);
  });

  it('back while somebody waits for a whole cycle does not keep them waiting', async () => {
    const now = Date.now.bind(Date);
    let setMs = 365 * dayMs;
    const spy = vi.spyOn(Date, 'now').mockImplementation(() => now() + setMs);
    try {
      const done = running.engine.upkeepDone();
      setMs = 0;
      await done;
    } finally {
      spy.mockRestore();
    }
    expect(running.engine.upkeepStatus().scan.phase).toBe('idle');
  });
});

describe('the first cycle', () => {
  it('belongs to the time after the start, whatever settings arrive until then', async () => {
    await running.close();
    await start(dayMs);
    const { cycles } = running.engine.upkeepStatus().scan;
    running.engine.setUpkeep({ heal: full, scan: { pace: full, cycleMsMin: 0 } });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(running.engine.upkeepStatus().scan).toMatchObject({ phase: 'idle', current: null, cycles });
    // Whoever asks for one does not wait.
    running.engine.setUpkeep({ heal: full, scan: { pace: full, cycleMsMin: dayMs } });
    await running.engine.upkeepDone();
    expect(running.engine.upkeepStatus().scan.cycles).toBeGreaterThan(cycles);
  });
});
