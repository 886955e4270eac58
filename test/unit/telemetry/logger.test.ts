import { describe, expect, test } from 'vitest';
import { createLogger, silentLogger, type LogOptions } from '../../../src/telemetry/logger.js';

function logged(options: Omit<LogOptions, 'write'>) {
  const lines: string[] = [];
  return { log: createLogger({ ...options, write: (line) => void lines.push(line) }), lines };
}

describe('json', () => {
  test('is one object per line, in the order level, time, fields, message', () => {
    const { log, lines } = logged({ format: 'json' });
    log.child({ room: 'drive' }).warn('slow', { path: '/mnt/1' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\}\n$/);
    expect(JSON.parse(lines[0] as string)).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      room: 'drive',
      path: '/mnt/1',
      message: 'slow',
    });
  });

  test.each([
    'secretKey',
    'secretAccessKey',
    'sessionToken',
    'password',
    'token',
    'signature',
    'authorization',
    'cookie',
    'x-amz-security-token',
    'x-amz-signature',
  ])('%s never reaches a line, at the top or below', (name) => {
    for (const format of ['json', 'text'] as const) {
      const { log, lines } = logged({ format });
      log.info('request', { [name]: 'hunter2', headers: { [name]: 'hunter2', host: 'h' } });
      expect(lines.join('')).not.toContain('hunter2');
      expect(lines.join('')).toContain('[redacted]');
    }
  });

  test('an error is written with its cause', () => {
    const { log, lines } = logged({ format: 'json' });
    log.error('failed', { err: new Error('outer', { cause: new Error('inner') }) });
    const { err } = JSON.parse(lines[0] as string) as { err: { message: string; cause: { message: string } } };
    expect(err.message).toBe('outer');
    expect(err.cause.message).toBe('inner');
  });
});

describe('text', () => {
  test('is one line, whatever a field or message holds', () => {
    const { log, lines } = logged({ format: 'text' });
    log.info('a\nb\u001b[2J', { key: 'c\nd', count: 3, path: '/mnt/1' });
    expect(lines[0]?.replace(/^\S+ /, '')).toBe('INFO  a\\x0ab\\x1b[2J key="c\\nd" count=3 path=/mnt/1\n');
  });

  test('ends with what an error says, and its causes, in one line', () => {
    const { log, lines } = logged({ format: 'text' });
    log.warn('failed', { err: new Error('outer', { cause: new TypeError('in\nner') }), count: 2 });
    log.warn('failed', { err: new Error('read: EIO', { cause: new Error('EIO') }) });
    log.warn('failed', { err: new TypeError() });
    log.warn('failed', { err: 'a text' });
    expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'WARN  failed count=2 err="outer: in\\nner"\n',
      'WARN  failed err="read: EIO"\n',
      'WARN  failed err=TypeError\n',
      'WARN  failed err="a text"\n',
    ]);
  });

  test('shows the stack of an error below the line when it is asked for', () => {
    const { log, lines } = logged({ format: 'text', stacks: true });
    log.error('failed', { err: new Error('because') });
    expect(lines[0]).toMatch(/ERROR failed\n {4}Error: because\n {4}at /);
  });
});

describe('levels', () => {
  test.each([
    ['error', 1],
    ['warn', 2],
    ['info', 3],
    ['debug', 4],
    ['silent', 0],
  ] as const)('%s writes %i of the four', (level, count) => {
    const { log, lines } = logged({ level });
    for (const name of ['error', 'warn', 'info', 'debug'] as const) {
      const before = lines.length;
      log[name]('x');
      expect(log.isEnabled(name)).toBe(lines.length > before);
    }
    expect(lines).toHaveLength(count);
  });

  test('info is the default, and the silent one is silent', () => {
    expect(logged({}).log.isEnabled('debug')).toBe(false);
    expect(logged({}).log.isEnabled('info')).toBe(true);
    expect(silentLogger.isEnabled('error')).toBe(false);
  });
});
