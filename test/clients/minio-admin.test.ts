import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustSucceed, python } from '../support/clients.js';
import { freePort } from '../support/free-port.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';

/** An administration client that nobody here wrote. The checks are in Python; each is a test here. */
const script = join(import.meta.dirname, 'minio-admin-checks.py');
const list = /^CHECKS = \[\n([^\]]+)\]/m.exec(readFileSync(script, 'utf8'))?.[1] ?? '';
const names = list.split(',').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));

interface Result {
  readonly check: string;
  readonly error: string | null;
}

let server: ServerProcess;
let results: ReadonlyMap<string, string | null>;

beforeAll(async () => {
  server = await startServerProcess({ port: await freePort() });
  const printed = await mustSucceed(python(server))([script]);
  const found = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Result);
  results = new Map(found.map(({ check, error }) => [check, error]));
}, 300_000);
afterAll(() => server.stop());

test('every check ran', () => {
  expect([...results.keys()]).toEqual(names);
  expect(names.length).toBeGreaterThan(7);
});

test.each(names)('%s', (name) => {
  expect(results.get(name)).toBe(null);
});
