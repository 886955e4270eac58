/** A server process with a bucket, and the question that is asked after every attack: is it still sound? */
import { createHash } from 'node:crypto';
import { startServerProcess, type ServerProcess, type ServerProcessOptions } from './server.js';
import { patternBytes } from './tree.js';
import { freshName, send, type Answer, type Request } from './wire.js';

export interface ApiWorld {
  readonly server: ServerProcess;
  readonly bucket: string;
  send(request: Request): Promise<Answer>;
  /** Path of a key, which is percent-encoded already. */
  path(key: string): string;
  /** Status of a read. */
  exists(key: string): Promise<boolean>;
  /** A small and a large object go in and out; throws when not, or when it takes longer than it may. */
  assertSound(msMax?: number): Promise<void>;
  stop(): Promise<void>;
}

export async function createApiWorld(options: ServerProcessOptions = {}): Promise<ApiWorld> {
  const server = await startServerProcess(options);
  const bucket = 'wire';
  const path = (key: string) => `/${bucket}/${key}`;
  const sendHere = (request: Request) => send(server, request);
  const created = await sendHere({ method: 'PUT', path: `/${bucket}` });
  if (created.status !== 200) throw new Error(`no bucket: ${created.status} ${created.body.toString()}`);
  return {
    server,
    bucket,
    path,
    send: sendHere,
    exists: async (key) => (await sendHere({ method: 'HEAD', path: path(key) })).status === 200,
    async assertSound(msMax = 15_000) {
      const begun = Date.now();
      for (const length of [100, 3_000_000]) {
        const body = patternBytes(length, length);
        const key = freshName('sound');
        const put = await sendHere({ method: 'PUT', path: path(key), body });
        if (put.status !== 200) throw new Error(`PUT answers ${put.status}: ${put.body.toString()}`);
        if (put.headers.etag !== `"${createHash('md5').update(body).digest('hex')}"`) throw new Error('wrong ETag');
        const got = await sendHere({ method: 'GET', path: path(key) });
        if (got.status !== 200 || !got.body.equals(body)) throw new Error(`GET answers ${got.status}, or other bytes`);
        await sendHere({ method: 'DELETE', path: path(key) });
      }
      const took = Date.now() - begun;
      if (took > msMax) throw new Error(`four requests took ${took} ms`);
    },
    stop: () => server.stop(),
  };
}
