/**
 * Random operations on versioned buckets beside a model in memory: for each key its versions, the newest first.
 * Every version's content, both listings, the counters and what look-ups say about markers are compared.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { BucketVersioning, DeleteOutcome, VersionEntry } from '../../dist/object/index.js';
import { codeOf, md5Hex, readAll, type Workload } from './workload.js';

interface ModelVersion {
  /** Null: its answer did not arrive. */
  readonly versionId: string | null;
  /** Null: a delete marker. */
  readonly content: { readonly body: Buffer; readonly etag: string; readonly n: string } | null;
}

type Change =
  | { readonly kind: 'put'; readonly version: ModelVersion; readonly isNull: boolean }
  | { readonly kind: 'end'; readonly versionId: string };

interface OpenChange {
  change: Change;
  /** It was answered, behind one that was not. */
  isDone: boolean;
}

interface ModelKey {
  versions: ModelVersion[];
  /** Changes under way, and those whose outcome is not known: each happened or did not. */
  open: OpenChange[];
  /** They were asked for at the same moment, and happen in any order. */
  isBurst: boolean;
}

type Status = BucketVersioning['status'];

interface ModelBucket {
  status: Status;
  /** What it may be while a change of it is under way, or was not answered. */
  possible: readonly Status[];
  readonly keys: Map<string, ModelKey>;
}

export type VersionOperation =
  'put' | 'multipart' | 'delete' | 'end' | 'end several' | 'copy up' | 'burst' | 'enable' | 'suspend';

/** A change of a burst, and the order that its record got; null when it committed none. */
interface OrderedChange {
  readonly change: Change;
  readonly order: number | null;
}

const openOutcomes = new Set(['SlowDownWrite', 'XMinioStorageFull', 'InternalError']);
const openMax = 6;

export class VersionWorkload {
  readonly #buckets = new Map<string, ModelBucket>();
  changes = 0;
  /** Keys of a bucket. */
  keysMax = 24;
  /** A key that has so many gets no more. */
  versionsMax = Infinity;

  constructor(private readonly workload: Workload) {}

  get #engine() {
    return this.workload.running.engine;
  }

  async createBucket(name: string): Promise<void> {
    await this.#engine.createBucket(name, { region: '' });
    this.workload.otherBuckets.add(name);
    this.#buckets.set(name, { status: null, possible: [null], keys: new Map() });
  }

  /** Once enabled, it is never unversioned again. */
  async setStatus(name: string, status: Exclude<Status, null>): Promise<void> {
    const bucket = this.#bucket(name);
    bucket.possible = [...bucket.possible, status];
    try {
      await this.#engine.setVersioning(name, { status, excludedPrefixes: [], excludesFolders: false });
      bucket.possible = [status];
    } catch (error) {
      if (!openOutcomes.has(codeOf(error)) || this.workload.mustWrite) throw error;
    }
    this.#lookAtStatus(name);
  }

  /** A change that was left open may have been decided since. */
  #lookAtStatus(name: string): void {
    const bucket = this.#bucket(name);
    bucket.status = this.#engine.versioning(name).status;
    if (!bucket.possible.includes(bucket.status)) {
      throw new Error(`${name}: versioning is ${bucket.status}, not ${bucket.possible.join(' or ')}`);
    }
  }

  /** Some operations at once, each on a key of its own; now and then the bucket's state changes before. */
  async wave(count: number): Promise<void> {
    const { workload } = this;
    const name = workload.pick([...this.#buckets.keys()]);
    this.#lookAtStatus(name);
    if (workload.random() < 0.2) {
      await this.setStatus(name, workload.random() < 0.6 ? 'Enabled' : 'Suspended');
    }
    const busy = new Set<string>();
    const work: Promise<void>[] = [];
    for (let index = 0; index < count; index++) {
      const key = this.#pickKey(name);
      if (busy.has(key)) continue;
      busy.add(key);
      work.push(this.#change(name, key));
    }
    for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Several changes of one key at the same moment. */
  async burst(count: number): Promise<void> {
    const name = this.workload.pick([...this.#buckets.keys()]);
    await this.#burst(name, this.#pickKey(name), count);
  }

  /** They happen in the order of their records, which need not be that of the calls: a log that has too much garbage
   * takes what frees space first.
   */
  async #burst(name: string, key: string, count: number): Promise<void> {
    const { workload } = this;
    const { status } = this.#engine.versioning(name);
    if (status === null) return;
    const known = this.#key(name, key);
    if (known.open.length > 0) return;
    const ids = known.versions.flatMap(({ versionId }) => versionId ?? []).filter((id) => id !== 'null');
    const body = workload.newBody(workload.size() % 300_000);
    const uploads = await this.#tolerant(() =>
      Promise.all(Array.from({ length: count }, () => workload.feed(name, key, body))),
    );
    if (uploads === null) return;
    const etag = md5Hex(body);
    const isNull = status !== 'Enabled';
    const acts = uploads.map((upload, index) => {
      const choice = workload.random();
      if (choice < 0.4) {
        const n = String(index);
        const content = { body, etag, n };
        const change: Change = { kind: 'put', version: { versionId: null, content }, isNull };
        const act = async (): Promise<Change> => {
          const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
          const { versionId } = await upload.commitObject({ metadata, checksum: null, precondition: null });
          return { kind: 'put', version: { versionId, content }, isNull: versionId === 'null' };
        };
        return { change, act };
      }
      upload.abort();
      const id = ids.length > 0 && choice < 0.75 ? workload.pick(ids) : '';
      const marker: Change = { kind: 'put', version: { versionId: null, content: null }, isNull };
      const act = async (): Promise<Change> => {
        const outcome = await this.#engine.deleteObject(name, key, id, null);
        return id === '' ? markerOf(outcome) : { kind: 'end', versionId: id };
      };
      return { change: id === '' ? marker : ({ kind: 'end', versionId: id } as const), act };
    });
    this.changes += acts.length;
    known.isBurst = true;
    known.open = acts.map(({ change }): OpenChange => ({ change, isDone: false }));
    const { open } = known;
    const ordered = await this.#tolerant(() =>
      this.#inOrder(
        acts.map(({ act }, index) => async () => {
          const change = await act();
          open[index] = { change, isDone: true };
          return change;
        }),
      ),
    );
    // What was refused is decided by the next start, and where in the order it comes.
    if (ordered === null) return;
    known.open = [];
    known.isBurst = false;
    for (const { change, order } of ordered) {
      const before = known.versions;
      known.versions = applied(before, change);
      if (order !== null) continue;
      // It met nothing to end: somebody else did it before.
      if (change.kind === 'put') throw new Error(`${key}: a version was answered that no record has`);
      if (known.versions.length < before.length) throw new Error(`${key}: ${change.versionId} was not ended`);
    }
  }

  /** Null: refused, since too few drives take part. */
  async #tolerant<T>(act: () => Promise<T>): Promise<T | null> {
    try {
      return await act();
    } catch (error) {
      if (!openOutcomes.has(codeOf(error)) || this.workload.mustWrite) throw error;
      return null;
    }
  }

  /** By the order of their records, as the journal says it; last what committed none. */
  async #inOrder(acts: readonly (() => Promise<Change>)[]): Promise<OrderedChange[]> {
    const asking = new AsyncLocalStorage<{ order: number | null }>();
    const undo = this.workload.running.journals.map((journal) => {
      const commit = journal.commit.bind(journal);
      journal.commit = async (...asked) => {
        const record = await commit(...asked);
        const asker = asking.getStore();
        if (asker !== undefined) asker.order = record.order;
        return record;
      };
      return () => {
        journal.commit = commit;
      };
    });
    try {
      const outcomes = await Promise.allSettled(
        acts.map(async (act) => {
          const asker: { order: number | null } = { order: null };
          const change = await asking.run(asker, act);
          return { change, order: asker.order };
        }),
      );
      const changes = outcomes.map((outcome) => {
        if (outcome.status === 'rejected') throw outcome.reason;
        return outcome.value;
      });
      return changes.sort((a, b) => (a.order ?? Number.MAX_VALUE) - (b.order ?? Number.MAX_VALUE));
    } finally {
      for (const back of undo) back();
    }
  }

  async #change(name: string, key: string): Promise<void> {
    const choice = this.workload.random();
    if (this.#key(name, key).versions.length >= this.versionsMax) return this.perform('end', name, key);
    if (choice < 0.36) return this.perform('put', name, key);
    if (choice < 0.45) return this.perform('multipart', name, key);
    if (choice < 0.6) return this.perform('delete', name, key);
    return this.perform(choice < 0.85 ? 'end' : 'copy up', name, key);
  }

  async perform(operation: VersionOperation, name: string, key: string): Promise<void> {
    const known = this.#key(name, key);
    this.changes++;
    switch (operation) {
      case 'put':
      case 'multipart':
        return this.#put(name, key, known, operation === 'multipart');
      case 'delete':
        return this.#delete(name, key, known);
      case 'end':
        return this.#end(name, key, known);
      case 'end several':
        return this.#endSeveral(name, key);
      case 'copy up':
        return this.#copyUp(name, key, known);
      case 'burst':
        return this.#burst(name, key, 4);
      case 'enable':
        return this.setStatus(name, 'Enabled');
      case 'suspend':
        return this.setStatus(name, 'Suspended');
    }
  }

  async #put(name: string, key: string, known: ModelKey, isMultipart: boolean): Promise<void> {
    const { workload } = this;
    const body = workload.newBody(workload.size() % 700_000);
    const n = String(workload.below(1000));
    const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
    const etag = isMultipart ? `${md5Hex(Buffer.from(md5Hex(body), 'hex'))}-1` : md5Hex(body);
    const content = { body, etag, n };
    const isNull = this.#bucket(name).status !== 'Enabled';
    await this.#settle(known, { kind: 'put', version: { versionId: null, content }, isNull }, async () => {
      const info = isMultipart
        ? await this.#multipart(name, key, body, metadata)
        : await (await workload.feed(name, key, body)).commitObject({ metadata, checksum: null, precondition: null });
      if (info.etag !== etag) throw new Error(`${key}: ETag ${info.etag}, not ${etag}`);
      return info.versionId;
    });
  }

  /** Without a version id. */
  async #delete(name: string, key: string, known: ModelKey): Promise<void> {
    const { status } = this.#bucket(name);
    if (status === null) return this.#deleteUnversioned(name, key, known);
    const version = { versionId: null, content: null };
    await this.#settle(known, { kind: 'put', version, isNull: status !== 'Enabled' }, async () => {
      const outcome = await this.#engine.deleteObject(name, key, '', null);
      if (!outcome.isMarker || outcome.versionId === null) throw new Error(`${key}: no marker was made`);
      return outcome.versionId;
    });
  }

  async #deleteUnversioned(name: string, key: string, known: ModelKey): Promise<void> {
    await this.#settle(known, { kind: 'end', versionId: 'null' }, async () => {
      await this.#engine.deleteObject(name, key, '', null);
      return null;
    });
  }

  async #end(name: string, key: string, known: ModelKey): Promise<void> {
    const ids = known.versions.flatMap(({ versionId }) => versionId ?? []);
    if (ids.length === 0 || known.open.length > 0) return;
    await this.#endOne(name, key, known, this.workload.pick(ids));
  }

  /** As DeleteObjects does it: versions of some keys, and one key without a version, all at once. */
  async #endSeveral(name: string, withoutVersion: string): Promise<void> {
    const { workload } = this;
    const work: Promise<void>[] = [];
    for (const [key, known] of this.#bucket(name).keys) {
      if (known.open.length > 0) continue;
      for (const { versionId } of known.versions) {
        // In a suspended bucket the marker takes the place of this one: which of them is first is open.
        const isMarkersPlace = key === withoutVersion && versionId === 'null';
        if (versionId === null || isMarkersPlace || workload.random() < 0.5) continue;
        work.push(this.#endOne(name, key, known, versionId));
      }
    }
    work.push(this.#delete(name, withoutVersion, this.#key(name, withoutVersion)));
    for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #endOne(name: string, key: string, known: ModelKey, versionId: string): Promise<void> {
    const was = known.versions.find((version) => version.versionId === versionId);
    await this.#settle(known, { kind: 'end', versionId }, async () => {
      const outcome = await this.#engine.deleteObject(name, key, versionId, null);
      const isMarker = was?.content === null;
      if (outcome.versionId !== versionId || outcome.isMarker !== isMarker) {
        throw new Error(`${key}: ${JSON.stringify(outcome)} for version ${versionId}`);
      }
      return null;
    });
  }

  /** An older version, or the latest with other metadata, on top: the bytes are shared. */
  async #copyUp(name: string, key: string, known: ModelKey): Promise<void> {
    const objects = known.versions.filter(({ versionId, content }) => versionId !== null && content !== null);
    if (objects.length === 0 || known.open.length > 0) return;
    const { versionId, content } = this.workload.pick(objects);
    if (versionId === null || content === null) return;
    const n = String(this.workload.below(1000));
    const version = { versionId: null, content: { ...content, n } };
    const change: Change = { kind: 'put', version, isNull: this.#bucket(name).status !== 'Enabled' };
    const snapshot = this.#engine.open(name, key, versionId);
    try {
      await this.#settle(known, change, async () => {
        const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
        const info = await this.#engine.replaceMetadata(snapshot, metadata, null);
        if (info === null) throw new Error(`${key}: nobody else was at ${versionId}, and it has gone`);
        return info.versionId;
      });
    } finally {
      snapshot.close();
    }
  }

  async #multipart(
    name: string,
    key: string,
    body: Buffer,
    metadata: { headers: Record<string, string>; storageClass: string },
  ) {
    const engine = this.#engine;
    const created = await engine.createMultipartUpload({
      bucket: name,
      key,
      metadata,
      checksumAlgorithm: null,
      checksumType: null,
    });
    const { uploadId } = created;
    const upload = await this.workload.feed(name, key, body);
    const { etag } = await upload.commitPart({ uploadId, partNumber: 7, checksum: null });
    const parts = [{ partNumber: 7, etag, checksum: null }];
    return engine.completeMultipartUpload({ bucket: name, key, uploadId, parts, precondition: null });
  }

  /** Should the server end before it answers, the change happened or did not. */
  async #settle(known: ModelKey, change: Change, act: () => Promise<string | null>): Promise<void> {
    // A set that takes no writes leaves change after change undecided: what all of them may lead to cannot be told.
    if (known.open.filter(({ isDone }) => !isDone).length >= openMax) return;
    const entry: OpenChange = { change, isDone: false };
    known.open.push(entry);
    const answer = await this.#tolerant(async () => ({ versionId: await act() }));
    if (answer === null) return;
    const { versionId } = answer;
    if (change.kind === 'put') entry.change = { ...change, version: { ...change.version, versionId } };
    entry.isDone = true;
    // What comes behind one that was not answered stays, in its order.
    for (let [first] = known.open; first?.isDone === true; [first] = known.open) {
      known.versions = applied(known.versions, first.change);
      known.open.shift();
    }
  }

  /** Everything against the model. `isDecided`: what answers left open was decided by a start since. */
  async checkAll(isDecided: boolean): Promise<void> {
    for (const [name, bucket] of this.#buckets) {
      this.#lookAtStatus(name);
      if (isDecided) bucket.possible = [bucket.status];
      for (let isChecked = false; !isChecked;) {
        const listed = await this.#listAll(name, 1 + this.workload.below(12));
        try {
          await this.#checkBucket(name, bucket, listed, isDecided);
          isChecked = true;
        } catch (error) {
          // What is under way may have come to its end while bodies were read.
          if (isDecided || JSON.stringify(listed) === JSON.stringify(await this.#listAll(name, 1000))) throw error;
        }
      }
    }
  }

  async #checkBucket(
    name: string,
    { keys }: ModelBucket,
    listed: readonly VersionEntry[],
    isDecided: boolean,
  ): Promise<void> {
    const byKey = new Map<string, VersionEntry[]>();
    for (const entry of listed) byKey.set(entry.key, [...(byKey.get(entry.key) ?? []), entry]);
    for (const [key] of byKey) if (!keys.has(key)) throw new Error(`${name}/${key} was never written`);
    const all: ModelVersion[] = [];
    let current = 0;
    for (const [key, known] of keys) {
      const found = await this.#checkKey(name, key, known, byKey.get(key) ?? []);
      if (isDecided || known.open.length === 0) {
        known.versions = found;
        known.open = [];
        known.isBurst = false;
      }
      all.push(...found);
      if (found[0] !== undefined && found[0].content !== null) current++;
    }
    this.#checkUsage(name, all, current);
    await this.#checkObjects(name, byKey);
    for (let round = 0; round < 4; round++) await this.#checkListing(name, listed);
  }

  /** Everything that was ever written is ended: nothing may be left in the index or on the drives. */
  async endAll(): Promise<void> {
    for (const [name] of this.#buckets) {
      const versions = await this.#listAll(name, 1000);
      await Promise.all(versions.map(({ key, versionId }) => this.#engine.deleteObject(name, key, versionId, null)));
      this.#bucket(name).keys.clear();
    }
  }

  async #listAll(bucket: string, countMax: number): Promise<VersionEntry[]> {
    const entries: VersionEntry[] = [];
    let markers = { keyMarker: '', versionIdMarker: '' };
    for (;;) {
      const page = await this.#engine.listVersions({ bucket, prefix: '', delimiter: '', ...markers, countMax });
      if (page.entries.length > countMax) throw new Error('a page of versions is too long');
      entries.push(...page.entries);
      if (!page.isTruncated) return entries;
      markers = { keyMarker: page.nextKeyMarker, versionIdMarker: page.nextVersionIdMarker };
    }
  }

  async #checkKey(
    name: string,
    key: string,
    known: ModelKey,
    listed: readonly VersionEntry[],
  ): Promise<ModelVersion[]> {
    const found: ModelVersion[] = [];
    for (const [index, entry] of listed.entries()) {
      if (entry.isLatest !== (index === 0))
        throw new Error(`${key}: version ${index} of ${listed.length} is the latest`);
      found.push({ versionId: entry.versionId, content: entry.isMarker ? null : await this.#read(name, entry) });
    }
    const possible = outcomes(known);
    if (!possible.some((versions) => areSame(versions, found))) {
      throw new Error(`${name}/${key}: ${describe(found)} instead of ${possible.map(describe).join(' or ')}`);
    }
    this.#checkLatest(name, key, found[0]);
    return found;
  }

  async #read(name: string, entry: VersionEntry): Promise<ModelVersion['content']> {
    const snapshot = this.#engine.open(name, entry.key, entry.versionId);
    const { etag, bytes, metadata, versionId } = snapshot.info;
    if (etag !== entry.etag || bytes !== entry.bytes || versionId !== entry.versionId) {
      throw new Error(`${entry.key}: listed otherwise than it is`);
    }
    const body = await readAll(snapshot, 0, bytes);
    return { body, etag, n: metadata.headers['x-amz-meta-n'] ?? '' };
  }

  #checkLatest(name: string, key: string, latest: ModelVersion | undefined): void {
    const isObject = latest !== undefined && latest.content !== null;
    try {
      const { versionId, etag } = this.#engine.head(name, key, '');
      if (!isObject || versionId !== latest.versionId || etag !== latest.content?.etag) {
        throw new Error(`${key}: ${versionId} is the latest`);
      }
    } catch (error) {
      if (codeOf(error) !== 'NoSuchKey' || isObject) throw error;
      const marker = (error as { marker?: { versionId: string } }).marker?.versionId;
      if (marker !== (latest?.versionId ?? undefined)) throw new Error(`${key}: absent by ${marker}`, { cause: error });
    }
    if (latest === undefined || latest.content !== null || latest.versionId === null) return;
    try {
      this.#engine.head(name, key, latest.versionId);
      throw new Error(`${key}: a marker can be read`);
    } catch (error) {
      if (codeOf(error) !== 'MethodNotAllowed') throw error;
    }
  }

  #checkUsage(name: string, all: readonly ModelVersion[], objects: number): void {
    const { sizes, ...usage } = this.#engine.bucketUsage(name);
    const deleteMarkers = all.filter(({ content }) => content === null).length;
    const bytes = all.reduce((sum, { content }) => sum + (content?.body.length ?? 0), 0);
    const versions = all.length - deleteMarkers;
    if (sizes.reduce((sum, count) => sum + count) !== versions) throw new Error(`${name}: by size ${sizes.join()}`);
    const expected = { objects, bytes, versions, deleteMarkers };
    for (const [field, count] of Object.entries(expected)) {
      const counted = usage[field as keyof typeof usage];
      if (counted !== count) throw new Error(`${name}: counted ${counted} ${field}, there are ${count}`);
    }
  }

  /** The plain listing shows the keys whose latest version is an object. */
  async #checkObjects(bucket: string, byKey: ReadonlyMap<string, readonly VersionEntry[]>): Promise<void> {
    const page = await this.#engine.list({ bucket, prefix: '', delimiter: '', startAfter: '', countMax: 100_000 });
    const wanted = [...byKey].filter(([, [latest]]) => latest?.isMarker === false).map(([key]) => key);
    const found = page.entries.map(({ key }) => key);
    if (found.join('|') !== wanted.join('|')) throw new Error(`${bucket}: lists ${found.join()}, not ${wanted.join()}`);
  }

  async #checkListing(bucket: string, all: readonly VersionEntry[]): Promise<void> {
    const { workload } = this;
    const prefix = workload.random() < 0.4 ? '' : [...workload.newKey()].slice(0, 1 + workload.below(2)).join('');
    const delimiter = workload.pick(['', '/', 'a', '//']);
    const keyMarker = workload.random() < 0.5 ? '' : workload.newKey();
    const countMax = workload.pick([1, 2, 3, 7, 1000]);
    const wanted = expectedNames(all, prefix, delimiter, keyMarker);
    const found: string[] = [];
    let markers = { keyMarker, versionIdMarker: '' };
    for (;;) {
      const page = await this.#engine.listVersions({ bucket, prefix, delimiter, ...markers, countMax });
      found.push(...page.entries.map(nameOf), ...page.commonPrefixes);
      if (page.entries.length + page.commonPrefixes.length > countMax) throw new Error('a page is too long');
      if (!page.isTruncated) break;
      markers = { keyMarker: page.nextKeyMarker, versionIdMarker: page.nextVersionIdMarker };
    }
    if (found.sort().join('|') === wanted.sort().join('|')) return;
    const text = JSON.stringify({ prefix, delimiter, keyMarker, countMax });
    throw new Error(`versions ${text}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }

  #pickKey(name: string): string {
    const known = [...this.#bucket(name).keys.keys()];
    const { workload } = this;
    return known.length > this.keysMax || (known.length > 0 && workload.random() < 0.7)
      ? workload.pick(known)
      : workload.newKey();
  }

  #bucket(name: string) {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) throw new Error(`no bucket ${name}`);
    return bucket;
  }

  /** A key of the bucket that has this many versions or more, markers among them. */
  keyWith(name: string, versionCount: number): string | null {
    const found = [...this.#bucket(name).keys].filter(([, { versions }]) => versions.length >= versionCount);
    return found.length === 0 ? null : this.workload.pick(found)[0];
  }

  #key(name: string, key: string): ModelKey {
    const { keys } = this.#bucket(name);
    const known = keys.get(key) ?? { versions: [], open: [], isBurst: false };
    keys.set(key, known);
    return known;
  }
}

function markerOf({ versionId, isMarker }: DeleteOutcome): Change {
  if (!isMarker) throw new Error('no marker was made');
  return { kind: 'put', version: { versionId, content: null }, isNull: versionId === 'null' };
}

function applied(versions: readonly ModelVersion[], change: Change): ModelVersion[] {
  if (change.kind === 'end') return versions.filter(({ versionId }) => versionId !== change.versionId);
  const kept = change.isNull ? versions.filter(({ versionId }) => versionId !== 'null') : versions;
  const versionId = change.isNull ? 'null' : change.version.versionId;
  return [{ ...change.version, versionId }, ...kept];
}

/** What the key may hold: every selection of what is open, in any order if it was a burst. */
function outcomes({ versions, open, isBurst }: ModelKey): ModelVersion[][] {
  if (open.filter(({ isDone }) => !isDone).length > openMax) throw new Error('too much is open on one key');
  const selections = open.reduce<Change[][]>(
    (before, { change, isDone }) => [...(isDone ? [] : before), ...before.map((selection) => [...selection, change])],
    [[]],
  );
  const sequences = isBurst ? selections.flatMap(orders) : selections;
  return sequences.map((sequence) => sequence.reduce<ModelVersion[]>(applied, [...versions]));
}

function orders(changes: readonly Change[]): Change[][] {
  if (changes.length < 2) return [[...changes]];
  return changes.flatMap((first, index) => orders(changes.toSpliced(index, 1)).map((rest) => [first, ...rest]));
}

function areSame(expected: readonly ModelVersion[], found: readonly ModelVersion[]): boolean {
  return (
    expected.length === found.length &&
    expected.every(({ versionId, content }, index) => {
      const other = found[index];
      if (other === undefined || (versionId !== null && versionId !== other.versionId)) return false;
      if (content === null || other.content === null) return content === other.content;
      return (
        content.etag === other.content.etag && content.n === other.content.n && content.body.equals(other.content.body)
      );
    })
  );
}

function describe(versions: readonly ModelVersion[]): string {
  return `[${versions.map(({ versionId, content }) => `${versionId} ${content === null ? 'marker' : `${content.etag} n=${content.n}`}`).join(', ')}]`;
}

const nameOf = ({ key, versionId }: VersionEntry): string => `${key}\0${versionId}`;

function expectedNames(all: readonly VersionEntry[], prefix: string, delimiter: string, keyMarker: string): string[] {
  const names = new Set<string>();
  for (const entry of all) {
    const { key } = entry;
    if (!key.startsWith(prefix)) continue;
    if (keyMarker !== '' && Buffer.compare(Buffer.from(key), Buffer.from(keyMarker)) <= 0) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? null : key.slice(0, at + delimiter.length);
    if (common !== null && keyMarker.startsWith(common)) continue;
    names.add(common ?? nameOf(entry));
  }
  return [...names];
}
