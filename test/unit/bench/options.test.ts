import { describe, expect, test } from 'vitest';
import { parseArguments, patternOf, UsageError } from '../../../bench/options.js';

const endpoint = ['--endpoint', 'http://192.0.2.7:9000', '--access-key', 'AK', '--secret-key', 'SK'];

describe('parseArguments', () => {
  test('without any', () => {
    expect(parseArguments([])).toEqual({
      quick: false,
      only: null,
      json: null,
      diskFolder: null,
      tmpfsFolder: null,
      endpoint: null,
      pins: true,
      objects: 1_000_000,
    });
  });

  test('all of them', () => {
    const given = parseArguments([
      ...['--quick', '--json', 'out.json', '--only', 'path.put', '--disk', '/d', '--tmpfs', '/t', '--no-pin'],
      ...[...endpoint, '--region', 'eu-west-1', '--pid', '4711'],
    ]);
    expect(given).toMatchObject({ quick: true, json: 'out.json', diskFolder: '/d', tmpfsFolder: '/t', pins: false });
    expect(given?.endpoint).toEqual({
      host: '192.0.2.7',
      port: 9000,
      accessKey: 'AK',
      secretKey: 'SK',
      region: 'eu-west-1',
      pid: 4711,
    });
  });

  test.each([2000, 10_000_000])('%i objects', (objects) => {
    expect(parseArguments(['--objects', String(objects)])?.objects).toBe(objects);
  });

  test('help is no run', () => {
    expect(parseArguments(['--quick', '--help'])).toBeNull();
  });

  test.each([
    ['http://s3.example.org', 's3.example.org', 80],
    ['http://[::1]:9000', '::1', 9000],
    ['http://localhost:9000/', 'localhost', 9000],
  ])('endpoint %s', (url, host, port) => {
    const given = parseArguments(['--endpoint', url, '--access-key', 'a', '--secret-key', 'b']);
    expect(given?.endpoint).toMatchObject({ host, port, region: 'us-east-1', pid: null });
  });

  test.each([
    [['--fast'], /fast/],
    [['--objects', '1999'], /--objects/],
    [['--objects', '10000001'], /--objects/],
    [['--objects', 'many'], /--objects/],
    [['--endpoint', 'http://h'], /--access-key/],
    [['--access-key', 'a'], /belong to --endpoint/],
    [['--pid', '5'], /belong to --endpoint/],
    [['--endpoint', 'https://h', '--access-key', 'a', '--secret-key', 'b'], /http:/],
    [['--endpoint', 'http://h/bucket', '--access-key', 'a', '--secret-key', 'b'], /no path/],
    [['--endpoint', 'nonsense', '--access-key', 'a', '--secret-key', 'b'], /not a URL/],
    [[...endpoint, '--pid', 'x'], /--pid/],
    [[...endpoint, '--pid', '0'], /--pid/],
  ])('%j is refused', (args, message) => {
    expect(() => parseArguments(args)).toThrow(UsageError);
    expect(() => parseArguments(args)).toThrow(message);
  });
});

describe('patternOf', () => {
  test.each([
    ['put', 'path.put.4KiB.c64', true],
    ['rs.encode.4+2', 'kernel.rs.encode.4+2', true],
    ['rs.encode.4+2', 'kernel.rs.encode.4442', false],
    ['path.*.4KiB.c64', 'path.get.4KiB.c64', true],
    ['path.*.4KiB.c64', 'path.get.4KiB.c64@tmpfs', false],
    ['get.*', 'path.get.4KiB.c1', false],
  ])('%s on %s: %s', (pattern, name, matches) => {
    expect(patternOf(pattern).test(name)).toBe(matches);
  });
});
