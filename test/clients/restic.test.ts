import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustSucceed, restic, type Program } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { differences, makeBigFile, makeTree } from '../support/tree.js';

/** Its bodies are signed chunk by chunk (STREAMING-AWS4-HMAC-SHA256-PAYLOAD). */
let server: ServerProcess;
let tryRun: Program;
let run: (args: readonly string[]) => Promise<string>;
let work: string;

beforeAll(async () => {
  server = await startServerProcess();
  work = join(server.folder, 'work');
  mkdirSync(work);
  tryRun = restic(server, 'backups');
  run = mustSucceed(tryRun);
});
afterAll(async () => {
  await server.stop();
});

test('two backups of a tree with a file of over 1 GiB are restored unchanged', async () => {
  const tree = join(work, 'tree');
  makeTree(tree, { control: true });
  makeBigFile(join(tree, 'big'));
  await run(['init']);
  await run(['backup', '--tag', 'first', tree]);
  expect(await run(['check', '--read-data'])).toContain('no errors were found');
  await restored('first', tree);

  rmSync(join(tree, 'big'));
  rmSync(join(tree, 'small/2'), { recursive: true });
  writeFileSync(join(tree, 'odd/with space'), 'changed');
  await run(['backup', '--tag', 'second', tree]);
  await restored('second', tree);

  await run(['forget', '--prune', '--keep-last', '1', '--group-by', 'host']);
  expect(await run(['check', '--read-data'])).toContain('no errors were found');
  await restored('second', tree);
  expect(JSON.parse(await run(['snapshots', '--json']))).toHaveLength(1);
});

test('a wrong password of the store is told apart from a missing repository', async () => {
  const wrong = await tryRun(['snapshots'], { environment: { AWS_SECRET_ACCESS_KEY: 'wrong' } });
  expect(wrong.code).not.toBe(0);
  expect(wrong.stderr).toContain('signature');
  const missing = await restic(server, 'no-such-bucket')(['snapshots']);
  expect(missing.stderr).toMatch(/Is there a repository at the following location/);
});

async function restored(tag: string, tree: string): Promise<void> {
  const target = join(work, 'restored');
  await run(['restore', 'latest', '--tag', tag, '--target', target]);
  expect(differences(tree, join(target, tree))).toEqual([]);
  rmSync(target, { recursive: true });
}
