/**
 * Latest versions that were asked for lately, as they were decoded: a hot key costs neither a look at the index nor a
 * decoding. Whoever changes the entry of a key in the index has it forgotten here in the same step. Main thread.
 */
import type { KeptBody } from './body-cache.js';
import { objectInfo, type StoredObject } from './stored-object.js';
import type { ObjectInfo } from './object-layer.js';

export interface LatestObject extends StoredObject {
  readonly info: ObjectInfo;
  /** Its bytes, as far as somebody has looked for them. */
  body: KeptBody | null;
}

export function latestObject(bucket: string, { entry, record }: StoredObject): LatestObject {
  return { entry, record, info: objectInfo(bucket, record), body: null };
}

type Generation = Map<number, Map<string, LatestObject>>;

/** What an object takes beside the text that it came from: maps, objects, and the head of an answer about it. */
const overheadBytes = 3072;

export class LatestObjects {
  /** By bucket and key. What is asked for moves to the young generation; when that is full, the old one goes as a whole. */
  #young: Generation = new Map();
  #old: Generation = new Map();
  #youngBytes = 0;

  /** Holds so many bytes at the most, by a rough account. */
  constructor(private readonly bytesMax: number) {}

  get(bucketId: number, key: string): LatestObject | null {
    const young = this.#young.get(bucketId)?.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(bucketId)?.get(key);
    if (old === undefined) return null;
    this.#old.get(bucketId)?.delete(key);
    this.add(bucketId, key, old);
    return old;
  }

  /** Parts of a multipart object are listed in its record, and may be many: such a one is not kept. */
  add(bucketId: number, key: string, object: LatestObject): void {
    if (object.record.multipart !== null) return;
    let ofBucket = this.#young.get(bucketId);
    if (ofBucket === undefined) {
      ofBucket = new Map<string, LatestObject>();
      this.#young.set(bucketId, ofBucket);
    }
    ofBucket.set(key, object);
    this.#youngBytes += overheadBytes + 2 * (key.length + object.entry.body.length);
    if (this.#youngBytes <= this.bytesMax / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }

  forget(bucketId: number, key: string): void {
    this.#young.get(bucketId)?.delete(key);
    this.#old.get(bucketId)?.delete(key);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }
}
