import { describe, expect, test } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import type { Outcome } from '../../../src/cli/run.js';
import { healthyReport, settle, TestCommand } from './world.js';

async function runToStop(command: TestCommand): Promise<Outcome> {
  const done = command.run();
  await settle();
  command.signal('SIGTERM', 2000);
  return await done;
}

describe('granary server', () => {
  test('starts what it was told, says so, and stops in order', async () => {
    const command = new TestCommand(['server', '--address', '127.0.0.1:9123', '/mnt/{1...4}']);
    expect(await runToStop(command)).toBe(0);
    expect(command.started).toEqual([
      {
        drives: ['/mnt/1', '/mnt/2', '/mnt/3', '/mnt/4'],
        host: '127.0.0.1',
        port: 9123,
        credentials: { accessKey: 'admin', secretKey: 'correct horse' },
        oldCredentials: null,
        tls: null,
        authorities: [],
        region: null,
        settings: {},
        onProcessEnd: expect.any(Function),
        openFilesMax: null,
        domains: [],
        parity: null,
        expansions: [],
        setDriveCount: null,
        reclaimDelayMs: 0,
        arenaBytes: null,
        readCacheBytes: null,
        threads: null,
        indexDir: null,
        httpLibrary: 'uws',
        durability: 'strict',
        metricsAuth: 'jwt',
        sessionSeconds: null,
        pages: { areOn: true, url: null, loginSeconds: null },
        log: { level: 'info', format: 'text', stacks: false, write: expect.any(Function) },
      },
    ]);
    expect(command.closedWithMs).toEqual([10_000]);
    expect(command.out).toContain('Granary 1.2.3');
    expect(command.out).toContain('http://127.0.0.1:9123');
    expect(command.out).toContain('mc alias set granary http://127.0.0.1:9123 admin "$MINIO_ROOT_PASSWORD"');
    expect(command.out).toContain('4 of 4 online, 2 data + 2 parity');
    expect(command.out).toContain('2 drives with everything readable, 1 with writes going on');
    expect(command.out + command.err).not.toContain('correct horse');
    expect(command.out).not.toContain('\u001b');
    expect(command.err).toBe('SIGTERM: no new requests; those under way have 10 s to finish.\nStopped.\n');
    expect(command.listenerCount).toBe(0);
  });

  test('hands over the settings of subsystems, and nothing else of the environment', async () => {
    const environment = {
      MINIO_ROOT_USER: 'admin',
      MINIO_ROOT_PASSWORD: 'correct horse',
      MINIO_API_REQUESTS_MAX: '7',
      GRANARY_SITE_NAME: 'here',
      MINIO_SITE_REGION: 'eu',
    };
    const command = new TestCommand(['server', '/mnt/1'], { environment });
    await runToStop(command);
    expect(command.started[0]).toMatchObject({
      region: 'eu',
      settings: { MINIO_API_REQUESTS_MAX: '7', GRANARY_SITE_NAME: 'here', MINIO_SITE_REGION: 'eu' },
    });
    expect(Object.keys(command.started[0]?.settings ?? {})).toHaveLength(3);
    expect(command.err).not.toContain('no effect');
  });

  test.each([
    ['restart', 'restart'],
    ['stop', 0],
  ] as const)('an administrator who asks for %s gets an orderly end', async (how, outcome) => {
    const command = new TestCommand(['server', '/mnt/1']);
    const done = command.run();
    await settle();
    command.started[0]?.onProcessEnd?.(how);
    expect(await done).toBe(outcome);
    expect(command.closedWithMs).toEqual([10_000]);
    expect(command.err).toContain(`${how}: no new requests`);
    expect(command.listenerCount).toBe(0);
  });

  test('a signal while it restarts makes a stop of it', async () => {
    const command = new TestCommand(['server', '/mnt/1'], { closeWaits: true });
    const done = command.run();
    await settle();
    command.started[0]?.onProcessEnd?.('restart');
    await settle();
    command.signal('SIGTERM', 2000);
    command.finishClose();
    expect(await done).toBe(0);
  });

  test('the banner names the password only when everybody knows it', async () => {
    const command = new TestCommand(['server', '/mnt/1'], { environment: {} });
    await runToStop(command);
    expect(command.err).toMatch(/^WARNING: Root credentials are the default minioadmin:minioadmin/);
    expect(command.out).toContain('mc alias set granary http://127.0.0.1:9000 minioadmin minioadmin');
  });

  test('the banner shows what is wrong with drives', async () => {
    const command = new TestCommand(['server', '/mnt/{1...4}'], {
      report: {
        readOnly: true,
        warnings: ['a warning of the engine'],
        sets: [
          {
            poolIndex: 0,
            dataShards: 2,
            parityShards: 2,
            drives: [
              { path: '/mnt/1', state: 'formatted', note: null },
              { path: '/mnt/2', state: 'offline', note: 'no such folder' },
              { path: '/mnt/5', state: 'offline', note: 'is the disk mounted?' },
              { path: '/mnt/3\u001b[2J', state: 'catching-up', note: null },
              { path: '/mnt/4', state: 'online', note: null },
            ],
            canWrite: false,
            mayFailForReads: 0,
            mayFailForWrites: 0,
            weakerClasses: [{ storageClass: 'REDUCED_REDUNDANCY', mayFailForReads: 0 }],
          },
        ],
      },
    });
    await runToStop(command);
    expect(command.err).toContain('WARNING: a warning of the engine\n');
    expect(command.err).toContain('WARNING: Drive /mnt/2 is offline: no such folder.\n');
    expect(command.err).toContain('WARNING: Drive /mnt/5 is offline: is the disk mounted?\n');
    expect(command.err).toContain('WARNING: Drive /mnt/3\\x1b[2J is catching up.\n');
    expect(command.err).toContain('read-only');
    expect(command.out).toContain('2 of 5 online');
    expect(command.out).toContain('✗ /mnt/2  offline: no such folder');
    expect(command.out).toContain('… /mnt/3\\x1b[2J  catching up');
    expect(command.out).toContain('✓ /mnt/1  new');
    expect(command.out).toContain('Too few drives are there for writes: the server is read-only.');
    expect(command.out).toContain('no drive: losing one loses data');
    expect(command.out).toContain('of large objects of REDUCED_REDUNDANCY: no drive');
  });

  test('one set that cannot be written is named, and what that means for the others', async () => {
    const [healthy] = healthyReport.sets;
    const away = { ...healthy!, poolIndex: 1, canWrite: false, mayFailForReads: 0, mayFailForWrites: 0 };
    const command = new TestCommand(['server', '/mnt/{1...4}', '/new/{1...4}'], {
      report: { readOnly: true, sets: [healthy!, away] },
    });
    await runToStop(command);
    const text =
      'set 2 is read-only, and until that ends no new key is taken; keys that lie in the other sets can be written.';
    expect(command.err).toContain(`WARNING: Too few drives are in service for writes: ${text}`);
    expect(command.out).toContain(`Too few drives are there for writes: ${text}`);
    expect(command.out).not.toContain('the server is read-only');
    expect(command.out).toContain('of large objects of REDUCED_REDUNDANCY: 1 drive');
  });

  test('--quiet leaves the banner out, --json makes every line an object', async () => {
    const quiet = new TestCommand(['server', '--quiet', '/d']);
    await runToStop(quiet);
    expect(quiet.out).toBe('');
    const json = new TestCommand(['server', '--json', '/d'], { environment: { MINIO_TYPO: 'x' } });
    expect(await runToStop(json)).toBe(0);
    const lines = [json.out, json.err].flatMap((text) => text.trimEnd().split('\n')).map((line) => JSON.parse(line));
    expect(lines.map(({ level, event, message }) => ({ level, event, message }))).toEqual([
      { level: 'info', event: 'started', message: undefined },
      { level: 'warn', event: undefined, message: expect.stringContaining('MINIO_TYPO') },
      { level: 'warn', event: undefined, message: expect.stringContaining('minioadmin') },
      { level: 'info', event: 'stopping', message: expect.stringContaining('SIGTERM') },
      { level: 'info', event: 'stopped', message: 'Stopped.' },
    ]);
    expect(lines[0]).toMatchObject({ version: '1.2.3', port: 9000, rootUser: 'minioadmin', readOnly: false });
    expect(json.started[0]?.log?.format).toBe('json');
  });

  test('colours are for terminals that want them', async () => {
    const environment = { MINIO_ROOT_USER: 'admin', MINIO_ROOT_PASSWORD: 'correct horse' };
    const colourful = new TestCommand(['server', '/d'], { environment, isTerminal: true });
    await runToStop(colourful);
    expect(colourful.out).toContain('\u001b[1mGranary 1.2.3\u001b[0m');
    const plain = new TestCommand(['server', '/d'], {
      environment: { ...environment, NO_COLOR: '1' },
      isTerminal: true,
    });
    await runToStop(plain);
    expect(plain.out).not.toContain('\u001b');
  });

  test('MINIO_OPTS and MINIO_VOLUMES serve a unit file without arguments', async () => {
    const command = new TestCommand(['server'], {
      environment: {
        MINIO_ROOT_USER: 'admin',
        MINIO_ROOT_PASSWORD: 'correct horse',
        MINIO_OPTS: '--address :9005 --console-address ":9006" --json',
        MINIO_VOLUMES: '/mnt/{1...2}',
      },
    });
    expect(await runToStop(command)).toBe(0);
    expect(command.started[0]).toMatchObject({ drives: ['/mnt/1', '/mnt/2'], port: 9005 });
    expect(command.err).toContain('--console-address has no effect');
    expect(command.out.startsWith('{')).toBe(true);
  });

  test('the command line wins over MINIO_OPTS', async () => {
    const command = new TestCommand(['server', '--address', ':1', '/a'], {
      environment: { MINIO_ROOT_USER: 'admin', MINIO_ROOT_PASSWORD: 'correct horse', MINIO_OPTS: '--address :2 /b' },
    });
    await runToStop(command);
    expect(command.started[0]).toMatchObject({ drives: ['/a'], port: 1 });
  });

  test.each([
    [['-address', ':9007', '/d'], 9007],
    [['-address=:9008', '/d'], 9008],
    [['--address=:9009', '/d'], 9009],
    [['/d', '--address', ':9010'], 9010],
  ])("Go's spelling of flags: %j", async (args, port) => {
    const command = new TestCommand(['server', ...args]);
    await runToStop(command);
    expect(command.started[0]?.port).toBe(port);
  });

  test('flags of all commands may stand before the command', async () => {
    const command = new TestCommand(['--quiet', '--address', ':9011', 'server', '/d']);
    await runToStop(command);
    expect(command.started[0]?.port).toBe(9011);
    expect(command.out).toBe('');
  });

  test.each([
    [['server'], 'no drive is named', 'granary server /mnt/data'],
    [['server', '/a', '/a'], '/a is named twice', 'once'],
    [['server', '--adress', ':9000', '/d'], "unknown option '--adress'", 'granary server --help'],
    [['server', '--addr', ':9000', '/d'], "unknown option '--addr'", 'Did you mean --address?'],
    [['--address', ':9000', '/d'], "unknown option '--address'", 'The command is missing, such as: granary server.'],
    [['server', '--address'], 'argument missing', 'granary server --help'],
    [['server', '--threads', 'many', '/d'], '--threads is "many"', 'one thread per core'],
    [['server', '--ftp', 'address=:21', '--', '/d'], 'FTP', 'Leave the flag out.'],
    [['/mnt/data'], "unknown command '/mnt/data'", 'granary server /mnt/data'],
    [['serve', '/d'], "unknown command 'serve'", 'granary server'],
    [['server', '/mnt/{1..4}'], 'two dots', '{1...4}'],
  ])('refuses %j with cause and remedy', async (args, cause, remedy) => {
    const command = new TestCommand(args);
    expect(await command.run()).toBe(1);
    const lines = command.err.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^ERROR: /);
    expect(lines[0]).toContain(cause);
    expect(lines[1]).toContain(remedy);
    expect(lines[2]).toBe('');
    expect(command.out).toBe('');
    expect(command.started).toEqual([]);
  });

  test('a wrong MINIO_OPTS is named', async () => {
    const command = new TestCommand(['server', '/d'], { environment: { MINIO_OPTS: '--nonsense' } });
    expect(await command.run()).toBe(1);
    expect(command.err).toContain("ERROR: MINIO_OPTS: unknown option '--nonsense'");
  });

  test('a start-up mistake found later is two lines as well, and without --debug has no stack', async () => {
    const createServer = () =>
      Promise.reject(
        new StartupError('port 9000 is in use', 'Choose another with --address.', new Error('EADDRINUSE')),
      );
    const command = new TestCommand(['server', '/d'], { createServer });
    expect(await command.run()).toBe(1);
    expect(command.err).toBe('ERROR: port 9000 is in use\n       Choose another with --address.\n');
    const debug = new TestCommand(['server', '--debug', '/d'], { createServer });
    expect(await debug.run()).toBe(1);
    expect(debug.err).toContain('Caused by: Error: EADDRINUSE\n    at ');
    const json = new TestCommand(['server', '--json', '/d'], { createServer });
    expect(await json.run()).toBe(1);
    expect(JSON.parse(json.err)).toMatchObject({
      level: 'error',
      message: 'port 9000 is in use',
      remedy: 'Choose another with --address.',
    });
  });

  test('a fault of ours says that it is one, without a stack', async () => {
    const createServer = () => Promise.reject(new TypeError('x is not a function\nsecond line'));
    const command = new TestCommand(['server', '/d'], { createServer });
    expect(await command.run()).toBe(1);
    expect(command.err.split('\n')).toHaveLength(3);
    expect(command.err).toContain('x is not a function');
    expect(command.err).toContain('--debug');
    expect(command.err).not.toContain('    at ');
  });
});

describe('stopping', () => {
  test('a second signal stops at once; the echo of the first does not', async () => {
    const command = new TestCommand(['server', '--shutdown-timeout', '1m', '/d'], { closeWaits: true });
    let code: Outcome | null = null;
    const done = command.run().then((value) => (code = value));
    await settle();
    command.signal('SIGINT', 5000);
    command.signal('SIGINT', 5010);
    await settle();
    expect(command.closedWithMs).toEqual([60_000]);
    expect(code).toBeNull();
    command.signal('SIGINT', 6000);
    await done;
    expect(code).toBe(1);
    expect(command.err).toContain('stopping at once');
    expect(command.listenerCount).toBe(0);
  });

  test('a stop while requests finish ends with 0', async () => {
    const command = new TestCommand(['server', '/d'], { closeWaits: true });
    const done = command.run();
    await settle();
    command.signal('SIGTERM', 2000);
    await settle();
    command.finishClose();
    expect(await done).toBe(0);
  });

  test('a signal during the start stops right after it, without a banner', async () => {
    let finishStart: () => void = () => undefined;
    const closed: number[] = [];
    const command = new TestCommand(['server', '/d'], {
      createServer: () =>
        new Promise((resolve) => {
          finishStart = () =>
            resolve({
              url: 'http://x',
              port: 1,
              credentials: { accessKey: 'a', secretKey: 'b' },
              region: 'us-east-1',
              siteName: '',
              roleArns: [],
              report: { version: '1', deploymentId: 'd', sets: [], readOnly: false, warnings: [] },
              close: (graceMs) => {
                closed.push(graceMs ?? -1);
                return Promise.resolve();
              },
            });
        }),
    });
    const done = command.run();
    await settle();
    command.signal('SIGTERM', 1500);
    await settle();
    expect(closed).toEqual([]);
    finishStart();
    expect(await done).toBe(0);
    expect(closed).toEqual([10_000]);
    expect(command.out).toBe('');
  });

  test('a start that hangs can be left by insisting', async () => {
    const command = new TestCommand(['server', '/d'], { createServer: () => new Promise(() => undefined) });
    const done = command.run();
    await settle();
    command.signal('SIGINT', 1500);
    command.signal('SIGINT', 3000);
    expect(await done).toBe(1);
  });
});

describe('help and version', () => {
  test.each([[['--version']], [['-v']], [['-version']]])('%j prints the version', async (args) => {
    const command = new TestCommand(args);
    expect(await command.run()).toBe(0);
    expect(command.out).toBe('granary 1.2.3\n');
  });

  test.each([[[]], [['--help']], [['-h']], [['help']]])('%j prints the commands', async (args) => {
    const command = new TestCommand(args);
    expect(await command.run()).toBe(0);
    expect(command.out).toContain('Usage: granary');
    expect(command.out).toContain('serve S3 from local drives');
    expect(command.err).toBe('');
  });

  test.each([[['help', 'server']], [['server', '--help']], [['server', '-help']]])(
    '%j prints the flags',
    async (args) => {
      const command = new TestCommand(args);
      expect(await command.run()).toBe(0);
      for (const flag of ['--address', '--certs-dir', '--index-dir', '--memory', '--threads', '--json', '--quiet']) {
        expect(command.out).toContain(flag);
      }
      expect(command.out).toContain('/mnt/drive{1...4}');
      expect(command.out).not.toContain('--ftp');
    },
  );
});
