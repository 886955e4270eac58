/** What is said of a bucket, which lies in the first set, while something is under way into it in any of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Refusal } from '../../../dist/base/index.js';
import type { BucketVersioning } from '../../../dist/object/index.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';

const versioning = (status: 'Enabled' | 'Suspended'): BucketVersioning => ({
  status,
  excludedPrefixes: [],
  excludesFolders: false,
});
const waitMs = 50;
let folder: string;
let running: RunningEngine;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-across-'));
  running = await startEngine({
    drives: [1, 2, 3, 4].map((number) => join(folder, `d${number}`)),
    setDriveCount: 2,
    indexDirectory: join(folder, 'index'),
  });
  await running.engine.createBucket('b', { region: '' });
});

afterEach(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

async function put(key: string): Promise<void> {
  await (await finishedUpload(running.engine, key, Buffer.from('body'))).commitObject(plain);
}

/** One that lies in this set, and is there. */
async function keyIn(setIndex: number): Promise<string> {
  const asked = running.journals.map((journal) => vi.spyOn(journal, 'commit'));
  for (let key = 'k'; ; key += 'k') {
    for (const spy of asked) spy.mockClear();
    await put(key);
    if (asked[setIndex]?.mock.calls.length !== 1) continue;
    for (const spy of asked) spy.mockRestore();
    return key;
  }
}

/** Both at once, the second when the first is with the drives of its set: what is heard before they have it, and then. */
async function heard(
  setIndex: number,
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
): Promise<[string[], string[]]> {
  let goOn = (): void => undefined;
  const isHeld = new Promise<void>((resolve) => (goOn = resolve));
  const places = running.deployment.sets[setIndex]?.places ?? [];
  const held = places.flatMap(({ drive }) => {
    if (drive === null) return [];
    const write = drive.log.write.bind(drive.log);
    return [
      vi.spyOn(drive.log, 'write').mockImplementation(async (...call) => {
        await isHeld;
        return write(...call);
      }),
    ];
  });
  const answers: string[] = [];
  const note = async (name: string, call: () => Promise<unknown>): Promise<void> => {
    const answer = await call().then(
      () => 'done',
      (error: unknown) => (error instanceof Refusal ? error.code : String(error)),
    );
    answers.push(`${name} ${answer}`);
  };
  const both = [note('first', first)];
  await vi.waitFor(() => {
    expect(held[0]?.mock.calls.length).toBeGreaterThan(0);
  });
  both.push(note('second', second));
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  const before = [...answers];
  goOn();
  await Promise.all(both);
  for (const spy of held) spy.mockRestore();
  return [before, answers.sort()];
}

describe.each([0, 1])('with something under way in set %i', (setIndex) => {
  it('a change of versioning is answered when nothing that was decided before it can show any more', async () => {
    const { engine } = running;
    await engine.setVersioning('b', versioning('Enabled'));
    const key = await keyIn(setIndex);
    let versionId: string | null = null;
    const remove = async (): Promise<void> => {
      ({ versionId } = await engine.deleteObject('b', key, '', null));
    };
    const change = () => engine.setVersioning('b', versioning('Suspended'));
    expect(await heard(setIndex, remove, change)).toEqual([[], ['first done', 'second done']]);
    expect(versionId).not.toBe('null');
    expect((await engine.deleteObject('b', key, '', null)).versionId).toBe('null');
  });

  it('a bucket is said not to be empty when what makes it so is durable', async () => {
    const { engine } = running;
    const key = await keyIn(setIndex);
    for (let other = 'k'; other.length <= key.length; other += 'k') await engine.deleteObject('b', other, '', null);
    expect(
      await heard(
        setIndex,
        () => put(key),
        () => engine.deleteBucket('b'),
      ),
    ).toEqual([[], ['first done', 'second BucketNotEmpty']]);
  });
});
