import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isHeldByDrive } from '../../../src/drive/index.js';

let tasks = '';
beforeEach(() => {
  tasks = mkdtempSync(join(tmpdir(), 'granary-tasks-'));
});
afterEach(() => {
  rmSync(tasks, { recursive: true });
});

/** As proc_pid_stat(5) has it: the name may hold anything. */
function putThread(id: number, state: string, name = 'read ) D 0.1'): void {
  mkdirSync(join(tasks, String(id)), { recursive: true });
  writeFileSync(join(tasks, String(id), 'stat'), `${id} (${name}) ${state} 1 1 0 0 -1\n`);
}

it('is so when a thread waits in the kernel and cannot be ended', async () => {
  putThread(10, 'S');
  putThread(11, 'D');
  expect(await isHeldByDrive(tasks)).toBe(true);
});

it.each(['log 0.3', 'write 12.15', 'read 0.0', 'drive probe', 'index', 'index read', 'close'])(
  'is so when a thread "%s" is left, which cannot be ended although it seems so',
  async (name) => {
    putThread(10, 'S', 'node');
    putThread(11, 'S', name);
    expect(await isHeldByDrive(tasks)).toBe(true);
  },
);

it('is not when none does, nor for a moment', async () => {
  putThread(10, 'S');
  putThread(11, 'R');
  expect(await isHeldByDrive(tasks)).toBe(false);
  putThread(11, 'D');
  const looking = isHeldByDrive(tasks);
  setTimeout(() => {
    putThread(11, 'S');
    putThread(10, 'D');
  }, 50);
  expect(await looking).toBe(false);
});

it('looks at this process', async () => {
  expect(await isHeldByDrive()).toBe(false);
});
