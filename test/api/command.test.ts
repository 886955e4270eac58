import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** The command as an operator meets it: a process, its exit code, what it prints. Needs `npm run build`. */
const main = join(dirname(dirname(import.meta.dirname)), 'dist', 'main.js');
const credentials = { accessKeyId: 'operator', secretAccessKey: 'a long password' };

let folder: string;
let running: Command[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-command-'));
});
afterEach(async () => {
  for (const command of running) command.kill('SIGKILL');
  await Promise.all(running.map((command) => command.exit));
  running = [];
  rmSync(folder, { recursive: true, force: true });
});

class Command {
  out = '';
  err = '';
  readonly exit: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    this.#child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        MINIO_ROOT_USER: credentials.accessKeyId,
        MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (data: Buffer) => (this.out += data.toString()));
    this.#child.stderr?.on('data', (data: Buffer) => (this.err += data.toString()));
    this.exit = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
    running.push(this);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The port, once the server says that it is ready. */
  async port(): Promise<number> {
    const ended = this.exit.then((code) => Promise.reject(new Error(`ended with ${code}: ${this.err}`)));
    ended.catch(() => undefined);
    for (;;) {
      const line = this.out.split('\n').find((one) => one.includes('"event":"started"'));
      if (line !== undefined) return (JSON.parse(line) as { port: number }).port;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, 20)), ended]);
    }
  }

  async stop(): Promise<number | null> {
    this.kill('SIGTERM');
    return await this.exit;
  }

  /** What --json printed, one object per line. */
  records(): readonly Record<string, unknown>[] {
    const lines = `${this.out}${this.err}`.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

function serve(args: readonly string[], environment: Record<string, string> = {}): Command {
  return new Command(['server', '--json', '--address', '127.0.0.1:0', ...args], environment);
}

function client(port: number): S3Client {
  return new S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
  });
}

async function write(port: number, key: string, body: string): Promise<void> {
  const s3 = client(port);
  try {
    await s3.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  } catch (error) {
    if ((error as Error).name !== 'BucketAlreadyOwnedByYou') throw error;
  }
  await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: key, Body: body }));
  s3.destroy();
}

async function read(port: number, key: string): Promise<string> {
  const s3 = client(port);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'bucket', Key: key }));
  const text = (await Body?.transformToString()) ?? '';
  s3.destroy();
  return text;
}

/** Runs to its end: two lines on standard error, exit code 1, no stack. */
async function refused(args: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const command = new Command(['server', ...args], environment);
  expect(await command.exit, command.out).toBe(1);
  const lines = command.err.split('\n').filter((line) => !line.startsWith('WARNING:'));
  expect(lines, command.err).toHaveLength(3);
  expect(lines[0]).toMatch(/^ERROR: \S/);
  expect(lines[1]).toMatch(/^ {7}\S/);
  expect(lines[2]).toBe('');
  expect(command.err).not.toMatch(/\n\s+at /);
  return lines[0] as string;
}

const four = () => [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
const allFour = () => join(folder, 'drive{1...4}');

function warnings(command: Command): string {
  return command
    .records()
    .filter(({ level }) => level === 'warn')
    .map(({ message }) => String(message))
    .join('\n');
}

function driveStates(command: Command): readonly string[] {
  const started = command.records().find(({ event }) => event === 'started');
  const sets = started?.['sets'] as readonly { readonly drives: readonly { readonly state: string }[] }[];
  return sets.flatMap(({ drives }) => drives.map(({ state }) => state));
}

describe('a first start', () => {
  test('creates the folders, says what it serves, and ends with 0 on SIGTERM', async () => {
    const command = serve([allFour()]);
    const port = await command.port();
    expect(driveStates(command)).toEqual(['formatted', 'formatted', 'formatted', 'formatted']);
    for (const path of ['live', 'ready', 'cluster', 'cluster/read']) {
      expect((await fetch(`http://127.0.0.1:${port}/minio/health/${path}`)).status).toBe(200);
    }
    await write(port, 'key', 'value');
    expect(await command.stop()).toBe(0);
    expect(command.records().map(({ event }) => event)).toContain('stopped');
    const again = serve([allFour()]);
    expect(await read(await again.port(), 'key')).toBe('value');
    expect(driveStates(again)).toEqual(['online', 'online', 'online', 'online']);
    expect(await again.stop()).toBe(0);
  });

  test('one plain folder is enough', async () => {
    const command = serve([join(folder, 'data')]);
    const port = await command.port();
    await write(port, 'key', 'value');
    expect(await read(port, 'key')).toBe('value');
    expect(await command.stop()).toBe(0);
  });

  test('the banner is for people', async () => {
    const command = new Command(['server', '--address', '127.0.0.1:0', allFour()]);
    await expect.poll(() => command.out, { timeout: 20_000 }).toContain('Ready after');
    expect(command.out).toContain('4 of 4 online, 2 data + 2 parity');
    expect(command.out).toMatch(/mc alias set granary http:\/\/127\.0\.0\.1:\d+ operator/);
    expect(command.out + command.err).not.toContain(credentials.secretAccessKey);
    expect(await command.stop()).toBe(0);
  });

  test('an unknown setting gets a warning with the name that was meant', async () => {
    const command = serve([allFour()], { MINIO_REGOIN: 'x' });
    await command.port();
    expect(warnings(command)).toContain('Did you mean MINIO_REGION?');
  });
});

describe('a stop', () => {
  test('SIGINT as well, and a request under way is finished', async () => {
    const command = serve([allFour()]);
    const port = await command.port();
    await write(port, 'key', 'value');
    const s3 = client(port);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const body = Readable.from(
      (async function* () {
        yield Buffer.alloc(1000, 'a');
        await held;
        yield Buffer.alloc(1000, 'b');
      })(),
    );
    const put = s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'slow', Body: body, ContentLength: 2000 }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    command.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    release();
    await put;
    s3.destroy();
    expect(await command.exit).toBe(0);
    const again = serve([allFour()]);
    expect(await read(await again.port(), 'slow')).toBe('a'.repeat(1000) + 'b'.repeat(1000));
  });

  test('kill -9 loses nothing that was acknowledged', async () => {
    const command = serve([allFour()]);
    const port = await command.port();
    for (let index = 0; index < 20; index += 1) await write(port, `key-${index}`, `value-${index}`);
    command.kill('SIGKILL');
    await command.exit;
    const again = serve([allFour()]);
    const newPort = await again.port();
    for (let index = 0; index < 20; index += 1) expect(await read(newPort, `key-${index}`)).toBe(`value-${index}`);
  });
});

describe('drives that are not as they were', () => {
  async function prepare(): Promise<void> {
    const command = serve([allFour()]);
    await write(await command.port(), 'key', 'value');
    expect(await command.stop()).toBe(0);
  }

  test('another order is fine', async () => {
    await prepare();
    const command = serve(four().reverse());
    expect(await read(await command.port(), 'key')).toBe('value');
    expect(await command.stop()).toBe(0);
  });

  test('a missing one is named, and everything goes on', async () => {
    await prepare();
    renameSync(four()[1] as string, join(folder, 'away'));
    const command = serve([allFour()]);
    const port = await command.port();
    expect(driveStates(command)).toContain('offline');
    expect(warnings(command)).toContain(four()[1]);
    expect(await read(port, 'key')).toBe('value');
    await write(port, 'new', 'newer');
    expect(await command.stop()).toBe(0);
  });

  test('an emptied one is filled again', async () => {
    await prepare();
    rmSync(four()[2] as string, { recursive: true });
    mkdirSync(four()[2] as string);
    const command = serve([allFour()]);
    const port = await command.port();
    expect(await read(port, 'key')).toBe('value');
    expect(await command.stop()).toBe(0);
  });

  test('with two of four the server is read-only and says so', async () => {
    await prepare();
    for (const path of four().slice(0, 2)) renameSync(path, `${path}-away`);
    const command = serve([allFour()]);
    const port = await command.port();
    expect(command.records().find(({ event }) => event === 'started')).toMatchObject({ readOnly: true });
    expect(await read(port, 'key')).toBe('value');
    expect((await fetch(`http://127.0.0.1:${port}/minio/health/cluster`)).status).toBe(503);
    expect((await fetch(`http://127.0.0.1:${port}/minio/health/ready`)).status).toBe(200);
    await expect(write(port, 'new', 'x')).rejects.toThrow();
  });

  test('with one of four it does not start', async () => {
    await prepare();
    for (const path of four().slice(0, 3)) renameSync(path, `${path}-away`);
    await refused(['--address', '127.0.0.1:0', allFour()]);
  });

  test('drives of two deployments are refused', async () => {
    await prepare();
    const other = serve([join(folder, 'other{1...4}')]);
    await other.port();
    await other.stop();
    await refused(['--address', '127.0.0.1:0', join(folder, 'drive{1...3}'), join(folder, 'other4')]);
  });

  test('a folder with foreign files is not touched', async () => {
    const foreign = join(folder, 'photos');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'cat.jpg'), 'meow');
    expect(await refused(['--address', '127.0.0.1:0', foreign])).toContain(foreign);
    expect(readdirSync(foreign)).toEqual(['cat.jpg']);
    expect(readFileSync(join(foreign, 'cat.jpg'), 'utf8')).toBe('meow');
  });

  test('a file in place of a folder is refused', async () => {
    writeFileSync(join(folder, 'file'), '');
    await refused(['--address', '127.0.0.1:0', join(folder, 'file')]);
  });
});

describe('refused starts', () => {
  let occupied: Server | null = null;
  afterEach(() => {
    occupied?.close();
    occupied = null;
  });

  test('a port in use', async () => {
    const server = createTcpServer();
    occupied = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await refused(['--address', `127.0.0.1:${port}`, allFour()])).toContain(String(port));
  });

  test('an address that is not of this machine', async () => {
    expect(await refused(['--address', '192.0.2.1:9000', allFour()])).toContain('192.0.2.1');
  });

  test('a second server on the same drives; the first goes on', async () => {
    const first = serve([allFour()]);
    const port = await first.port();
    await refused(['--address', '127.0.0.1:0', allFour()]);
    await refused(['--address', '127.0.0.1:0', four()[0] as string]);
    await write(port, 'key', 'value');
    expect(await read(port, 'key')).toBe('value');
    expect(await first.stop()).toBe(0);
  });

  test.each([
    [['--nonsense', '/d'], {}, '--nonsense'],
    [[], {}, 'no drive is named'],
    [['/d{1...17}'], {}, '17 drives'],
    [['/d'], { MINIO_ROOT_PASSWORD: 'short' }, 'MINIO_ROOT_PASSWORD'],
    [['/d'], { MINIO_STORAGE_CLASS_STANDARD: 'EC:1' }, 'EC:1'],
  ])('%j %j', async (args, environment, part) => {
    expect(await refused(args, environment as Record<string, string>)).toContain(part);
  });

  test('a bad certificate', async () => {
    mkdirSync(join(folder, 'certs'));
    writeFileSync(join(folder, 'certs', 'public.crt'), 'x');
    writeFileSync(join(folder, 'certs', 'private.key'), 'x');
    expect(await refused(['--certs-dir', join(folder, 'certs'), allFour()])).toContain('public.crt');
    expect(readdirSync(folder)).toEqual(['certs']);
  });
});

test('with a certificate it speaks HTTPS', async () => {
  const certs = join(folder, 'certs');
  mkdirSync(certs);
  const files = ['-keyout', join(certs, 'private.key'), '-out', join(certs, 'public.crt')];
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '30',
    '-subj',
    '/CN=x',
    ...files,
  ]);
  expect(made.status).toBe(0);
  const command = serve(['--certs-dir', certs, allFour()]);
  const port = await command.port();
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path: '/minio/health/live',
        ca: readFileSync(join(certs, 'public.crt')),
        checkServerIdentity: () => undefined,
      },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', reject);
    request.end();
  });
  expect(status).toBe(200);
  expect(await command.stop()).toBe(0);
});

describe('several sets', () => {
  const range = (letter: string, count: number): string => join(folder, `${letter}{1...${count}}`);
  const shapes = (command: Command): readonly (readonly [number, number])[] => {
    const started = command.records().find(({ event }) => event === 'started');
    const sets = started?.['sets'] as readonly { readonly poolIndex: number; readonly drives: readonly unknown[] }[];
    return sets.map(({ poolIndex, drives }) => [poolIndex, drives.length]);
  };

  test('of 18 drives are two of nine; what is written is there after a restart', async () => {
    const first = serve([range('d', 18)]);
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const port = await first.port();
    expect(shapes(first)).toEqual([
      [0, 9],
      [0, 9],
    ]);
    for (const key of keys) await write(port, key, `${key} and more`);
    expect(await first.stop()).toBe(0);
    const again = serve([range('d', 18)]);
    const nextPort = await again.port();
    for (const key of keys) expect(await read(nextPort, key)).toBe(`${key} and more`);
    expect(await again.stop()).toBe(0);
  }, 180_000);

  test('become more by a further argument, and not fewer', async () => {
    const first = serve([range('d', 4)]);
    await write(await first.port(), 'old', 'written before');
    expect(await first.stop()).toBe(0);
    const grown = serve([range('d', 4), range('e', 4)]);
    const port = await grown.port();
    expect(shapes(grown)).toEqual([
      [0, 4],
      [1, 4],
    ]);
    expect(warnings(grown)).toContain('pool 2 is added');
    expect(await read(port, 'old')).toBe('written before');
    await write(port, 'old', 'written anew');
    await write(port, 'new', 'written after');
    expect(await grown.stop()).toBe(0);
    expect(await refused(['--address', '127.0.0.1:0', range('d', 4)])).toContain('pool 2 of this deployment');
    const again = serve([range('e', 4), range('d', 4)]);
    const nextPort = await again.port();
    expect(await read(nextPort, 'old')).toBe('written anew');
    expect(await read(nextPort, 'new')).toBe('written after');
    expect(await again.stop()).toBe(0);
  }, 180_000);

  test('are not made of what cannot be cut into them', async () => {
    expect(await refused([range('d', 19)])).toContain('19 drives cannot be cut into equal sets');
    expect(await refused([range('d', 8)], { MINIO_ERASURE_SET_DRIVE_COUNT: '3' })).toContain('sets of 3');
    expect(readdirSync(folder)).toEqual([]);
  });
});
