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

interface ModelKey {
  versions: ModelVersion[];
  /** Changes whose outcome is not known: each happened or did not. */
  open: Change[];
}

type Status = BucketVersioning['status'];

/** A change of a burst, and the order that its record got; null when it committed none. */
interface OrderedChange {
  readonly change: Change;
  readonly order: number | null;
}

const openOutcomes = new Set(['SlowDownWrite', 'XMinioStorageFull', 'InternalError']);
const openMax = 6;

export class VersionWorkload {
  readonly #buckets = new Map<string, { status: Status; readonly keys: Map<string, ModelKey> }>();
  changes = 0;

  constructor(private readonly workload: Workload) {}

  get #engine() {
    return this.workload.running.engine;
  }

  async createBucket(name: string): Promise<void> {
    await this.#engine.createBucket(name, { region: '' });
    this.#buckets.set(name, { status: null, keys: new Map() });
  }

  /** Once enabled, it is never unversioned again. */
  async setStatus(name: string, status: Exclude<Status, null>): Promise<void> {
    try {
      await this.#engine.setVersioning(name, { status, excludedPrefixes: [], excludesFolders: false });
    } catch (error) {
      if (!openOutcomes.has(codeOf(error)) || this.workload.mustWrite) throw error;
    }
    this.#bucket(name).status = this.#engine.versioning(name).status;
  }

  /** Some operations at once, each on a key of its own; now and then the bucket's state changes before. */
  async wave(count: number): Promise<void> {
    const { workload } = this;
    const name = workload.pick([...this.#buckets.keys()]);
    // A change that was left open may have been decided since.
    this.#bucket(name).status = this.#engine.versioning(name).status;
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

  /**
   * Several changes of one key at the same moment. They happen in the order of their records, which need not be that
   * of the calls: a log that has too much garbage takes what frees space first.
   */
  async burst(count: number): Promise<void> {
    const { workload } = this;
    const name = workload.pick([...this.#buckets.keys()]);
    const { status } = this.#engine.versioning(name);
    if (status === null) return;
    const key = this.#pickKey(name);
    const known = this.#key(name, key);
    if (known.open.length > 0) return;
    const ids = known.versions.flatMap(({ versionId }) => versionId ?? []).filter((id) => id !== 'null');
    const body = workload.newBody(workload.size() % 300_000);
    const uploads = await Promise.all(Array.from({ length: count }, () => workload.feed(name, key, body)));
    const acts = uploads.map((upload, index) => {
      const choice = workload.random();
      if (choice < 0.4) {
        const n = String(index);
        return async (): Promise<Change> => {
          const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
          const { versionId, etag } = await upload.commitObject({ metadata, checksum: null, precondition: null });
          return { kind: 'put', version: { versionId, content: { body, etag, n } }, isNull: versionId === 'null' };
        };
      }
      upload.abort();
      const id = ids.length > 0 && choice < 0.75 ? workload.pick(ids) : '';
      return async (): Promise<Change> => {
        const outcome = await this.#engine.deleteObject(name, key, id, null);
        return id === '' ? markerOf(outcome) : { kind: 'end', versionId: id };
      };
    });
    this.changes += acts.length;
    for (const { change, order } of await this.#inOrder(acts)) {
      const before = known.versions;
      known.versions = applied(before, change);
      if (order !== null) continue;
      // It met nothing to end: somebody else did it before.
      if (change.kind === 'put') throw new Error(`${key}: a version was answered that no record has`);
      if (known.versions.length < before.length) throw new Error(`${key}: ${change.versionId} was not ended`);
    }
  }

  /** By the order of their records, as the journal says it; last what committed none. */
  async #inOrder(acts: readonly (() => Promise<Change>)[]): Promise<OrderedChange[]> {
    const { journal } = this.workload.running.opened;
    const commit = journal.commit.bind(journal);
    const asking = new AsyncLocalStorage<{ order: number | null }>();
    journal.commit = async (...asked) => {
      const record = await commit(...asked);
      const asker = asking.getStore();
      if (asker !== undefined) asker.order = record.order;
      return record;
    };
    try {
      const changes = await Promise.all(
        acts.map(async (act) => {
          const asker: { order: number | null } = { order: null };
          const change = await asking.run(asker, act);
          return { change, order: asker.order };
        }),
      );
      return changes.sort((a, b) => (a.order ?? Number.MAX_VALUE) - (b.order ?? Number.MAX_VALUE));
    } finally {
      journal.commit = commit;
    }
  }

  async #change(name: string, key: string): Promise<void> {
    const { workload } = this;
    const { status } = this.#bucket(name);
    const known = this.#key(name, key);
    this.changes++;
    const choice = workload.random();
    if (choice < 0.45) {
      const body = workload.newBody(workload.size() % 700_000);
      const n = String(workload.below(1000));
      const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
      const isMultipart = workload.random() < 0.2;
      const etag = isMultipart ? `${md5Hex(Buffer.from(md5Hex(body), 'hex'))}-1` : md5Hex(body);
      const content = { body, etag, n };
      const change: Change = { kind: 'put', version: { versionId: null, content }, isNull: status !== 'Enabled' };
      await this.#settle(known, change, async () => {
        const info = isMultipart
          ? await this.#multipart(name, key, body, metadata)
          : await (await workload.feed(name, key, body)).commitObject({ metadata, checksum: null, precondition: null });
        if (info.etag !== etag) throw new Error(`${key}: ETag ${info.etag}, not ${etag}`);
        return info.versionId;
      });
    } else if (choice < 0.6) {
      if (status === null) await this.#deleteUnversioned(name, key, known);
      else {
        const change: Change = {
          kind: 'put',
          version: { versionId: null, content: null },
          isNull: status !== 'Enabled',
        };
        await this.#settle(known, change, async () => {
          const outcome = await this.#engine.deleteObject(name, key, '', null);
          if (!outcome.isMarker || outcome.versionId === null) throw new Error(`${key}: no marker was made`);
          return outcome.versionId;
        });
      }
    } else if (choice < 0.85) {
      await this.#end(name, key, known);
    } else {
      await this.#copyUp(name, key, known, status);
    }
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
    const versionId = this.workload.pick(ids);
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
  async #copyUp(name: string, key: string, known: ModelKey, status: Status): Promise<void> {
    const objects = known.versions.filter(({ versionId, content }) => versionId !== null && content !== null);
    if (objects.length === 0 || known.open.length > 0) return;
    const { versionId, content } = this.workload.pick(objects);
    if (versionId === null || content === null) return;
    const n = String(this.workload.below(1000));
    const version = { versionId: null, content: { ...content, n } };
    const change: Change = { kind: 'put', version, isNull: status !== 'Enabled' };
    const snapshot = this.#engine.open(name, key, versionId);
    try {
      await this.#settle(known, change, async () => {
        const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
        const info = await this.#engine.replaceMetadata(snapshot, metadata, null);
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

  async #settle(known: ModelKey, change: Change, act: () => Promise<string | null>): Promise<void> {
    try {
      const versionId = await act();
      const done = change.kind === 'put' ? { ...change, version: { ...change.version, versionId } } : change;
      if (known.open.length > 0) known.open.push(done);
      else known.versions = applied(known.versions, done);
    } catch (error) {
      if (!openOutcomes.has(codeOf(error)) || this.workload.mustWrite) throw error;
      known.open.push(change);
    }
  }

  /** Everything against the model. `isDecided`: what answers left open was decided by a start since. */
  async checkAll(isDecided: boolean): Promise<void> {
    for (const [name, { keys }] of this.#buckets) {
      const listed = this.#listAll(name, 1 + this.workload.below(12));
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
        }
        all.push(...found);
        if (found[0] !== undefined && found[0].content !== null) current++;
      }
      this.#checkUsage(name, all, current);
      this.#checkObjects(name, byKey);
      for (let round = 0; round < 4; round++) this.#checkListing(name, listed);
    }
  }

  /** Everything that was ever written is ended: nothing may be left in the index or on the drives. */
  async endAll(): Promise<void> {
    for (const [name] of this.#buckets) {
      const versions = this.#listAll(name, 1000);
      await Promise.all(versions.map(({ key, versionId }) => this.#engine.deleteObject(name, key, versionId, null)));
      this.#bucket(name).keys.clear();
    }
  }

  #listAll(bucket: string, countMax: number): VersionEntry[] {
    const entries: VersionEntry[] = [];
    let markers = { keyMarker: '', versionIdMarker: '' };
    for (;;) {
      const page = this.#engine.listVersions({ bucket, prefix: '', delimiter: '', ...markers, countMax });
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
  #checkObjects(bucket: string, byKey: ReadonlyMap<string, readonly VersionEntry[]>): void {
    const page = this.#engine.list({ bucket, prefix: '', delimiter: '', startAfter: '', countMax: 100_000 });
    const wanted = [...byKey].filter(([, [latest]]) => latest?.isMarker === false).map(([key]) => key);
    const found = page.entries.map(({ key }) => key);
    if (found.join('|') !== wanted.join('|')) throw new Error(`${bucket}: lists ${found.join()}, not ${wanted.join()}`);
  }

  #checkListing(bucket: string, all: readonly VersionEntry[]): void {
    const { workload } = this;
    const prefix = workload.random() < 0.4 ? '' : [...workload.newKey()].slice(0, 1 + workload.below(2)).join('');
    const delimiter = workload.pick(['', '/', 'a', '//']);
    const keyMarker = workload.random() < 0.5 ? '' : workload.newKey();
    const countMax = workload.pick([1, 2, 3, 7, 1000]);
    const wanted = expectedNames(all, prefix, delimiter, keyMarker);
    const found: string[] = [];
    let markers = { keyMarker, versionIdMarker: '' };
    for (;;) {
      const page = this.#engine.listVersions({ bucket, prefix, delimiter, ...markers, countMax });
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
    return known.length > 24 || (known.length > 0 && workload.random() < 0.7)
      ? workload.pick(known)
      : workload.newKey();
  }

  #bucket(name: string) {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) throw new Error(`no bucket ${name}`);
    return bucket;
  }

  #key(name: string, key: string): ModelKey {
    const { keys } = this.#bucket(name);
    const known = keys.get(key) ?? { versions: [], open: [] };
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

/** What the key may hold: every selection of what is open. */
function outcomes({ versions, open }: ModelKey): ModelVersion[][] {
  if (open.length > openMax) throw new Error('too much is open on one key');
  return Array.from({ length: 2 ** open.length }, (_, selection) =>
    open.reduce<ModelVersion[]>(
      (state, change, index) => ((selection >> index) & 1 ? applied(state, change) : state),
      [...versions],
    ),
  );
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
