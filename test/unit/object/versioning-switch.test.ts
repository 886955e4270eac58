/** Once a change of a bucket's versioning is answered, nothing shows any more that was decided before it, in any set. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BucketVersioning } from '../../../dist/object/index.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';

const versioning = (status: 'Enabled' | 'Suspended'): BucketVersioning => ({
  status,
  excludedPrefixes: [],
  excludesFolders: false,
});
const settleMs = 50;
let folder: string;
let running: RunningEngine;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-switch-'));
  running = await startEngine({
    drives: [1, 2, 3, 4].map((number) => join(folder, `d${number}`)),
    setDriveCount: 2,
    indexDirectory: join(folder, 'index'),
  });
  await running.engine.createBucket('b', { region: '' });
  await running.engine.setVersioning('b', versioning('Enabled'));
});

afterEach(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

async function setOf(key: string): Promise<number> {
  const { journals, engine } = running;
  const asked = journals.map((journal) => vi.spyOn(journal, 'commit'));
  await (await finishedUpload(engine, key, Buffer.from('body'))).commitObject(plain);
  const setIndex = asked.findIndex(({ mock }) => mock.calls.length > 0);
  for (const spy of asked) spy.mockRestore();
  return setIndex;
}

it.each([0, 1])('a delete under way in set %i', async (setIndex) => {
  const { engine, deployment } = running;
  let key = 'k';
  while ((await setOf(key)) !== setIndex) key += 'k';
  let write = (): void => undefined;
  const isAllowed = new Promise<void>((resolve) => (write = resolve));
  const logs = deployment.sets[setIndex]?.places.flatMap(({ drive }) => (drive === null ? [] : [drive.log])) ?? [];
  const spies = logs.map((log) => {
    const plainWrite = log.write.bind(log);
    return vi.spyOn(log, 'write').mockImplementation(async (...call) => {
      await isAllowed;
      return plainWrite(...call);
    });
  });
  const answers: string[] = [];
  const removed = engine.deleteObject('b', key, '', null).then(({ versionId }) => {
    answers.push('deleted');
    return versionId;
  });
  await vi.waitFor(() => {
    expect(spies[0]?.mock.calls.length).toBeGreaterThan(0);
  });
  const switched = engine.setVersioning('b', versioning('Suspended')).then(() => answers.push('switched'));
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const early = [...answers];
  write();
  expect(early).toEqual([]);
  await switched;
  expect(answers).toEqual(['deleted', 'switched']);
  expect(await removed).not.toBe('null');
  expect((await engine.deleteObject('b', key, '', null)).versionId).toBe('null');
});
