/** A whole bucket in pages of 1,000 keys, by a client that follows continuation tokens. */
import { Agent, get } from 'node:http';
import type { LoadTarget } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import { createHeaderSigner, emptyHash } from '../load/sign.js';

export const pageKeys = 1000;

export interface Walk {
  /** The requests in their order, with the bytes of their answers: they can be sent again. */
  readonly pages: readonly PlannedRequest[];
  readonly keys: number;
  /** With what the client takes to read the answers. */
  readonly seconds: number;
}

export interface ListedPage {
  readonly keys: readonly string[];
  /** Null on the last page. */
  readonly next: string | null;
}

export function readPage(xml: string): ListedPage {
  const keys = [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => key);
  return { keys, next: /<NextContinuationToken>([^<]*)</.exec(xml)?.[1] ?? null };
}

function body(target: LoadTarget, agent: Agent, path: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: target.address, port: target.port, path, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (part: string) => (text += part));
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`a page answers ${response.statusCode}: ${text.slice(0, 300)}`));
      });
    });
    request.once('error', reject);
  });
}

/** Every key comes once and in order, or this throws. */
export async function walkBucket(target: LoadTarget, bucket: string): Promise<Walk> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const pages: PlannedRequest[] = [];
  const path = `/${bucket}`;
  let keys = 0;
  let last = '';
  let token: string | null = null;
  const start = performance.now();
  try {
    do {
      const query: string =
        (token === null ? '' : `continuation-token=${encodeURIComponent(token)}&`) + `list-type=2&max-keys=${pageKeys}`;
      const headers = createHeaderSigner(target, new Date())({ method: 'GET', path, query, payloadHash: emptyHash });
      const text: string = await body(target, agent, `${path}?${query}`, headers);
      const page = readPage(text);
      for (const key of page.keys) {
        if (key <= last) throw new Error(`the listing is out of order at ${key}`);
        last = key;
      }
      keys += page.keys.length;
      pages.push({ method: 'GET', path, query, expectedStatus: 200, expectedBytes: text.length });
      token = page.next;
    } while (token !== null);
  } finally {
    agent.destroy();
  }
  return { pages, keys, seconds: (performance.now() - start) / 1000 };
}
