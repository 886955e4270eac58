import { expect, test } from 'vitest';
import { setJournalLog } from '../../../src/wiring/sets.js';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: unknown;
}

function logTo(lines: Line[]) {
  const write = (level: string) => (message: string, fields?: unknown) => void lines.push({ level, message, fields });
  return { info: write('info'), warn: write('warn'), error: write('error') };
}

const paths = ['/mnt/1', null];
const pathOf = (position: number): string | null => paths[position] ?? null;

test('lines of a journal say which set, and which folder', () => {
  const lines: Line[] = [];
  const log = setJournalLog(logTo(lines), 2, pathOf);
  log.info('Catch-up begins', { position: 0, batches: 7 });
  log.warn('A drive cannot join', { position: 1 });
  log.error('Too few drives');
  expect(lines).toEqual([
    { level: 'info', message: 'Catch-up begins', fields: { set: 2, drive: '/mnt/1', position: 0, batches: 7 } },
    { level: 'warn', message: 'A drive cannot join', fields: { set: 2, position: 1 } },
    { level: 'error', message: 'Too few drives', fields: { set: 2 } },
  ]);
});

test('a lone set has no number, and a drive that a line names stays', () => {
  const lines: Line[] = [];
  setJournalLog(logTo(lines), null, pathOf).warn('A log file could not be freed', { position: 0, drive: '/mnt/0' });
  expect(lines[0]?.fields).toEqual({ position: 0, drive: '/mnt/0' });
});
