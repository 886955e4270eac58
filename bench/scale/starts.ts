/** How long a start takes, from the command to the first object that is answered, after ends of several kinds. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createHeaderSigner, emptyHash } from '../load/sign.js';
import type { LoadTarget } from '../load/load.js';
import { startGranaryOn, type Server } from '../path/servers.js';
import type { Workspace } from '../workspace.js';

const answerMsMax = 120_000;
const retryMs = 5;

/** The object at `path`, or null while the server does not serve it yet. */
async function getObject(target: LoadTarget, path: string): Promise<Buffer | null> {
  const sign = createHeaderSigner(target, new Date());
  const { Host: _, ...headers } = sign({ method: 'GET', path, query: '', payloadHash: emptyHash });
  const answer = await fetch(`http://${target.host}${path}`, { headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status === 503) return null;
  if (answer.status !== 200) throw new Error(`GET ${path} answers ${answer.status}: ${bytes.toString().slice(0, 300)}`);
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
  if (answer.headers.get('etag') !== etag) throw new Error(`GET ${path} answers other bytes than were stored`);
  return bytes;
}

export interface TimedStart {
  readonly server: Server;
  /** From the start of the process to the last byte of the object. */
  readonly seconds: number;
  /** CPU time of the process until then, all threads. */
  readonly cpuSeconds: number;
}

const ticksPerSecond = 100;

async function cpuSecondsOf(pid: number | null): Promise<number> {
  if (pid === null) return Number.NaN;
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold anything; user and system time are fields 14 and 15.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export async function startAndGet(workspace: Workspace, folder: string, path: string): Promise<TimedStart> {
  const begin = performance.now();
  const server = await startGranaryOn(workspace, folder);
  try {
    while ((await getObject(server.target, path)) === null) {
      if (performance.now() - begin > answerMsMax) throw new Error('the server has started and answers nothing');
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
    const seconds = (performance.now() - begin) / 1000;
    return { server, seconds, cpuSeconds: await cpuSecondsOf(server.target.pid) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** SIGKILL, and until it has taken effect. */
export async function killServer(server: Server): Promise<void> {
  if (server.target.pid !== null) process.kill(server.target.pid, 'SIGKILL');
  await server.stop();
}
