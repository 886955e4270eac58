/** A web service that plays the plugins which the server asks: it answers as the test says, and keeps what it was asked. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PluginCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A status with a body (objects as JSON), or whatever a service can do wrong with a response. */
export type PluginReply = { readonly status?: number; readonly body?: unknown } | ((response: ServerResponse) => void);

export interface PluginServer {
  readonly url: string;
  readonly port: number;
  /** Without the looks whether it is there. */
  readonly calls: PluginCall[];
  answer: (call: PluginCall) => PluginReply;
  stop(): Promise<void>;
}

export async function startPluginServer(port = 0): Promise<PluginServer> {
  const calls: PluginCall[] = [];
  const plugin = { answer: (): PluginReply => ({ status: 404 }) } as { answer: PluginServer['answer'] };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://plugin');
      if (request.method === 'HEAD') {
        response.end();
        return;
      }
      const call = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      calls.push(call);
      respond(response, plugin.answer(call));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  return Object.assign(plugin, {
    url: `http://127.0.0.1:${bound}/auth`,
    port: bound,
    calls,
    stop: () => stop(server),
  });
}

function respond(response: ServerResponse, reply: PluginReply): void {
  if (typeof reply === 'function') {
    reply(response);
    return;
  }
  const { status = 200, body = '' } = reply;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body));
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** What no service should answer to a question, by what is wrong with it. None may ever be taken for a yes. */
export const brokenReplies: Readonly<Record<string, PluginReply>> = {
  'an empty body': { body: '' },
  'no JSON': { body: '<html>welcome</html>' },
  'JSON that is cut off': { body: '{"user":"ann","maxValiditySeconds":3600' },
  'a list': { body: [] },
  null: { body: 'null' },
  'a text': { body: '"ann"' },
  'bytes that are no UTF-8': { body: Buffer.from('7b2275736572223a22ff222c226d617856616c6964697479223a317d', 'hex') },
  'status 201': { status: 201, body: { user: 'ann', maxValiditySeconds: 3600, result: true } },
  'status 204': { status: 204 },
  'status 301 to another place': (response) => {
    response.writeHead(301, { location: 'http://127.0.0.1:9/elsewhere' }).end();
  },
  'status 307 to itself': (response) => {
    response.writeHead(307, { location: '/auth' }).end();
  },
  'status 400': { status: 400, body: { reason: 'no', result: true } },
  'status 401': { status: 401, body: { reason: 'no' } },
  'status 404': { status: 404 },
  'status 500': { status: 500, body: { user: 'ann', maxValiditySeconds: 3600, result: true } },
  'status 503': { status: 503 },
  'more than it may': { body: { user: 'ann', maxValiditySeconds: 3600, result: true, filler: 'x'.repeat(200_000) } },
  'a length that is not kept': (response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{"user":"ann"');
    setTimeout(() => response.destroy(), 20);
  },
  'a connection that is cut': (response) => {
    response.destroy();
  },
  'what is not HTTP': (response) => {
    response.socket?.end('SSH-2.0-OpenSSH_9.6\r\n');
  },
};

/** The same, for those that only time ends. */
export const slowReplies: Readonly<Record<string, PluginReply>> = {
  'nothing, for ever': () => undefined,
  'one byte a moment': (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 200);
    response.on('close', () => {
      clearInterval(timer);
    });
  },
};
