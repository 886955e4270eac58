/** The rebuilding of one large object waits after each of its stripes. */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';
import { filesBelow } from '../../support/running-engine.js';

const stripeBytes = 1 << 20;
let fixture: EngineFixture;

afterEach(() => fixture.close());

it('waits after each stripe, with nothing of the next one written', async () => {
  fixture = await engineOnDrives({ driveCount: 4 });
  const { engine, journal } = fixture;
  await engine.createBucket('b', { region: '' });
  const body = randomBytes(4 * stripeBytes + 5);
  const upload = engine.openUpload({
    bucket: 'b',
    key: 'k',
    bytes: body.length,
    sha256: false,
    checksum: null,
    signedStream: null,
    storageClass: 'STANDARD',
  });
  for (let at = 0; at < body.length; at += stripeBytes) {
    const isTaken = upload.write(body, at, Math.min(body.length, at + stripeBytes));
    if (!isTaken) await new Promise<void>((resolve) => (upload.onDrain = resolve));
  }
  await upload.finish();
  const metadata = { headers: {}, storageClass: 'STANDARD' };
  await upload.commitObject({ metadata, checksum: null, precondition: null });
  const record = journal.records.at(-1);
  if (record === undefined) throw new Error('the object has a record');
  const blobs = join(fixture.driveFolder(1), 'blobs');
  const [file = ''] = filesBelow(blobs);
  const before = readFileSync(file);
  rmSync(file);

  const steps: number[] = [];
  let goOn = (): void => undefined;
  let arrived = (): void => undefined;
  const pace = (bytes: number): Promise<void> => {
    steps.push(bytes);
    arrived();
    return new Promise((resolve) => (goOn = resolve));
  };
  const healing = engine.partOf(0).healRecord(record, 1, { restart: () => undefined, step: pace });
  for (let stripe = 1; stripe <= 5; stripe++) {
    if (steps.length < stripe) await new Promise<void>((resolve) => (arrived = resolve));
    expect(steps).toHaveLength(stripe);
    const [unfinished = ''] = filesBelow(blobs);
    const written = unfinished === '' ? 0 : readFileSync(unfinished).length;
    expect(written).toBeLessThan(((stripe + 1) * stripeBytes) / 2);
    goOn();
  }
  expect(steps.slice(0, 5)).toEqual([stripeBytes, stripeBytes, stripeBytes, stripeBytes, 5]);
  let isOver = false;
  const over = healing.then((isHealed) => {
    isOver = true;
    return isHealed;
  });
  // What was written is read back, at the same pace.
  while (!isOver) {
    goOn();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await over).toBe('healed');
  expect(filesBelow(blobs)).toEqual([file]);
  expect(readFileSync(file).equals(before)).toBe(true);
});
