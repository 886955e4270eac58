import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Drive, DriveFault } from '../../../src/drive/index.js';
import type { Journal } from '../../../src/journal/index.js';
import type { LogFields, Logger } from '../../../src/telemetry/index.js';
import { LiveSet } from '../../../src/wiring/live-set.js';

let inSync: number[] = [];
let epoch = 1;
let nowMs = 0;
let lines: string[] = [];
let said: LogFields[];
let reported: number[] = [];
let fullCount: number;
let set: LiveSet;

let left = 0;
let probes = 0;
const drive = { path: '/d', leftSet: () => void left++ } as Drive;
const fault = (kind: DriveFault['kind']): DriveFault => ({ kind, drive: '/d', operation: 'write x', errno: 5 });

beforeEach(() => {
  vi.useFakeTimers();
  [inSync, epoch, nowMs, lines, reported, fullCount] = [[0, 1, 2], 1, 0, [], [], 0];
  left = 0;
  probes = 0;
  said = [];
  const journal = {
    health: () => ({ epoch, inSync }),
    reportFault: (position: number) => {
      reported.push(position);
      return Promise.resolve();
    },
    reportFull: () => void fullCount++,
    probe: () => {
      probes++;
      return Promise.resolve();
    },
  } as unknown as Journal;
  const log = {
    warn: (text: string, fields: LogFields) => {
      lines.push(text);
      said.push(fields);
    },
    error: (text: string) => lines.push(text),
  } as unknown as Logger;
  set = new LiveSet('id', [drive, drive, drive, null], log, () => nowMs);
  set.start(journal);
});

afterEach(() => {
  set.close();
  vi.useRealTimers();
});

describe('the live set', () => {
  it('counts how often a drive has left, and not that it came back', () => {
    expect([0, 1, 2, 3].map((position) => set.departures(position))).toEqual([0, 0, 0, 0]);
    [inSync, epoch] = [[0, 2], 2];
    expect(set.inSync()).toEqual([0, 2]);
    expect([0, 1, 2].map((position) => set.departures(position))).toEqual([0, 1, 0]);
    expect(left).toBe(1);
    [inSync, epoch] = [[0, 1, 2], 3];
    expect(set.departures(1)).toBe(1);
    [inSync, epoch] = [[2], 4];
    expect([0, 1, 2].map((position) => set.departures(position))).toEqual([1, 2, 0]);
  });

  it('sees a drive leave and return although nobody asked meanwhile', () => {
    [inSync, epoch] = [[0, 2], 2];
    vi.advanceTimersByTime(15_000);
    [inSync, epoch] = [[0, 1, 2], 3];
    vi.advanceTimersByTime(15_000);
    expect(set.departures(1)).toBe(1);
  });

  it('reports a drive that does not take writes, unless it is only full', () => {
    set.reportWrite(1, fault('io'));
    set.reportWrite(2, fault('full'));
    expect(reported).toEqual([1]);
    // Compaction is told, and nobody else.
    expect(fullCount).toBe(1);
    set.reportRead(0, fault('missing'));
    expect(reported).toEqual([1]);
    expect(lines).toHaveLength(3);
  });

  it('has it found out whether a drive hangs that does not give a shard', () => {
    set.reportRead(0, fault('io'));
    expect(probes).toBe(0);
    set.reportRead(0, fault('slow'));
    expect(probes).toBe(1);
    // One that is out already is nobody's concern.
    [inSync, epoch] = [[1, 2], 2];
    set.inSync();
    set.reportRead(0, fault('slow'));
    expect(probes).toBe(1);
  });

  it('says what the system said, in words too', () => {
    set.reportWrite(1, { ...fault('io'), errno: 30 });
    set.reportRead(0, { ...fault('slow'), errno: 0 });
    expect(said).toEqual([
      { drive: '/d', fault: 'io', operation: 'write x', errno: 30, error: 'EROFS: read-only file system' },
      { drive: '/d', fault: 'slow', operation: 'write x' },
    ]);
  });

  it('says the same about a drive once a minute', () => {
    for (let second = 0; second < 130; second++) {
      nowMs = second * 1000;
      set.reportRead(0, fault('io'));
      set.reportRead(1, fault('io'));
    }
    expect(lines).toHaveLength(6);
  });
});
