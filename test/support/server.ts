/** The compiled server as a process of its own, on drives in a temporary folder. Needs `npm run build`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const main = join(dirname(dirname(import.meta.dirname)), 'dist', 'main.js');

/** Where a GiB has room: the folder for temporary files is in memory on some systems. */
export const roomyFolder = existsSync('/var/tmp') ? '/var/tmp' : tmpdir();

export interface ServerProcess {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** For whatever the test writes; goes away with the server, as the drives do. */
  readonly folder: string;
  /** Anonymous, shared and file memory; on Linux. */
  residentBytes(): number;
  /** Resolves once it has been started anew so many times. */
  ready(restarts: number): Promise<void>;
  /** Resolves when it has ended by itself. */
  ended(): Promise<void>;
  /** What it printed, for messages. */
  output(): string;
  /** Ends it, checks that it ended well and removes its folder. */
  stop(): Promise<void>;
}

export interface ServerProcessOptions {
  readonly driveCount?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** A free one when omitted, and another after a restart. */
  readonly port?: number;
}

const startMsMax = 60_000;
const stopMsMax = 30_000;

export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  if (!existsSync(main)) throw new Error('the server is not built: run `npm run build`');
  const folder = mkdtempSync(join(roomyFolder, 'granary-test-'));
  const accessKey = 'granary-tester';
  // Characters that clients have to encode in places.
  const secretKey = 'a+secret/with=signs';
  const drives = join(folder, `drive{1...${options.driveCount ?? 4}}`);
  const child = spawn(
    process.execPath,
    [main, 'server', '--json', '--address', `127.0.0.1:${options.port ?? 0}`, drives],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        MINIO_ROOT_USER: accessKey,
        MINIO_ROOT_PASSWORD: secretKey,
        ...options.environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  // A test that hangs is ended without its hooks.
  const abandon = () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', abandon);
  let printed = '';
  const keep = (data: Buffer) => (printed = (printed + data.toString()).slice(-65_536));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  void ended.then(() => process.off('exit', abandon));
  try {
    const port = await portOf(() => printed, ended);
    return running({ child, ended, port, folder, accessKey, secretKey, output: () => printed });
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Once the server says that it is ready. */
async function portOf(output: () => string, ended: Promise<number | null>): Promise<number> {
  let isEnded = false;
  void ended.then(() => (isEnded = true));
  const deadline = Date.now() + startMsMax;
  for (;;) {
    const line = output()
      .split('\n')
      .find((one) => one.includes('"event":"started"') && one.endsWith('}'));
    if (line !== undefined) return (JSON.parse(line) as { port: number }).port;
    if (isEnded || Date.now() > deadline) throw new Error(`the server did not start: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function running(parts: {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly port: number;
  readonly folder: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly output: () => string;
}): ServerProcess {
  const { child, ended, port, folder } = parts;
  const pid = child.pid as number;
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    port,
    pid,
    region: 'us-east-1',
    accessKey: parts.accessKey,
    secretKey: parts.secretKey,
    folder,
    output: parts.output,
    async ready(restarts) {
      const deadline = Date.now() + startMsMax;
      while (parts.output().split('"event":"started"').length < restarts + 2) {
        if (Date.now() > deadline) throw new Error(`the server was not started anew: ${parts.output()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    ended: () => ended.then(() => undefined),
    residentBytes() {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return Number(line?.[1]) * 1024;
    },
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
      const code = await ended;
      clearTimeout(timer);
      rmSync(folder, { recursive: true, force: true });
      if (code !== 0) throw new Error(`the server ended with ${code}: ${parts.output()}`);
    },
  };
}
