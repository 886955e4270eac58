/** The programs that are measured: our server and the anchors' one, each a process of its own. */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { LoadTarget } from '../load/load.js';
import type { Medium, Workspace } from '../workspace.js';

export interface Server {
  readonly target: LoadTarget;
  stop(): Promise<void>;
}

export const accessKey = 'benchmark';
export const secretKey = 'benchmark-secret';
/** For a server that keeps nothing of what was read. */
export const uncached = { GRANARY_READ_CACHE: '0' };
const startMsMax = 60_000;

interface Start {
  readonly port: number;
  /** Milliseconds, where the program says. */
  readonly startMs: number;
}

/** What stands in the first line of JSON that has a port. */
async function startOf(child: ChildProcess): Promise<Start> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (): void => {
      reject(new Error(`a server did not start: ${output.trim()}`));
    };
    const timer = setTimeout(fail, startMsMax);
    const onText = (text: Buffer): void => {
      output += text.toString();
      const line = output.split('\n').find((one) => one.includes('"port":') && one.endsWith('}'));
      if (line === undefined) return;
      clearTimeout(timer);
      const { port, startMs = Number.NaN } = JSON.parse(line) as { port: number; startMs?: number };
      resolve({ port, startMs });
    };
    child.stdout?.on('data', onText);
    child.stderr?.on('data', onText);
    child.once('exit', fail);
  });
}

async function started(
  workspace: Workspace,
  child: ChildProcess,
  after: () => Promise<void>,
): Promise<Server & Pick<Start, 'startMs'>> {
  const { port, startMs } = await startOf(child);
  return {
    startMs,
    target: {
      address: '127.0.0.1',
      port,
      pid: child.pid ?? null,
      host: `127.0.0.1:${port}`,
      accessKey,
      secretKey,
      region: 'us-east-1',
    },
    stop: async () => {
      await workspace.stop(child);
      await after();
    },
  };
}

/** The command on four new drive folders. */
export async function startGranary(
  workspace: Workspace,
  medium: Medium,
  environment: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const folder = await workspace.makeFolder(medium, 'drives');
  return startOn(workspace, folder, () => workspace.removeFolder(folder), environment);
}

/** On the four drive folders there, which stay. */
export async function startGranaryOn(
  workspace: Workspace,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Server & Pick<Start, 'startMs'>> {
  return startOn(workspace, folder, () => Promise.resolve(), environment);
}

function startOn(
  workspace: Workspace,
  folder: string,
  after: () => Promise<void>,
  environment: Readonly<Record<string, string>> = {},
) {
  const main = path.join(workspace.root, 'dist', 'main.js');
  const args = [main, 'server', '--json', '--log-level', 'warn', '--address', '127.0.0.1:0', `${folder}/drive{1...4}`];
  const child = workspace.start(workspace.pinning.server, process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey, ...environment },
  });
  return started(workspace, child, after);
}

export async function startAnchorServer(workspace: Workspace, bytes: number): Promise<Server> {
  const script = path.join(workspace.root, 'bench', 'anchor', 'uws-server.mjs');
  const child = workspace.start(workspace.pinning.server, process.execPath, [script, String(bytes)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return started(workspace, child, () => Promise.resolve());
}

/** Highest resident memory of a process so far, in bytes. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}
