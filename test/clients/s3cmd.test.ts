import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustSucceed, s3cmd, type Program, type ProgramOptions } from '../support/clients.js';
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
  tryRun = s3cmd(server);
  run = mustSucceed(tryRun);
  await run(['mb', 's3://files']);
});
afterAll(async () => {
  await server.stop();
});

test('a tree goes in and out unchanged; sync moves only what changed', async () => {
  const tree = join(work, 'tree');
  const copy = join(work, 'copy');
  mkdirSync(copy);
  // It writes control characters as ^J, so those names are left out.
  makeTree(tree);
  await run(['put', '--recursive', '--quiet', `${tree}/`, 's3://files/tree/']);
  await run(['get', '--recursive', '--quiet', 's3://files/tree/', `${copy}/`]);
  expect(differences(tree, copy)).toEqual([]);

  writeFileSync(join(tree, 'odd/with space'), 'changed');
  rmSync(join(tree, 'small/3'), { recursive: true });
  writeFileSync(join(tree, 'odd/new one'), 'new');
  await run(['sync', '--delete-removed', '--quiet', `${tree}/`, 's3://files/tree/']);
  await run(['sync', '--delete-removed', '--quiet', 's3://files/tree/', `${copy}/`]);
  expect(differences(tree, copy)).toEqual([]);
  await run(['del', '--recursive', '--force', '--quiet', 's3://files/tree/']);
  expect(await run(['ls', '--recursive', 's3://files'])).toBe('');
  for (const path of [tree, copy]) rmSync(path, { recursive: true });
});

test('a file of over 1 GiB, in parts, in and out', async () => {
  const big = join(work, 'big');
  makeBigFile(big);
  await run(['put', '--quiet', '--multipart-chunk-size-mb=64', big, 's3://files/big']);
  await run(['get', '--quiet', 's3://files/big', `${big}-copy`]);
  expect(sameBytes(big, `${big}-copy`)).toBe(true);
  await run(['del', '--quiet', 's3://files/big']);
  for (const path of [big, `${big}-copy`]) rmSync(path);
});

test('what it tells of an object; copies, moves and part of an object', async () => {
  const body = patternBytes(300_000, 9);
  writeFileSync(join(work, 'object.bin'), body);
  await run([
    ...['put', '--quiet', join(work, 'object.bin'), 's3://files/object + 1'],
    ...['--mime-type=text/x-odd', '--add-header=x-amz-meta-colour:blue'],
  ]);
  await run(['cp', 's3://files/object + 1', 's3://files/copied']);
  await run(['mv', 's3://files/copied', 's3://files/moved/here']);
  const info = await run(['info', 's3://files/moved/here']);
  expect(info).toContain('File size: 300000');
  expect(info).toContain('MIME type: text/x-odd');
  expect(info).toContain('x-amz-meta-colour: blue');
  await run(['get', '--quiet', 's3://files/moved/here', join(work, 'again')]);
  expect(readFileSync(join(work, 'again')).equals(body)).toBe(true);
  expect((await tryRun(['info', 's3://files/copied'])).stderr).toContain('404');
  // Continues a download: a ranged GET.
  writeFileSync(join(work, 'begun'), body.subarray(0, 100_000));
  await run(['get', '--continue', '--quiet', 's3://files/moved/here', join(work, 'begun')]);
  expect(readFileSync(join(work, 'begun')).equals(body)).toBe(true);
  const listed = await run(['ls', 's3://files']);
  expect(listed).toMatch(/DIR +s3:\/\/files\/moved\/\n/);
  expect(listed).toMatch(/300000 +s3:\/\/files\/object \+ 1\n/);
  expect(await run(['du', 's3://files'])).toMatch(/^ *600000 +2 objects/);
});

test('a signed address works for anyone, though it is signed the old way', async () => {
  await run(['put', '--quiet', '-', 's3://files/signed + ü'], { input: 'for everyone' });
  const address = (await run(['signurl', 's3://files/signed + ü', '+60'])).trim();
  expect(address).toContain('AWSAccessKeyId=');
  expect(await (await fetch(address)).text()).toBe('for everyone');
  expect((await fetch(address.replace('signed', 'other'))).status).toBe(403);
});

test('errors arrive with their names', async () => {
  writeFileSync(join(work, 'policy'), '{}');
  const codes = [
    [['ls', 's3://no-such-bucket'], 'NoSuchBucket'],
    [['get', 's3://files/nothing', '-'], 'does not exist'],
    [['rb', 's3://files'], 'BucketNotEmpty'],
    [['setpolicy', join(work, 'policy'), 's3://files'], 'MalformedPolicy'],
  ] as const;
  for (const [args, code] of codes) {
    const { code: exit, stderr } = await tryRun(args);
    expect(exit, args.join(' ')).not.toBe(0);
    expect(stderr).toContain(code);
  }
  const wrong = await tryRun(['--secret_key=wrong', 'ls']);
  expect(wrong.stderr).toContain('SignatureDoesNotMatch');
});
