/**
 * A random workload on a real engine beside a model in memory: every content, listing and counter is compared.
 * All choices come from one seed; the machine's timing does not.
 */
import { createCipheriv, createHash } from 'node:crypto';
import type { ObjectInfo, ObjectSnapshot, Upload, WritePrecondition } from '../../dist/object/index.js';
import { decodeEntry, decodeObject, decodePart, entrySpace } from '../../dist/object/records.js';
import { blobName, fileId } from '../../dist/erasure/index.js';
import type { SystemChange } from '../../dist/object/records.js';
import type { RunningEngine } from './running-engine.js';

interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly partCount: number;
}

/** What a key may hold: one thing, or after an answer that left it open one of several. Null: nothing. */
type KeyState = (StoredObject | null)[];

interface OpenUpload {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly parts: Map<number, StoredPart>;
  /** Sent and not answered. */
  partUnderWay: { readonly number: number; readonly part: StoredPart } | null;
  /** Its end was asked for and not answered. */
  isEnding: boolean;
}

interface StoredPart {
  readonly body: Buffer;
  readonly etag: string;
}

export type Operation =
  | 'put'
  | 'delete'
  | 'copy'
  | 'replace metadata'
  | 'race'
  | 'contend'
  | 'give up'
  | 'multipart'
  | 'read'
  | 'document'
  | 'system'
  | 'bucket';

const partBytesMin = 5 << 20;
const limitsOfKinds = [0, 512, 8192, 262_144, 1_048_576, 3_200_000];
const edgeSizes = [
  0, 1, 511, 512, 513, 8192, 65_536, 262_143, 262_144, 262_145, 1_048_512, 1_048_576, 1_048_577, 2_097_152,
];
const alphabet = ['a', 'b', '/', '//', 'ä', '\u{ff5e}', '\u{1f600}', '\u{10ffff}', ' ', '%', '.', '..', '\u007f', 'z'];

/** Refusals that say that too few drives take part: what becomes of the record is decided later. */
const openOutcomes = new Set(['SlowDownWrite', 'XMinioStorageFull', 'InternalError']);

export const md5Hex = (body: Uint8Array): string => createHash('md5').update(body).digest('hex');

export class Workload {
  readonly buckets = new Map<string, Map<string, KeyState>>();
  readonly uploads: OpenUpload[] = [];
  running!: RunningEngine;
  /** Writes must succeed: enough drives are there. */
  mustWrite = true;
  /** Of the bodies that `put`, `contend` and the last parts of uploads get. */
  size = (): number => this.#anySize();
  /** Uploads of several parts take 5 MiB for each. */
  partsMax = 3;
  /** From so many keys of a bucket on, no new ones are made up. */
  keysMax = 60;
  /** Buckets that another model knows. */
  readonly otherBuckets = new Set<string>();
  changes = 0;
  refusals = 0;
  #bodies = 0;
  #names = 0;
  /** Asked for and not answered: made or not, gone or not. */
  readonly #bucketsUnderWay = new Map<string, 'create' | 'delete'>();
  readonly #documents = new Map<string, (string | null)[]>();
  readonly #busyDocuments = new Set<string>();
  readonly #system = new Map<string, string>();
  #systemUnderWay: readonly SystemChange[] | null = null;

  constructor(
    readonly random: () => number,
    private readonly seed: number,
  ) {}

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('nothing to pick from');
    return value;
  }

  newBody(bytes: number): Buffer {
    const key = Buffer.alloc(16);
    key.writeUInt32LE(this.seed, 0);
    key.writeUInt32LE(this.#bodies++, 4);
    return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
  }

  #anySize(): number {
    if (this.random() < 0.3) return this.pick(edgeSizes);
    const kind = 1 + this.below(limitsOfKinds.length - 1);
    const low = limitsOfKinds[kind - 1] ?? 0;
    return low + this.below((limitsOfKinds[kind] ?? 1) - low);
  }

  newKey(): string {
    let key = '';
    for (let count = 1 + this.below(5); count > 0; count--) key += this.pick(alphabet);
    return key;
  }

  /** Mostly few keys, so that they are overwritten. */
  key(bucket: string): string {
    const known = [...this.#keys(bucket).keys()];
    return known.length > this.keysMax || (known.length > 0 && this.random() < 0.5) ? this.pick(known) : this.newKey();
  }

  bucket(): string {
    return this.pick([...this.buckets.keys()].filter((name) => !name.startsWith('brief-')));
  }

  async createBucket(name: string): Promise<void> {
    this.#bucketsUnderWay.set(name, 'create');
    await this.#tolerant(async () => {
      await this.running.engine.createBucket(name, { region: '' });
      this.#bucketsUnderWay.delete(name);
      this.buckets.set(name, new Map());
    });
  }

  /** It must be empty. */
  async deleteBucket(name: string): Promise<void> {
    this.#bucketsUnderWay.set(name, 'delete');
    await this.#tolerant(async () => {
      await this.running.engine.deleteBucket(name);
      this.#bucketsUnderWay.delete(name);
      this.#forgetBucket(name);
    });
  }

  #forgetBucket(name: string): void {
    this.buckets.delete(name);
    this.#documents.delete(name);
  }

  /** Some operations at once, each on keys of its own. */
  async wave(count: number): Promise<void> {
    const busy = new Set<string>();
    const work: Promise<void>[] = [];
    for (let index = 0; index < count; index++) {
      const bucket = this.bucket();
      const key = this.key(bucket);
      if (busy.has(`${bucket}/${key}`)) continue;
      busy.add(`${bucket}/${key}`);
      work.push(this.#change(bucket, key));
    }
    const done = await Promise.allSettled(work);
    for (const outcome of done) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #change(bucket: string, key: string): Promise<void> {
    const choice = this.random();
    if (choice < 0.38) await this.perform('put', bucket, key);
    else if (choice < 0.52) await this.perform('delete', bucket, key);
    else if (choice < 0.6) await this.perform('copy', bucket, key);
    else if (choice < 0.66) await this.perform('replace metadata', bucket, key);
    else if (choice < 0.7) await this.perform('race', bucket, key);
    else if (choice < 0.75) await this.perform('contend', bucket, key);
    else if (choice < 0.8) await this.perform('give up', bucket, key);
    else if (choice < 0.9) await this.perform('multipart', bucket, key);
    else if (choice < 0.92) await this.perform('document', bucket, key);
    else if (choice < 0.94) await this.perform('system', bucket, key);
    else if (choice < 0.95) await this.perform('bucket', bucket, key);
    else await this.perform('read', bucket, key);
  }

  async perform(operation: Operation, bucket: string, key: string): Promise<void> {
    this.changes++;
    switch (operation) {
      case 'put':
        return this.#put(bucket, key);
      case 'delete':
        return this.#delete(bucket, key);
      case 'copy':
        return this.#copy(bucket, key);
      case 'replace metadata':
        return this.#replaceMetadata(bucket, key);
      case 'race':
        return this.#race(bucket, key);
      case 'contend':
        return this.#contend(bucket, key);
      case 'give up':
        return this.#giveUp(bucket, key);
      case 'multipart':
        return this.#multipart(bucket, key);
      case 'read':
        return this.#readRange(bucket, key);
      case 'document':
        return this.#setDocument(bucket);
      case 'system':
        return this.#writeSystem();
      case 'bucket':
        return this.#makeAndRemoveBucket();
    }
  }

  /** What was refused because too few drives take part is left open. */
  async #tolerant(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!openOutcomes.has(codeOf(error))) throw error;
      this.#refused(codeOf(error));
    }
  }

  async #makeAndRemoveBucket(): Promise<void> {
    const name = `brief-${this.#names++}`;
    await this.createBucket(name);
    if (!this.buckets.has(name)) return;
    await this.#setDocument(name);
    await this.deleteBucket(name);
  }

  async #setDocument(bucket: string): Promise<void> {
    if (this.#busyDocuments.has(bucket)) return;
    this.#busyDocuments.add(bucket);
    const text = this.random() < 0.3 ? null : `<Tagging>${this.#names++}</Tagging>`;
    const before = this.#documents.get(bucket) ?? [null];
    this.#documents.set(bucket, [...before, text]);
    await this.#tolerant(async () => {
      await this.running.engine.setBucketDocument(bucket, 'tagging', text);
      this.#documents.set(bucket, [text]);
    });
    this.#busyDocuments.delete(bucket);
  }

  /** Several records that change together. */
  async #writeSystem(): Promise<void> {
    if (this.#systemUnderWay !== null) return;
    const changes = ['iam/users/a', 'iam/users/b', `iam/groups/${this.below(4)}`].map((name) => ({
      name,
      value: this.random() < 0.2 ? null : Buffer.from(`record ${this.#names++}`),
    }));
    this.#systemUnderWay = changes;
    await this.#tolerant(async () => {
      await this.running.engine.writeSystemRecords(changes);
      this.#systemUnderWay = null;
      for (const change of changes) this.#applySystem(change);
    });
  }

  #applySystem({ name, value }: SystemChange): void {
    if (value === null) this.#system.delete(name);
    else this.#system.set(name, Buffer.from(value).toString());
  }

  async feed(bucket: string, key: string, body: Buffer, stopAt = Infinity): Promise<Upload> {
    const upload = this.running.engine.openUpload({
      bucket,
      key,
      bytes: body.length,
      sha256: false,
      checksum: null,
      signedStream: null,
      storageClass: 'STANDARD',
    });
    let failure: Error | null = null;
    let wake = (): void => undefined;
    upload.onDrain = () => wake();
    upload.onFailure = (refusal) => {
      failure = refusal;
      wake();
    };
    const pieceBytes = 10_000 + this.below(300_000);
    try {
      for (let at = 0; at < Math.min(body.length, stopAt); at += pieceBytes) {
        const goesOn = upload.write(body, at, Math.min(body.length, at + pieceBytes));
        if (failure === null && !goesOn) await new Promise<void>((resolve) => (wake = resolve));
        if (failure !== null) throw failure as Error;
      }
      if (stopAt === Infinity) {
        const { md5 } = await upload.finish();
        if (md5 !== md5Hex(body)) throw new Error(`${key}: the digest is wrong`);
      }
      return upload;
    } catch (error) {
      upload.abort();
      throw error;
    }
  }

  #metadata(): { headers: Record<string, string>; storageClass: string } {
    return { headers: { 'x-amz-meta-n': String(this.below(1000)) }, storageClass: 'STANDARD' };
  }

  async #put(bucket: string, key: string): Promise<void> {
    await this.#store(bucket, key, this.newBody(this.size()), null);
  }

  async #store(bucket: string, key: string, body: Buffer, precondition: WritePrecondition | null): Promise<void> {
    const metadata = this.#metadata();
    const stored = { body, etag: md5Hex(body), headers: metadata.headers, partCount: 0 };
    await this.#settle(bucket, key, stored, async () => {
      const upload = await this.feed(bucket, key, body);
      const info = await upload.commitObject({ metadata, checksum: null, precondition });
      this.#compareInfo(info, stored);
    });
  }

  async #delete(bucket: string, key: string): Promise<void> {
    await this.#settle(bucket, key, null, async () => {
      await this.running.engine.deleteObject(bucket, key, '', null);
    });
  }

  /** Reads one object and writes another with what comes. */
  async #copy(bucket: string, key: string): Promise<void> {
    const source = this.#someObject(bucket);
    if (source === null) return;
    const snapshot = this.running.engine.open(bucket, source.key, '');
    const body = await readAll(snapshot, 0, snapshot.info.bytes);
    if (!body.equals(source.object.body)) throw new Error(`${source.key}: a copy read other bytes`);
    await this.#store(bucket, key, body, null);
  }

  async #replaceMetadata(bucket: string, key: string): Promise<void> {
    const states = this.#keys(bucket).get(key);
    const current = states?.length === 1 ? states[0] : null;
    if (current == null) return;
    const metadata = this.#metadata();
    const snapshot = this.running.engine.open(bucket, key, '');
    try {
      await this.#settle(bucket, key, { ...current, headers: metadata.headers }, async () => {
        const precondition = { ifMatch: [current.etag] };
        const info = await this.running.engine.replaceMetadata(snapshot, metadata, precondition);
        if (info === null) throw new Error(`${key}: nobody else was at it, and it has gone`);
      });
      const again = await readAll(snapshot, 0, snapshot.info.bytes);
      if (!again.equals(current.body)) throw new Error(`${key}: a snapshot changed`);
    } finally {
      snapshot.close();
    }
  }

  /** Several writers that each want to be the first. */
  async #race(bucket: string, key: string): Promise<void> {
    const states = this.#keys(bucket).get(key) ?? [null];
    if (states.length !== 1) return;
    const bodies = [1, 2, 3].map(() => this.newBody(this.size() % 300_000));
    const metadata = this.#metadata();
    const stored = (body: Buffer): StoredObject => ({
      body,
      etag: md5Hex(body),
      headers: metadata.headers,
      partCount: 0,
    });
    if (states[0] === null) this.#keys(bucket).set(key, [null, ...bodies.map(stored)]);
    const outcomes = await Promise.allSettled(
      bodies.map(async (body) => {
        const upload = await this.feed(bucket, key, body);
        return upload.commitObject({ metadata, checksum: null, precondition: { ifNoneMatch: ['*'] } });
      }),
    );
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [codeOf(outcome.reason)] : []));
    if (refused.some((code) => openOutcomes.has(code))) {
      this.#refused(refused.find((code) => openOutcomes.has(code)) ?? '');
      this.#keys(bucket).set(key, [...states, ...(states[0] === null ? bodies.map(stored) : [])]);
      return;
    }
    const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
    if (winners.length !== (states[0] === null ? 1 : 0))
      throw new Error(`${key}: ${winners.length} writers were first`);
    const winner = bodies[winners[0] ?? -1];
    if (winner !== undefined) this.#keys(bucket).set(key, [stored(winner)]);
  }

  /** Several writers that all succeed: the content is that of one of them, whoever was last. */
  async #contend(bucket: string, key: string): Promise<void> {
    const keys = this.#keys(bucket);
    const before = keys.get(key) ?? [null];
    const metadata = this.#metadata();
    const writes = Array.from({ length: 2 + this.below(4) }, () => {
      const body = this.newBody(this.size());
      return { body, etag: md5Hex(body), headers: metadata.headers, partCount: 0 };
    });
    keys.set(key, [...before, ...writes]);
    const store = async (stored: StoredObject): Promise<void> => {
      const upload = await this.feed(bucket, key, stored.body);
      const info = await upload.commitObject({ metadata, checksum: null, precondition: null });
      this.#compareInfo(info, stored);
      // From the first answer on, what was there before is gone for good.
      keys.set(key, writes);
    };
    const outcomes = await Promise.allSettled(writes.map((stored) => this.#tolerant(() => store(stored))));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    // Who was last, the store knows. Only when all were answered, and nothing is open from before.
    if (keys.get(key) !== writes || !this.mustWrite) return;
    const found = await this.#find(bucket, key, writes);
    if (found == null) throw new Error(`${key}: none of ${writes.length} writers' bodies is there`);
    keys.set(key, [found]);
  }

  async #giveUp(bucket: string, key: string): Promise<void> {
    const body = this.newBody(this.size());
    try {
      const upload = await this.feed(bucket, key, body, this.below(body.length + 1));
      if (this.random() < 0.5) await new Promise((resolve) => setTimeout(resolve, this.below(5)));
      upload.abort();
    } catch (error) {
      if (!openOutcomes.has(codeOf(error))) throw error;
      this.#refused(codeOf(error));
    }
  }

  async #multipart(bucket: string, key: string): Promise<void> {
    const { engine } = this.running;
    const metadata = this.#metadata();
    try {
      const { uploadId } = await engine.createMultipartUpload({
        bucket,
        key,
        metadata,
        checksumAlgorithm: null,
        checksumType: null,
      });
      const parts: OpenUpload['parts'] = new Map();
      const upload: OpenUpload = { bucket, key, uploadId, parts, partUnderWay: null, isEnding: false };
      this.uploads.push(upload);
      const numbers = [1 + this.below(5), 10 + this.below(5), 20 + this.below(5)].slice(
        0,
        1 + this.below(this.partsMax),
      );
      // One that is sent again, one that is not listed.
      for (const number of [...numbers, numbers[0] ?? 1, 99]) {
        const isLast = number === numbers.at(-1);
        const body = this.newBody(isLast || number === 99 ? this.size() % 700_000 : partBytesMin + this.below(2000));
        const sent = await this.feed(bucket, key, body);
        upload.partUnderWay = { number, part: { body, etag: md5Hex(body) } };
        const { etag } = await sent.commitPart({ uploadId, partNumber: number, checksum: null });
        parts.set(number, { body, etag });
        upload.partUnderWay = null;
      }
      const fate = this.random();
      if (fate < 0.15) return;
      if (fate < 0.3) {
        upload.isEnding = true;
        await engine.abortMultipartUpload(bucket, key, uploadId);
        this.uploads.splice(this.uploads.indexOf(upload), 1);
        return;
      }
      const listed = numbers.map((number) => ({
        number,
        ...(parts.get(number) ?? { body: Buffer.alloc(0), etag: '' }),
      }));
      const etags = Buffer.concat(listed.map(({ etag }) => Buffer.from(etag, 'hex')));
      const stored = {
        body: Buffer.concat(listed.map(({ body }) => body)),
        etag: `${md5Hex(etags)}-${listed.length}`,
        headers: metadata.headers,
        partCount: listed.length,
      };
      this.uploads.splice(this.uploads.indexOf(upload), 1);
      await this.#settle(bucket, key, stored, async () => {
        const complete = {
          bucket,
          key,
          uploadId,
          parts: listed.map(({ number, etag }) => ({ partNumber: number, etag, checksum: null })),
          precondition: null,
        };
        const info = await engine.completeMultipartUpload(complete);
        this.#compareInfo(info, stored);
        if (this.random() < 0.3) this.#compareInfo(await engine.completeMultipartUpload(complete), stored);
      });
    } catch (error) {
      if (!openOutcomes.has(codeOf(error))) throw error;
      this.#refused(codeOf(error));
      // Whether the upload is open is left to the next start.
      for (const upload of this.uploads.filter((one) => one.bucket === bucket && one.key === key)) {
        this.uploads.splice(this.uploads.indexOf(upload), 1);
        this.uncertainUploads = true;
      }
    }
  }

  uncertainUploads = false;

  async #readRange(bucket: string, key: string): Promise<void> {
    const states = this.#keys(bucket).get(key);
    const object = states?.length === 1 ? states[0] : null;
    if (object == null) return;
    const snapshot = this.running.engine.open(bucket, key, '');
    const start = this.below(object.body.length + 1);
    const end = start + this.below(object.body.length - start + 1);
    const bytes = await readAll(snapshot, start, end);
    if (!bytes.equals(object.body.subarray(start, end))) throw new Error(`${key}: bytes ${start} to ${end} are wrong`);
  }

  /** Does something that makes `next` the content of the key, or leaves that open. */
  async #settle(bucket: string, key: string, next: StoredObject | null, act: () => Promise<void>): Promise<void> {
    const keys = this.#keys(bucket);
    const before = keys.get(key) ?? [null];
    // Should the server end before it answers, both are right.
    keys.set(key, [...before, next]);
    try {
      await act();
      keys.set(key, [next]);
    } catch (error) {
      if (!openOutcomes.has(codeOf(error))) throw error;
      this.#refused(codeOf(error));
    }
  }

  #refused(code: string): void {
    if (this.mustWrite) throw new Error(`refused with ${code} although enough drives are there`);
    this.refusals++;
  }

  #compareInfo(info: ObjectInfo, stored: StoredObject): void {
    if (info.etag !== stored.etag || info.bytes !== stored.body.length || info.partCount !== stored.partCount) {
      throw new Error(
        `${info.key}: ${info.etag}, ${info.bytes} bytes instead of ${stored.etag}, ${stored.body.length}`,
      );
    }
  }

  /** Changes with every batch that the index takes. */
  #shown(): string {
    const { engine, journals } = this.running;
    return journals.map((_, setIndex) => engine.index.position(setIndex)?.sequence ?? 0).join();
  }

  #keys(bucket: string): Map<string, KeyState> {
    const keys = this.buckets.get(bucket);
    if (keys === undefined) throw new Error(`no bucket ${bucket}`);
    return keys;
  }

  #someObject(bucket: string): { key: string; object: StoredObject } | null {
    const present = [...this.#keys(bucket)].flatMap(([key, states]) =>
      states.length === 1 && states[0] != null ? [{ key, object: states[0] }] : [],
    );
    return present.length === 0 ? null : this.pick(present);
  }

  /** A key of the bucket that surely holds an object. */
  presentKey(bucket: string): string | null {
    return this.#someObject(bucket)?.key ?? null;
  }

  /**
   * Everything against the model. What an answer left open is decided by the next start: `isDecided` says
   * that there was one since.
   */
  async checkAll(isDecided: boolean): Promise<void> {
    const { engine } = this.running;
    if (isDecided) this.#checkBuckets();
    this.#checkDocuments(isDecided);
    for (const [bucket, keys] of this.buckets) {
      const seen = new Map<string, StoredObject>();
      for (;;) {
        const shown = this.#shown();
        seen.clear();
        for (const [key, states] of keys) {
          const found = await this.#find(bucket, key, states);
          if (found === undefined) throw new Error(`${bucket}/${key}: what is there was never stored`);
          if (found !== null) seen.set(key, found);
          if (states.length > 1 && !isDecided) continue;
          if (found === null) keys.delete(key);
          else keys.set(key, [found]);
        }
        const objects = [...seen.values()];
        const bytes = objects.reduce((sum, { body }) => sum + body.length, 0);
        const usage = engine.index.usage(engine.index.buckets.get(bucket)?.bucketId ?? 0);
        // A set that stopped looks at its drives again, and may show in between what an answer had left open.
        if (shown !== this.#shown()) continue;
        if (usage.objects !== objects.length || usage.bytes !== bytes) {
          throw new Error(`${bucket}: counted ${usage.objects}/${usage.bytes}, there are ${objects.length}/${bytes}`);
        }
        if (usage.sizes.reduce((sum, count) => sum + count) !== usage.versions) {
          throw new Error(`${bucket}: ${usage.versions} versions, but by size ${usage.sizes.join()}`);
        }
        try {
          for (let round = 0; round < 8; round++) await this.#checkListing(bucket, [...seen.keys()]);
        } catch (error) {
          if (shown === this.#shown()) throw error;
          continue;
        }
        break;
      }
    }
    for (const upload of [...this.uploads]) {
      if (upload.isEnding && this.#hasEnded(upload)) {
        this.uploads.splice(this.uploads.indexOf(upload), 1);
        continue;
      }
      const { parts } = engine.listParts(upload.bucket, upload.key, upload.uploadId, 0, 100);
      const { partUnderWay } = upload;
      const hasArrived =
        partUnderWay !== null &&
        parts.some(({ partNumber, etag }) => partNumber === partUnderWay.number && etag === partUnderWay.part.etag);
      if (partUnderWay !== null && hasArrived) upload.parts.set(partUnderWay.number, partUnderWay.part);
      if (isDecided) upload.partUnderWay = null;
      const found = parts.map(({ partNumber, etag }) => `${partNumber} ${etag}`);
      const known = [...upload.parts].sort(([a], [b]) => a - b).map(([number, { etag }]) => `${number} ${etag}`);
      if (found.join() !== known.join()) throw new Error(`${upload.key}: parts ${found.join()}, not ${known.join()}`);
    }
  }

  #hasEnded({ bucket, key, uploadId }: OpenUpload): boolean {
    try {
      this.running.engine.multipartUpload(bucket, key, uploadId);
      return false;
    } catch (error) {
      if (codeOf(error) !== 'NoSuchUpload') throw error;
      return true;
    }
  }

  #checkBuckets(): void {
    const listed = this.running.engine.listBuckets().map(({ name }) => name);
    for (const name of this.otherBuckets) if (!listed.includes(name)) throw new Error(`there is no bucket ${name}`);
    const found = listed.filter((name) => !this.otherBuckets.has(name));
    for (const [name, change] of this.#bucketsUnderWay) {
      if (change === 'create' && found.includes(name)) this.buckets.set(name, new Map());
      if (change === 'delete' && !found.includes(name)) this.#forgetBucket(name);
    }
    this.#bucketsUnderWay.clear();
    const known = [...this.buckets.keys()].sort();
    if (found.sort().join() !== known.join()) throw new Error(`buckets ${found.join()} instead of ${known.join()}`);
  }

  #checkDocuments(isDecided: boolean): void {
    const { engine } = this.running;
    for (const bucket of this.buckets.keys()) {
      const found = engine.bucketDocument(bucket, 'tagging')?.text ?? null;
      const states = this.#documents.get(bucket) ?? [null];
      if (!states.includes(found)) throw new Error(`${bucket}: the document is ${found}, not ${states.join(' or ')}`);
      if (isDecided) this.#documents.set(bucket, [found]);
    }
    if (isDecided) this.#busyDocuments.clear();
    const found = new Map<string, string>();
    engine.systemRecords('iam/', (name, value) => found.set(name, Buffer.from(value).toString()));
    const text = (records: ReadonlyMap<string, string>): string => JSON.stringify([...records].sort());
    const before = text(this.#system);
    if (this.#systemUnderWay !== null && isDecided) {
      if (text(found) !== before) for (const change of this.#systemUnderWay) this.#applySystem(change);
      this.#systemUnderWay = null;
    }
    if (this.#systemUnderWay === null && text(found) !== text(this.#system)) {
      throw new Error(`system records ${text(found)} instead of ${text(this.#system)} (before: ${before})`);
    }
  }

  async #find(bucket: string, key: string, states: KeyState): Promise<StoredObject | null | undefined> {
    let snapshot: ObjectSnapshot;
    try {
      snapshot = this.running.engine.open(bucket, key, '');
    } catch (error) {
      if (codeOf(error) !== 'NoSuchKey') throw error;
      return states.includes(null) ? null : undefined;
    }
    const { etag, metadata, bytes } = snapshot.info;
    const body = await readAll(snapshot, 0, bytes).catch((error: unknown) => {
      throw new Error(`${bucket}/${key} of ${bytes} bytes cannot be read`, { cause: error });
    });
    return states.find(
      (state) =>
        state !== null &&
        state.etag === etag &&
        state.headers['x-amz-meta-n'] === metadata.headers['x-amz-meta-n'] &&
        state.body.equals(body),
    );
  }

  async #checkListing(bucket: string, keys: readonly string[]): Promise<void> {
    const prefix = this.random() < 0.4 ? '' : [...this.newKey()].slice(0, 1 + this.below(3)).join('');
    const delimiter = this.pick(['', '', '/', 'a', '//', '\u{10ffff}']);
    const startAfter = this.random() < 0.5 ? '' : this.newKey();
    const countMax = this.pick([1, 2, 3, 7, 1000]);
    const wanted = expectedListing(keys, prefix, delimiter, startAfter);
    const found: string[] = [];
    let marker = startAfter;
    for (;;) {
      const page = await this.running.engine.list({ bucket, prefix, delimiter, startAfter: marker, countMax });
      const names = [...page.entries.map(({ key }) => key), ...page.commonPrefixes];
      found.push(...names.sort(byBytes));
      if (names.length > countMax) throw new Error('a page is too long');
      if (!page.isTruncated) break;
      marker = page.next;
    }
    const text = JSON.stringify({ prefix, delimiter, startAfter, countMax });
    if (found.join('|') !== wanted.join('|')) {
      throw new Error(
        `listing ${text}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}; seed ${this.seed}`,
      );
    }
  }

  /** Names of the blob files that records refer to. */
  liveBlobs(): Set<string> {
    const names = new Set<string>();
    const { catalog } = this.running.engine.index;
    for (const letter of ['O', 'V', 'P']) {
      const start = Buffer.from(letter);
      const end = Buffer.from([start.readUInt8() + 1]);
      for (const { value } of catalog.range({ start, end })) {
        const entry = decodeEntry(value);
        const { placement } =
          letter === 'P' ? decodePart(entry.body, entry.here) : decodeObject(entry.body, entry.here);
        if (placement.kind === 'blob') names.add(blobName(placement.id));
      }
    }
    return names;
  }

  /** By name: the positions that are known to lack their shard, as bits. */
  lackingBlobs(): Map<string, number> {
    const found = new Map<string, number>();
    const range = { start: Buffer.from('H'), end: Buffer.from('I') };
    for (const { key, value } of this.running.engine.index.catalog.range(range)) {
      found.set(key.toString('latin1', 1), value.readUInt32LE());
    }
    return found;
  }
}

/** What the entries of an index keep in each log file, counted one by one. */
export function spaceByFile({ engine }: RunningEngine): Map<number, number> {
  const sums = new Map<number, number>();
  const add = (fileNumber: number, bytes: number): void => {
    if (bytes > 0) sums.set(fileNumber, (sums.get(fileNumber) ?? 0) + bytes);
  };
  for (const letter of 'BOVUPSD') {
    const start = Buffer.from(letter);
    const end = Buffer.from([start.readUInt8() + 1]);
    for (const { key, value } of engine.index.catalog.range({ start, end })) {
      if (letter === 'P' && engine.index.isDropped(key.toString('hex', 1, 17))) continue;
      const space = entrySpace(value);
      add(space.fileNumber, space.bytes);
      add(space.slotsFileNumber, space.slotsBytes);
    }
  }
  return sums;
}

/** The counters of every log file agree with that. */
export function expectExactSpace(running: RunningEngine, filesMax: number): void {
  const sums = spaceByFile(running);
  for (const { setIndex } of running.deployment.sets) {
    for (let number = 0; number <= filesMax; number++) {
      const fileNumber = fileId(setIndex, number);
      const [counted, sum] = [running.engine.index.liveBytes(fileNumber), sums.get(fileNumber) ?? 0];
      if (counted !== sum) throw new Error(`log file ${fileNumber}: ${counted} bytes are counted, ${sum} are in use`);
    }
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** As S3 says it: keys and common prefixes behind the marker, in byte order. */
function expectedListing(keys: readonly string[], prefix: string, delimiter: string, startAfter: string): string[] {
  const names = new Set<string>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = at < 0 ? key : key.slice(0, at + delimiter.length);
    if (startAfter !== '' && byBytes(key, startAfter) <= 0) continue;
    if (startAfter !== '' && at >= 0 && startAfter.startsWith(name)) continue;
    names.add(name);
  }
  return [...names].sort(byBytes);
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

export async function readAll(snapshot: ObjectSnapshot, start: number, end: number): Promise<Buffer> {
  const source = snapshot.read(start, end);
  const pieces: Buffer[] = [];
  try {
    for (;;) {
      const piece = await source.next();
      if (piece === null) return Buffer.concat(pieces);
      pieces.push(Buffer.from(piece.bytes));
      piece.release();
    }
  } finally {
    source.close();
  }
}
