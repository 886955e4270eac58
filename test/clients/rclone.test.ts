import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustSucceed, rclone, type Program, type ProgramOptions } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { differences, makeBigFile, makeTree, patternBytes, sameBytes } from '../support/tree.js';

let server: ServerProcess;
let tryRun: Program;
let run: (args: readonly string[], options?: ProgramOptions) => Promise<string>;
let work: string;

beforeAll(async () => {
  server = await startServerProcess();
  work = join(server.folder, 'work');
  mkdirSync(work);
  tryRun = rclone(server);
  run = mustSucceed(tryRun);
  await run(['mkdir', 'granary:files']);
});
afterAll(async () => {
  await server.stop();
});

test('a tree goes in and out unchanged, checked by hash; sync moves only what changed', async () => {
  const tree = join(work, 'tree');
  const copy = join(work, 'copy');
  const count = makeTree(tree, { control: true });
  await run(['copy', tree, 'granary:files/tree', '--transfers', '16']);
  await run(['check', tree, 'granary:files/tree', '--checkers', '16']);
  await run(['check', '--download', join(tree, 'odd'), 'granary:files/tree/odd']);
  await run(['copy', 'granary:files/tree', copy, '--transfers', '16']);
  expect(differences(tree, copy)).toEqual([]);
  const size = JSON.parse(await run(['size', '--json', 'granary:files/tree'])) as { count: number };
  expect(size.count).toBe(count);

  writeFileSync(join(tree, 'odd/with space'), 'changed');
  rmSync(join(tree, 'small/3'), { recursive: true });
  writeFileSync(join(tree, 'odd/new one'), 'new');
  // Only its time: a server-side copy onto itself.
  utimesSync(join(tree, 'sizes/1048577'), 1_000_000_000, 1_000_000_000);
  await run(['sync', tree, 'granary:files/tree']);
  await run(['sync', 'granary:files/tree', copy]);
  expect(differences(tree, copy)).toEqual([]);
  expect(await run(['lsl', 'granary:files/tree/sizes/1048577'])).toContain('2001-09-09');

  await run(['copy', 'granary:files/tree/odd', 'granary:files/odd copy']);
  await run(['check', join(tree, 'odd'), 'granary:files/odd copy']);
  await run(['moveto', 'granary:files/odd copy/plus+plus', 'granary:files/odd copy/moved %2F']);
  expect(await run(['cat', 'granary:files/odd copy/moved %2F'])).toBe('content of plus+plus');
  await run(['purge', 'granary:files/tree']);
  await run(['purge', 'granary:files/odd copy']);
  expect(await run(['lsf', '-R', 'granary:files'])).toBe('');
  for (const path of [tree, copy]) rmSync(path, { recursive: true });
});

test('a file of over 1 GiB, in parts, in and out', async () => {
  const big = join(work, 'big');
  makeBigFile(big);
  const inParts = ['--s3-chunk-size', '32M', '--s3-upload-concurrency', '4'];
  await run(['copyto', big, 'granary:files/big', ...inParts]);
  await run(['copyto', 'granary:files/big', `${big}-copy`, '--multi-thread-streams', '4']);
  expect(sameBytes(big, `${big}-copy`)).toBe(true);
  rmSync(`${big}-copy`);
  await run(['deletefile', 'granary:files/big']);
  rmSync(big);
});

test('a stream of unknown length', async () => {
  const body = patternBytes(11 * 1024 * 1024 + 1, 5).toString('base64');
  await run(['rcat', 'granary:files/streamed'], { input: body });
  expect((await run(['cat', 'granary:files/streamed'])) === body).toBe(true);
  const ranged = await run(['cat', '--offset', '5242870', '--count', '20', 'granary:files/streamed']);
  expect(ranged).toBe(body.slice(5_242_870, 5_242_890));
});

test('a key beside keys below it, and a folder marker', async () => {
  await run(['mkdir', 'granary:shelves']);
  for (const key of ['a', 'a/b', 'a/c/d']) await run(['rcat', `granary:shelves/${key}`], { input: `at ${key}` });
  expect((await run(['lsf', '-R', 'granary:shelves'])).trim().split('\n').sort()).toEqual([
    'a',
    'a/',
    'a/b',
    'a/c/',
    'a/c/d',
  ]);
  for (const key of ['a', 'a/b', 'a/c/d']) expect(await run(['cat', `granary:shelves/${key}`])).toBe(`at ${key}`);
  const kept = await tryRun(['rmdir', 'granary:shelves']);
  expect(kept.code).not.toBe(0);
  await run(['purge', 'granary:shelves']);
  expect(await run(['lsd', 'granary:'])).not.toContain('shelves');
});

test('a link for anyone, metadata and content type', async () => {
  writeFileSync(join(work, 'page.html'), '<p>hello</p>');
  await run([
    'copyto',
    join(work, 'page.html'),
    'granary:files/page.html',
    '--header-upload',
    'Cache-Control: no-cache',
  ]);
  const link = (await run(['link', 'granary:files/page.html', '--expire', '60s'])).trim();
  const answer = await fetch(link);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-cache');
  expect(answer.headers.get('x-amz-meta-mtime')).toMatch(/^\d+\.?\d*$/);
  expect(await answer.text()).toBe(readFileSync(join(work, 'page.html'), 'utf8'));
});

test('errors arrive with their names', async () => {
  const missing = await tryRun(['copy', 'granary:no-such-bucket/x', work]);
  expect(missing.code).not.toBe(0);
  expect(missing.stderr).toContain('not found');
  const wrong = await tryRun(['lsf', 'granary:files'], {
    environment: { RCLONE_CONFIG_GRANARY_SECRET_ACCESS_KEY: 'wrong' },
  });
  expect(wrong.stderr).toContain('SignatureDoesNotMatch');
});
