import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { loadConfig, type Flags, type LoadedConfig } from '../../../src/config/config.js';
import { readSettings } from '../../../src/config/environment.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const signedIn = { MINIO_ROOT_USER: 'admin', MINIO_ROOT_PASSWORD: 'correct horse' };

function load(
  drives: readonly string[],
  environment: Record<string, string> = signedIn,
  flags: Flags = {},
): LoadedConfig {
  return loadConfig({
    drives,
    flags,
    settings: readSettings(environment),
    workingFolder: '/work-folder',
    homeFolder: join(folder, 'home'),
    nowMs: Date.parse('2026-01-01T00:00:00Z'),
  });
}

function refusal(action: () => unknown): StartupError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    const refused = error as StartupError;
    expect(refused.message).not.toContain('\n');
    expect(refused.remedy).toMatch(/^[A-Z].*[.:A-Za-z0-9}]$/);
    return refused;
  }
  throw new Error('was not refused');
}

describe('drives', () => {
  test('are expanded and absolute', () => {
    expect(load(['/mnt/{1...3}', 'data/']).config.drives).toEqual(['/mnt/1', '/mnt/2', '/mnt/3', '/work-folder/data']);
  });

  test('are a number that can be cut into equal sets: 1, 16 and 18, not 0 and 17', () => {
    expect(load(['/d']).config.drives).toHaveLength(1);
    expect(load(['/d{1...16}']).config.drives).toHaveLength(16);
    expect(refusal(() => load([])).message).toBe('no drive is named');
    expect(load(['/d{1...18}']).config.drives).toHaveLength(18);
    expect(refusal(() => load(['/d{1...17}'])).message).toBe('17 drives cannot be cut into equal sets of 2 to 16');
  });

  test('are a group for each argument when all of them have ellipses', () => {
    const { config } = load(['/a{1...4}', '/b{1...2}']);
    expect(config.drives).toEqual(['/a1', '/a2', '/a3', '/a4']);
    expect(config.expansions).toEqual([['/b1', '/b2']]);
    expect(load(['/a{1...2}', '/b']).config.expansions).toEqual([]);
  });

  test.each([
    ['8', 8],
    ['0', null],
    ['16', 16],
  ])('in sets of MINIO_ERASURE_SET_DRIVE_COUNT=%s', (text, count) => {
    const { config } = load(['/d{1...16}'], { ...signedIn, MINIO_ERASURE_SET_DRIVE_COUNT: text });
    expect(config.setDriveCount).toBe(count);
  });

  test.each([
    ['5', '16 drives cannot be cut into sets of 5'],
    ['1', 'MINIO_ERASURE_SET_DRIVE_COUNT'],
    ['17', 'MINIO_ERASURE_SET_DRIVE_COUNT'],
    ['x', 'MINIO_ERASURE_SET_DRIVE_COUNT'],
  ])('refuse MINIO_ERASURE_SET_DRIVE_COUNT=%s', (text, cause) => {
    const action = () => load(['/d{1...16}'], { ...signedIn, MINIO_ERASURE_SET_DRIVE_COUNT: text });
    expect(refusal(action).message).toContain(cause);
  });

  test('measure the parity that is asked for by the set, not by all of them', () => {
    const asked = (parity: number) => () =>
      load(['/d{1...8}'], {
        ...signedIn,
        MINIO_ERASURE_SET_DRIVE_COUNT: '4',
        MINIO_STORAGE_CLASS_STANDARD: `EC:${parity}`,
      });
    expect(asked(2)().config.parity).toBe(2);
    expect(refusal(asked(3)).message).toContain('EC:3 needs at least 6 drives in a set, which has 4');
  });

  test.each([
    [['/a', '/b', '/a'], '/a is named twice (/a, /b, /a)'],
    [['/a/x/..', '/a'], '/a is named twice'],
    [['/a', '/a/b'], 'the drive /a/b lies inside the drive /a'],
    [['http://host/mnt'], 'is a URL'],
    [['/'], 'the root folder /'],
    [[''], 'is empty'],
  ])('%j', (drives, part) => expect(refusal(() => load(drives)).message).toContain(part));

  test('a folder whose name only begins like another one is no part of it', () => {
    expect(load(['/mnt/d1', '/mnt/d10']).config.drives).toHaveLength(2);
  });

  test.each(['MINIO_VOLUMES', 'MINIO_ARGS', 'MINIO_ENDPOINTS', 'GRANARY_VOLUMES'])('come from %s', (name) => {
    expect(load([], { ...signedIn, [name]: ' /mnt/{1...2}  "/x y" ' }).config.drives).toEqual([
      '/mnt/1',
      '/mnt/2',
      '/x y',
    ]);
  });

  test('of the command line win, and the others are not forgotten silently', () => {
    const { config, warnings } = load(['/a'], { ...signedIn, MINIO_VOLUMES: '/b' });
    expect(config.drives).toEqual(['/a']);
    expect(warnings).toEqual([expect.stringContaining('MINIO_VOLUMES is ignored')]);
    expect(load(['/a'], { ...signedIn, MINIO_VOLUMES: '/a' }).warnings).toEqual([]);
  });
});

describe('credentials', () => {
  test('default to the well-known pair, with a warning', () => {
    const { config, warnings } = load(['/d'], {});
    expect(config.credentials).toMatchObject({ accessKey: 'minioadmin', isDefault: true });
    expect(config.credentials.secretKey.reveal()).toBe('minioadmin');
    expect(warnings).toEqual([expect.stringContaining('MINIO_ROOT_USER and MINIO_ROOT_PASSWORD')]);
  });

  test('come from files, whose end of line does not count', () => {
    const path = join(folder, 'password');
    writeFileSync(path, 'from-a-file\n');
    const { config, warnings } = load(['/d'], { ...signedIn, MINIO_ROOT_PASSWORD_FILE: path });
    expect(config.credentials.secretKey.reveal()).toBe('from-a-file');
    expect(config.credentials.isDefault).toBe(false);
    expect(warnings).toEqual([]);
  });

  test('a secret file that is missing never opens the server with the default password', () => {
    expect(
      refusal(() => load(['/d'], { MINIO_ROOT_USER: 'admin', MINIO_ROOT_PASSWORD_FILE: '/none' })).message,
    ).toContain('MINIO_ROOT_PASSWORD_FILE names /none, which does not exist');
    const both = load(['/d'], { ...signedIn, MINIO_ROOT_PASSWORD_FILE: '/none' });
    expect(both.config.credentials.secretKey.reveal()).toBe('correct horse');
    expect(both.warnings).toEqual([expect.stringContaining('MINIO_ROOT_PASSWORD is used')]);
  });

  test('old names work and say so', () => {
    const { config, warnings } = load(['/d'], { MINIO_ACCESS_KEY: 'old-user', MINIO_SECRET_KEY: 'old-secret' });
    expect(config.credentials.accessKey).toBe('old-user');
    expect(warnings).toEqual([
      'MINIO_ACCESS_KEY is the old name of MINIO_ROOT_USER; use the new one.',
      'MINIO_SECRET_KEY is the old name of MINIO_ROOT_PASSWORD; use the new one.',
    ]);
  });

  test.each([
    [{ MINIO_ROOT_USER: 'ab', MINIO_ROOT_PASSWORD: '12345678' }, 'shorter than 3'],
    [{ MINIO_ROOT_USER: 'abc', MINIO_ROOT_PASSWORD: '1234567' }, 'shorter than 8'],
    [{ MINIO_ROOT_USER: 'abc' }, 'MINIO_ROOT_USER is set and MINIO_ROOT_PASSWORD is not'],
    [{ MINIO_ROOT_PASSWORD: '12345678' }, 'MINIO_ROOT_PASSWORD is set and MINIO_ROOT_USER is not'],
    [{ MINIO_ROOT_USER: 'a=b', MINIO_ROOT_PASSWORD: '12345678' }, 'must not have'],
    [{ MINIO_ROOT_USER: 'a b', MINIO_ROOT_PASSWORD: '12345678' }, 'must not have'],
    [{ MINIO_ROOT_USER: 'a/b', MINIO_ROOT_PASSWORD: '12345678' }, 'must not have'],
  ])('%j', (environment, part) => {
    const refused = refusal(() => load(['/d'], environment));
    expect(refused.message).toContain(part);
    expect(refused.message + refused.remedy).not.toContain('1234567 ');
  });

  test('the shortest pair is taken', () => {
    const { config } = load(['/d'], { MINIO_ROOT_USER: 'abc', MINIO_ROOT_PASSWORD: '12345678' });
    expect(config.credentials.accessKey).toBe('abc');
  });

  test('no way of printing the configuration shows the password', () => {
    const { config } = load(['/d']);
    const printed = [JSON.stringify(config), inspect(config, { depth: 9 }), String(config.credentials.secretKey)];
    for (const text of [...printed, `${inspect(config.credentials.secretKey, { showHidden: true })}`]) {
      expect(text).toContain('[redacted]');
      expect(text).not.toContain('horse');
    }
  });
});

describe('root credentials of before', () => {
  test('are null unless they are given', () => {
    expect(load(['/d'], signedIn).config.oldCredentials).toBeNull();
  });

  test.each([
    [{ MINIO_ROOT_USER_OLD: 'before', MINIO_ROOT_PASSWORD_OLD: 'old horse' }, 'before', 'old horse'],
    [{ MINIO_ROOT_PASSWORD_OLD: 'old horse' }, 'admin', 'old horse'],
    [{ MINIO_ROOT_USER_OLD: 'before' }, 'before', 'correct horse'],
    [{ MINIO_ACCESS_KEY_OLD: 'before', MINIO_SECRET_KEY_OLD: 'old horse' }, 'before', 'old horse'],
  ])('are taken from %j', (environment, user, password) => {
    const { config, warnings } = load(['/d'], { ...signedIn, ...environment });
    expect(config.oldCredentials?.accessKey).toBe(user);
    expect(config.oldCredentials?.secretKey.reveal()).toBe(password);
    expect(JSON.stringify(config)).not.toContain('horse');
    expect(warnings.filter((text) => text.includes('no effect'))).toEqual([]);
  });
});

describe('settings', () => {
  test('have defaults', () => {
    expect(load(['/d']).config).toMatchObject({
      address: { host: '', port: 9000 },
      tls: null,
      region: null,
      domains: [],
      parity: null,
      serverUrl: null,
      memoryBytes: null,
      readCacheBytes: null,
      threads: null,
      indexDir: null,
      shutdownGraceMs: 10_000,
      logLevel: 'info',
    });
  });

  test('a flag wins over the environment, and the site region over the old names', () => {
    const environment = { ...signedIn, MINIO_ADDRESS: ':1', MINIO_REGION: 'old', MINIO_SITE_REGION: 'new' };
    const { config } = load(['/d'], environment, { address: '127.0.0.1:2' });
    expect(config.address).toEqual({ host: '127.0.0.1', port: 2 });
    expect(config.region).toBe('new');
  });

  test('are read in their spellings', () => {
    const { config } = load(
      ['/d{1...4}'],
      {
        ...signedIn,
        MINIO_DOMAIN: 'S3.example.org, other.example.com',
        MINIO_STORAGE_CLASS_STANDARD: 'EC:1',
        MINIO_SERVER_URL: 'https://s3.example.org/',
        GRANARY_LOG_LEVEL: 'debug',
      },
      { memory: '64MiB', readCache: '2GiB', threads: '3', indexDir: 'index', shutdownTimeout: '1m' },
    );
    expect(config).toMatchObject({
      domains: ['s3.example.org', 'other.example.com'],
      parity: 1,
      serverUrl: 'https://s3.example.org',
      logLevel: 'debug',
      memoryBytes: 64 * 1024 * 1024,
      readCacheBytes: 2 * 1024 ** 3,
      threads: 3,
      indexDir: '/work-folder/index',
      shutdownGraceMs: 60_000,
    });
  });

  test.each<[Record<string, string>, Flags, string]>([
    [{}, { address: 'nowhere' }, '--address is "nowhere"'],
    [{ MINIO_ADDRESS: ':x' }, {}, 'MINIO_ADDRESS is ":x"'],
    [{}, { memory: '31MiB' }, '--memory is "31MiB"'],
    [{}, { memory: '5GiB' }, '--memory'],
    [{}, { readCache: '2TiB' }, '--read-cache'],
    [{ GRANARY_READ_CACHE: '-1' }, {}, 'GRANARY_READ_CACHE'],
    [{}, { threads: '0' }, '--threads'],
    [{}, { threads: '257' }, '--threads'],
    [{}, { threads: '1.5' }, '--threads'],
    [{}, { shutdownTimeout: '10' }, '--shutdown-timeout'],
    [{ MINIO_REGION: 'no region' }, {}, 'MINIO_REGION may hold'],
    [{ MINIO_REGION: 'a'.repeat(65) }, {}, 'MINIO_REGION is longer'],
    [{ MINIO_DOMAIN: 'example.org,s3.example.org' }, {}, 'MINIO_DOMAIN'],
    [{ MINIO_DOMAIN: '-bad-.org' }, {}, 'MINIO_DOMAIN'],
    [{ MINIO_SERVER_URL: 'ftp://x' }, {}, 'MINIO_SERVER_URL'],
    [{ MINIO_SERVER_URL: 'https://x/path' }, {}, 'MINIO_SERVER_URL'],
    [{ MINIO_STORAGE_CLASS_STANDARD: '2' }, {}, 'MINIO_STORAGE_CLASS_STANDARD'],
    [{ GRANARY_LOG_LEVEL: 'loud' }, {}, 'GRANARY_LOG_LEVEL is none of'],
  ])('%j %j is refused by the name it was written with', (environment, flags, part) => {
    expect(refusal(() => load(['/d'], { ...signedIn, ...environment }, flags)).message).toContain(part);
  });

  test.each([
    [1, 0, true],
    [1, 1, false],
    [4, 2, true],
    [4, 3, false],
    [16, 8, true],
    [16, 9, false],
  ])('%i drives with EC:%i', (count, parity, isFine) => {
    const action = () => load([`/d{1...${count}}`], { ...signedIn, MINIO_STORAGE_CLASS_STANDARD: `EC:${parity}` });
    if (isFine) expect(action().config.parity).toBe(parity);
    else expect(refusal(action).message).toContain(`EC:${parity} needs at least ${parity * 2} drives`);
  });

  test.each([
    ['15m', 900],
    ['12h', 43_200],
    ['1h30m0.5s', 5400],
    ['8760h', 31_536_000],
  ])('temporary credentials of %s', (text, seconds) => {
    const { config, warnings } = load(['/d'], { ...signedIn, MINIO_STS_DURATION: text });
    expect(config.sessionSeconds).toBe(seconds);
    expect(warnings).toEqual([]);
  });

  test.each(['14m59s', '8760h1s', 'an hour', '-1h', '0'])('no temporary credentials of %s', (text) => {
    const { config, warnings } = load(['/d'], { ...signedIn, MINIO_STS_DURATION: text });
    expect(config.sessionSeconds).toBe(3600);
    expect(warnings).toEqual([expect.stringContaining(`MINIO_STS_DURATION is "${text}"`)]);
  });

  test('without a duration, temporary credentials last as long as is asked for', () => {
    expect(load(['/d']).config.sessionSeconds).toBeNull();
  });

  test.each([
    [{}, { arePagesOn: true, pagesUrl: null, loginSeconds: null }],
    [{ MINIO_BROWSER: 'off' }, { arePagesOn: false }],
    [{ MINIO_BROWSER_REDIRECT_URL: 'https://c.example.org/ui/' }, { pagesUrl: 'https://c.example.org/ui' }],
    [{ MINIO_BROWSER_REDIRECT_URL: 'http://127.0.0.1:9001' }, { pagesUrl: 'http://127.0.0.1:9001' }],
    [{ MINIO_BROWSER_SESSION_DURATION: '12h' }, { loginSeconds: 43_200 }],
  ])('pages for browsers: %j', (environment, expected) => {
    const { config, warnings } = load(['/d'], { ...signedIn, ...environment });
    expect(config).toMatchObject(expected);
    expect(warnings).toEqual([]);
  });

  test.each(['ftp://c.example.org', 'c.example.org', 'https://a:b@c.example.org', 'https://c.example.org/?a=b'])(
    'no pages at %s',
    (url) => {
      const wrong = () => load(['/d'], { ...signedIn, MINIO_BROWSER_REDIRECT_URL: url });
      expect(refusal(wrong).message).toContain(`MINIO_BROWSER_REDIRECT_URL is "${url}"`);
    },
  );

  test('logins last as long as the provider says when the setting makes no sense', () => {
    const { config, warnings } = load(['/d'], { ...signedIn, MINIO_BROWSER_SESSION_DURATION: '1m' });
    expect(config.loginSeconds).toBeNull();
    expect(warnings).toEqual([expect.stringContaining('logins last as long as the provider says')]);
  });

  test('nothing can be changed afterwards', () => {
    const { config } = load(['/d']);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.drives)).toBe(true);
    expect(Object.isFrozen(config.address)).toBe(true);
    expect(Object.isFrozen(config.credentials)).toBe(true);
  });
});

describe('certificates', () => {
  test('a folder that was named must exist; an empty one means plain HTTP', () => {
    expect(refusal(() => load(['/d'], signedIn, { certsDir: join(folder, 'none') })).message).toContain(
      'does not exist',
    );
    mkdirSync(join(folder, 'empty'), { recursive: true });
    expect(load(['/d'], signedIn, { certsDir: join(folder, 'empty') }).config.tls).toBeNull();
  });
});
