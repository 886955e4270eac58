/** Answers of the administration API that go on: JSON documents as they arrive. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { AdminCredentials } from './admin-client.js';
import { sign, type Target } from './wire.js';

export interface AdminStream {
  readonly status: number;
  /** Everything that has arrived so far and not been taken. */
  readonly documents: Record<string, unknown>[];
  /** Spaces between documents. */
  keepAliveCount(): number;
  /** Until a document is the one; throws after `msMax`. */
  until(isWanted: (document: Record<string, unknown>) => boolean, msMax?: number): Promise<Record<string, unknown>>;
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>;
  leave(): void;
}

export async function adminStream(
  target: Pick<Target, 'port'>,
  { accessKey, secretKey }: AdminCredentials,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<AdminStream> {
  const text = new URLSearchParams(query).toString();
  const wire = { method: 'GET', path: `/minio/admin/v3/${path}`, query: text };
  const { headers } = sign({ port: target.port, accessKey, secretKey, region: '' }, wire);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: target.port, path: `${wire.path}?${text}`, headers, agent: false };
    httpRequest(options, resolve).on('error', reject).end();
  });
  const documents: Record<string, unknown>[] = [];
  let keepAlives = 0;
  let rest = '';
  let wake: () => void = () => undefined;
  answer.setEncoding('utf8');
  answer.on('data', (chunk: string) => {
    rest += chunk;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) documents.push(JSON.parse(line) as Record<string, unknown>);
    const spaces = /^ +/.exec(rest)?.[0].length ?? 0;
    keepAlives += spaces;
    rest = rest.slice(spaces);
    wake();
  });
  const ended = new Promise<void>((resolve) => {
    answer.once('close', resolve);
    answer.on('error', () => undefined);
  });
  return {
    status: answer.statusCode ?? 0,
    documents,
    keepAliveCount: () => keepAlives,
    ended,
    until: async (isWanted, msMax = 10_000) => {
      const deadline = Date.now() + msMax;
      for (let index = 0; ; index++) {
        while (index >= documents.length) {
          const left = deadline - Date.now();
          if (left <= 0)
            throw new Error(`not among ${documents.length} documents: ${JSON.stringify(documents.slice(-3))}`);
          await new Promise<void>((resolve) => {
            wake = resolve;
            setTimeout(resolve, left);
          });
        }
        const document = documents[index];
        if (document !== undefined && isWanted(document)) return document;
      }
    },
    leave: () => answer.destroy(),
  };
}
