/** The command as a child process on given folders, for tests that end it without warning. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const startMsMax = 60_000;

export interface KillableServer {
  readonly url: string;
  readonly process: ChildProcess;
  /** What it printed so far, one JSON object per line. */
  readonly output: () => string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export async function startServer(
  drives: readonly string[],
  environment: Record<string, string> = {},
  /** A command that becomes the one that follows it, like `nsenter`. */
  within: readonly string[] = [],
): Promise<KillableServer> {
  const [command = '', ...words] = [...within, process.execPath, main, 'server', '--json', '--address', '127.0.0.1:0'];
  const child = spawn(command, [...words, ...drives], {
    env: { ...process.env, MINIO_ROOT_USER: 'tester', MINIO_ROOT_PASSWORD: 'tester-secret', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the server did not start: ${output}`));
    }, startMsMax);
    const onText = (text: Buffer): void => {
      output += text.toString();
      const found = /"api":\["(https?:[^"]+)"/.exec(output);
      if (found?.[1] === undefined) return;
      clearTimeout(timer);
      resolve(found[1]);
    };
    child.stdout.on('data', onText);
    child.stderr.on('data', onText);
    void exited.then(() => {
      clearTimeout(timer);
      reject(new Error(`the server ended at start: ${output}`));
    });
  });
  return {
    url,
    process: child,
    output: () => output,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    stop: async () => {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

/** The servers of one test, in the order of their starts. */
export class KillableServers {
  #running: KillableServer[] = [];

  async start(folders: readonly string[]): Promise<KillableServer> {
    const server = await startServer(folders);
    this.#running.push(server);
    return server;
  }

  /** Throws unless it ends as it should. */
  async stop(server: KillableServer): Promise<void> {
    const code = await server.stop();
    if (code !== 0) throw new Error(`the server ended with ${String(code)}: ${server.output().slice(-4000)}`);
    this.#running = this.#running.filter((one) => one !== server);
  }

  /** Behind each test: what the servers said is the first thing that a failure is asked about. */
  async killAll(isFailed: boolean): Promise<void> {
    if (isFailed) for (const server of this.#running) console.error(server.output().slice(-4000));
    for (const server of this.#running.splice(0)) await server.kill();
  }
}
