import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inOrderOfUse, indexFolderOf, removeOtherIndexes } from '../../../src/catalog/index-place.js';

let root = '';
let folders: string[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'granary-places-'));
  folders = ['one', 'two', 'three', 'four'].map((name) => indexFolderOf(join(root, name)));
  for (const folder of folders) mkdirSync(join(folder, '..'), { recursive: true });
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function makeIndex(place: number, seconds: number): void {
  const runs = join(folders[place] ?? '', 'runs');
  mkdirSync(runs, { recursive: true });
  writeFileSync(join(runs, 'manifest'), '');
  utimesSync(join(runs, 'manifest'), seconds, seconds);
}

const [one, two, three, four] = [0, 1, 2, 3] as const;
const placesOf = (found: readonly string[]): number[] => found.map((folder) => folders.indexOf(folder));

test('the index that was written last comes first, and places without one in their order behind', async () => {
  expect(placesOf(await inOrderOfUse(folders))).toEqual([one, two, three, four]);
  makeIndex(three, 1000);
  expect(placesOf(await inOrderOfUse(folders))).toEqual([three, one, two, four]);
  makeIndex(two, 2000);
  expect(placesOf(await inOrderOfUse(folders))).toEqual([two, three, one, four]);
  // Of a copy that was not finished.
  writeFileSync(join(folders[two] ?? '', 'damaged'), '');
  expect(placesOf(await inOrderOfUse(folders))).toEqual([three, one, two, four]);
});

test('what is left of others goes, and nothing else', async () => {
  makeIndex(two, 1000);
  writeFileSync(join(folders[two] ?? '', 'damaged'), '');
  makeIndex(three, 1500);
  makeIndex(four, 2000);
  const said: string[] = [];
  await removeOtherIndexes(folders, folders[four] ?? '', (text) => said.push(text));
  expect(said).toEqual([]);
  expect(placesOf(await inOrderOfUse(folders))).toEqual([four, one, two, three]);
  for (const place of [two, three]) expect(readdirSync(join(folders[place] ?? '', '..'))).toEqual([]);
  expect(readdirSync(folders[four] ?? '')).toEqual(['runs']);
});
