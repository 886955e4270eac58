/** An answer that relies on a record under way, such as a refusal, comes when that record is durable, not before. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Refusal } from '../../../dist/base/index.js';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';
import { finishedUpload } from '../../support/finished-upload.js';

const metadata = { headers: {}, storageClass: 'STANDARD' };
let fixture: EngineFixture;

beforeEach(async () => {
  fixture = await engineOnDrives({ driveCount: 1 });
  await fixture.engine.createBucket('b', { region: '' });
});

afterEach(() => fixture.close());

async function newUpload(): Promise<string> {
  const { uploadId } = await fixture.engine.createMultipartUpload({
    bucket: 'b',
    key: 'k',
    metadata,
    checksumAlgorithm: null,
    checksumType: null,
  });
  return uploadId;
}

async function put(key: string, ifNoneMatch?: string[]): Promise<void> {
  const upload = await finishedUpload(fixture.engine, key, Buffer.from('body'));
  await upload.commitObject({ metadata, checksum: null, precondition: ifNoneMatch ? { ifNoneMatch } : null });
}

type Call = () => Promise<unknown>;

/** One behind the other, while nothing becomes durable: what is heard until then, and what in the end. */
async function heard(first: Call, second: Call): Promise<[string[], string[]]> {
  let show = (): void => undefined;
  fixture.journal.beforeApply = new Promise((resolve) => (show = resolve));
  const answers: string[] = [];
  const note = async (call: Call): Promise<void> => {
    const answer = await call().then(
      () => 'done',
      (error: unknown) => (error instanceof Refusal ? error.code : String(error)),
    );
    answers.push(answer);
  };
  const both = [note(first)];
  // It has been decided, and is not applied.
  await new Promise((resolve) => setTimeout(resolve, 50));
  both.push(note(second));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = [...answers];
  show();
  await Promise.all(both);
  fixture.journal.beforeApply = Promise.resolve();
  return [before, answers];
}

it('a second abort of an upload', async () => {
  const uploadId = await newUpload();
  const abort: Call = () => fixture.engine.abortMultipartUpload('b', 'k', uploadId);
  expect(await heard(abort, abort)).toEqual([[], ['done', 'NoSuchUpload']]);
});

it('a second delete of an object, and new metadata for it', async () => {
  await put('k');
  const remove: Call = () => fixture.engine.deleteObject('b', 'k', '', null);
  expect(await heard(remove, remove)).toEqual([[], ['done', 'done']]);
  await put('k');
  const snapshot = fixture.engine.open('b', 'k', '');
  expect(await heard(remove, () => fixture.engine.replaceMetadata(snapshot, metadata, null))).toEqual([
    [],
    ['done', 'done'],
  ]);
  snapshot.close();
});

it('a second delete of a bucket, and a write into it', async () => {
  const remove: Call = () => fixture.engine.deleteBucket('b');
  expect(await heard(remove, remove)).toEqual([[], ['done', 'NoSuchBucket']]);
  await fixture.engine.createBucket('b', { region: '' });
  expect(await heard(remove, () => put('k'))).toEqual([[], ['done', 'NoSuchBucket']]);
});

it('a second creation of a bucket', async () => {
  const create: Call = () => fixture.engine.createBucket('c', { region: '' });
  expect(await heard(create, create)).toEqual([[], ['done', 'BucketAlreadyOwnedByYou']]);
});

it('the delete of a bucket that something is on its way into', async () => {
  const remove: Call = () => fixture.engine.deleteBucket('b');
  expect(await heard(() => put('k'), remove)).toEqual([[], ['done', 'BucketNotEmpty']]);
});

it('a first writer that is the second', async () => {
  const first: Call = () => put('k', ['*']);
  expect(await heard(first, first)).toEqual([[], ['done', 'PreconditionFailed']]);
});

it('but not one that relies on what is durable', async () => {
  await put('there');
  const [before, answers] = await heard(
    () => put('other'),
    () => put('there', ['*']),
  );
  expect(before).toEqual(['PreconditionFailed']);
  expect(answers).toEqual(['PreconditionFailed', 'done']);
});
