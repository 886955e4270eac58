import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustSucceed, python } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { makeBigFile, makeTree } from '../support/tree.js';

/** The checks are in Python; each is a test here. */
const script = join(import.meta.dirname, 'boto3-checks.py');
const list = /^CHECKS = \[\n([^\]]+)\]/m.exec(readFileSync(script, 'utf8'))?.[1] ?? '';
const names = list.split(',').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));

interface Result {
  readonly check?: string;
  readonly error?: string | null;
}

let server: ServerProcess;
let results: ReadonlyMap<string, string | null>;

beforeAll(async () => {
  server = await startServerProcess();
  const work = join(server.folder, 'work');
  const tree = join(server.folder, 'tree');
  const big = join(server.folder, 'big');
  mkdirSync(work);
  // It writes U+0001 as it is into the list of keys to delete, which XML does not allow.
  makeTree(tree, { control: true, without: ['\u0001'] });
  makeBigFile(big);
  const printed = await mustSucceed(python(server))([script, work, tree, big]);
  const lines = printed.trim().split('\n');
  const found = lines.map((line) => JSON.parse(line) as Result);
  results = new Map(found.flatMap(({ check, error }) => (check === undefined ? [] : [[check, error ?? null]])));
}, 600_000);
afterAll(async () => {
  await server.stop();
});

test('every check ran', () => {
  expect([...results.keys()]).toEqual(names);
  expect(names.length).toBeGreaterThan(20);
});

test.each(names)('%s', (name) => {
  expect(results.get(name)).toBe(null);
});
