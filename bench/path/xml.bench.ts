/**
 * Question: what does one page of a listing cost the main thread, and a document with 1,000 keys or parts?
 * Estimate: an entry is ten short strings appended, 0.3–0.6 µs with its timestamp, so a page is under 1 ms;
 * reading is a state machine at 30 ns a byte, so 1,000 keys in 70 KB are 2–3 ms, in slices of 32 KiB.
 * Result: docs/performance.md.
 */
import Benchmark from 'benchmark';
import type { Authorized } from '../../src/dispatch/index.js';
import type { ListEntry, ListPage, ObjectLayer } from '../../src/object/index.js';
import { parseCompleteDocument } from '../../src/s3/complete-document.js';
import type { S3Deps } from '../../src/s3/deps.js';
import { listObjectsV2, type ListObjectsV2Input } from '../../src/s3/list-objects.js';
import { documentSchema, list, parseXml, requiredText, XmlWriter } from '../../src/s3/xml/index.js';

export interface XmlRow {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
}

const count = 1000;
const startMs = Date.UTC(2026, 10, 24, 2, 30);
const etag = '0123456789abcdef0123456789abcdef';

function pageOf(keyOf: (index: number) => string): ListPage {
  const entries = Array.from({ length: count }, (_, index): ListEntry => {
    const modifiedMs = startMs + index * 1717;
    return { key: keyOf(index), bytes: 4096, etag, modifiedMs, storageClass: 'STANDARD', checksum: null };
  });
  return { entries, commonPrefixes: [], isTruncated: true, next: keyOf(count - 1) };
}

/** One ListObjectsV2 without the pipeline around it, to the bytes that go to the socket. */
function listing(page: ListPage, encodingType: 'url' | null): () => number {
  const deps = { objects: { list: () => page } as unknown as ObjectLayer, ownerId: 'f'.repeat(64) } as S3Deps;
  const input: ListObjectsV2Input = {
    prefix: '',
    delimiter: '',
    keysMax: count,
    encodingType,
    position: '',
    startAfter: '',
    token: null,
    hasOwner: false,
  };
  const call = { bucket: 'bucket', input } as Authorized<ListObjectsV2Input>;
  return () => {
    const response = listObjectsV2.handle(deps, call);
    if (response instanceof Promise || response.body.kind !== 'bytes') throw new Error('a listing is one document');
    return Buffer.from(response.body.bytes as string).length;
  };
}

const deleteSchema = documentSchema({
  root: 'Delete',
  fields: { Object: list({ Key: requiredText(4096) }, count) },
  elementsMax: 10 * count,
});

function deleteDocument(): Buffer {
  const xml = new XmlWriter('Delete');
  for (let index = 0; index < count; index++) xml.open('Object').text('Key', plainKey(index)).close();
  return Buffer.from(xml.end());
}

function completeDocument(): Buffer {
  const xml = new XmlWriter('CompleteMultipartUpload');
  for (let number = 1; number <= count; number++) {
    xml.open('Part').number('PartNumber', number).etag('ETag', etag).text('ChecksumCRC32', 'AAAAAA==').close();
  }
  return Buffer.from(xml.end());
}

function plainKey(index: number): string {
  return `some/prefix/of-a-tree/object-${String(index).padStart(6, '0')}.bin`;
}

function microsPerRun(name: string, run: () => unknown): Promise<number> {
  return measure(new Benchmark(name, run, { maxTime: 1, minSamples: 20 }));
}

/** The event loop's turns between the slices of a document are part of it. */
function microsPerPromise(name: string, run: () => Promise<unknown>): Promise<number> {
  const fn = (deferred: { resolve(): void }) => {
    void run().then(() => deferred.resolve());
  };
  return measure(new Benchmark(name, fn, { defer: true, maxTime: 1, minSamples: 20 }));
}

function measure(benchmark: Benchmark): Promise<number> {
  return new Promise((resolve, reject) => {
    benchmark
      .on('complete', (event: Benchmark.Event) => resolve((event.target.stats?.mean ?? Number.NaN) * 1e6))
      .on('error', (event: Benchmark.Event & { target: { error?: Error } }) =>
        reject(event.target.error ?? new Error('the benchmark failed')),
      )
      .run({ async: true });
  });
}

export async function xmlRows(): Promise<XmlRow[]> {
  const plain = pageOf(plainKey);
  const odd = pageOf((index) => `m\u00fcll & s\u00f6hne/${index} <${'x'.repeat(16)}>`);
  const deleted = deleteDocument();
  const completed = completeDocument();
  const row = (name: string, value: number): XmlRow => ({ name, unit: 'µs', value });
  return [
    row('js.xml.list.1000', await microsPerRun('list', listing(plain, null))),
    row('js.xml.list.1000.escaped', await microsPerRun('list escaped', listing(odd, null))),
    row('js.xml.list.1000.url', await microsPerRun('list url', listing(odd, 'url'))),
    row('js.xml.delete.1000', await microsPerPromise('delete', () => parseXml(deleted, deleteSchema))),
    row('js.xml.complete.1000', await microsPerPromise('complete', () => parseCompleteDocument(completed))),
  ];
}
