/** A sample identity plugin: it knows the tokens that it was started with. */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { parseFlags } from '../common/flags.js';

export async function runPlugin(given: readonly string[]): Promise<void> {
  const flags = parseFlags(
    'custom-token plugin',
    {
      listen: { meaning: 'Address to listen on', otherwise: '127.0.0.1:8080' },
      users: { meaning: 'Who has which token: NAME=TOKEN,NAME=TOKEN', otherwise: 'ann=token-of-ann' },
      auth: { meaning: 'What the server has to send in its Authorization header', otherwise: '' },
      claims: { meaning: 'What else is known of everybody: KEY=VALUE,KEY=VALUE', otherwise: '' },
      validity: { meaning: 'Seconds that credentials may last', otherwise: '3600' },
    },
    given,
  );
  const users = pairs(flags.users);
  const claims = Object.fromEntries(pairs(flags.claims));
  const maxValiditySeconds = Number(flags.validity);

  const server = createServer((request, response) => {
    // Nothing is in its body.
    request.resume();
    if (flags.auth !== '' && !isSame(request.headers.authorization ?? '', flags.auth)) {
      answer(response, 401, {});
      return;
    }
    const { searchParams } = new URL(request.url ?? '/', 'http://plugin');
    const token = searchParams.get('token') ?? '';
    const user = users.find(([, known]) => isSame(token, known))?.[0];
    if (request.method !== 'POST' || user === undefined) answer(response, 403, { reason: 'The token is not known.' });
    else answer(response, 200, { user, maxValiditySeconds, claims });
  });
  const { hostname, port } = new URL(`http://${flags.listen}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(port || 80), hostname.replace(/^\[|\]$/g, ''), resolve);
  });
  process.stdout.write(`listening on http://${flags.listen}/\n`);
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function pairs(text: string): [name: string, value: string][] {
  return text
    .split(',')
    .filter((pair) => pair.includes('='))
    .map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()]);
}

/** In a time that says nothing about the expected text but its length. */
function isSame(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}
