/**
 * ListObjectVersions straight from the index: latest objects and what lies below them are two ranges in the same
 * order, merged as they are read. A page costs what it returns; a common prefix is one seek in each.
 */
import type { Catalog, CatalogEntry, Turn } from '../catalog/index.js';
import {
  keyOfObjectKey,
  keyOfVersionKey,
  objectKey,
  successor,
  versionKey,
  versionPrefix,
  versionTailBytes,
  versionsPrefix,
} from './index-keys.js';
import type { IndexState } from './index-state.js';
import { commonPrefixOf } from './listing.js';
import type { VersionEntry, VersionListOptions, VersionListPage } from './object-layer.js';
import { decodeListing, decodeVersionId, entryBody } from './records.js';
import { decodeStored } from './version-chain.js';
import { orderOfVersionId } from './version-id.js';
import { findVersion, newestBelow } from './versions.js';

const objectHeadBytes = 9;

/** A range that is read one entry ahead. */
class Cursor {
  entry: CatalogEntry | null = null;
  #entries: Iterator<CatalogEntry> | null = null;

  constructor(
    private readonly catalog: Catalog,
    private readonly end: Buffer,
    private readonly turn: Turn,
  ) {}

  seek(start: Buffer): void {
    this.close();
    this.entry = null;
    if (Buffer.compare(start, this.end) >= 0) return;
    this.#entries = this.catalog.range({ start, end: this.end, turn: this.turn })[Symbol.iterator]();
    this.advance();
  }

  advance(): void {
    const next = this.#entries?.next();
    this.entry = next === undefined || next.done === true ? null : next.value;
  }

  close(): void {
    this.#entries?.return?.();
    this.#entries = null;
  }
}

/** Behind which version of its key a page starts. */
interface Resumption {
  readonly key: string;
  readonly order: number;
}

export function listVersions(
  index: IndexState,
  bucketId: number,
  options: VersionListOptions,
  turn: Turn,
): VersionListPage {
  if (options.countMax === 0) return emptyPage;
  const { catalog } = index;
  const tops = new Cursor(catalog, successor(objectKey(bucketId, options.prefix)), turn);
  const below = new Cursor(catalog, successor(versionsPrefix(bucketId, options.prefix)), turn);
  try {
    return readPage(new VersionPage(index, bucketId, options), tops, below);
  } finally {
    tops.close();
    below.close();
  }
}

const emptyPage: VersionListPage = {
  entries: [],
  commonPrefixes: [],
  isTruncated: false,
  nextKeyMarker: '',
  nextVersionIdMarker: '',
};

function readPage(page: VersionPage, tops: Cursor, below: Cursor): VersionListPage {
  page.start(tops, below);
  let isTruncated = false;
  for (;;) {
    const isTop = comesFirst(tops.entry, below.entry);
    const cursor = isTop ? tops : below;
    if (cursor.entry === null) break;
    const indexKey = cursor.entry.key;
    const key = isTop ? keyOfObjectKey(indexKey) : keyOfVersionKey(indexKey);
    const commonPrefix = page.commonPrefixOf(key);
    if (page.isFull) {
      isTruncated = true;
      break;
    }
    if (commonPrefix !== null) {
      page.addPrefix(commonPrefix);
      page.seekBehind(tops, below, commonPrefix);
      continue;
    }
    if (isTop) page.addTop(key, cursor.entry.value);
    else page.addBelow(key, cursor.entry.value);
    cursor.advance();
  }
  return page.finish(isTruncated);
}

/** Whether the latest object comes before the version entry: it does, too, when both are of one key. */
function comesFirst(top: CatalogEntry | null, version: CatalogEntry | null): boolean {
  if (top === null) return false;
  if (version === null) return true;
  const versionEnd = version.key.length - versionTailBytes;
  return top.key.compare(version.key, objectHeadBytes, versionEnd, objectHeadBytes, top.key.length) <= 0;
}

class VersionPage {
  readonly #entries: VersionEntry[] = [];
  readonly #commonPrefixes: string[] = [];
  readonly #resumed: Resumption | null;
  /** Of the entry before. */
  #key: string | null = null;
  #nextKey = '';
  #nextVersionId = '';

  constructor(
    private readonly index: IndexState,
    private readonly bucketId: number,
    private readonly options: VersionListOptions,
  ) {
    this.#resumed = resumption(index, bucketId, options);
  }

  get isFull(): boolean {
    return this.#entries.length + this.#commonPrefixes.length >= this.options.countMax;
  }

  commonPrefixOf(key: string): string | null {
    return commonPrefixOf(key, this.options.prefix, this.options.delimiter);
  }

  start(tops: Cursor, below: Cursor): void {
    const { index, bucketId, options } = this;
    const { prefix, keyMarker } = options;
    const inside = keyMarker.startsWith(prefix) ? this.commonPrefixOf(keyMarker) : null;
    const first = [objectKey(bucketId, prefix), versionsPrefix(bucketId, prefix)] as const;
    const from = (topStart: Buffer, belowStart: Buffer): void => {
      tops.seek(later(topStart, first[0]));
      below.seek(later(belowStart, first[1]));
    };
    if (keyMarker === '') from(...first);
    else if (inside !== null) this.seekBehind(tops, below, inside);
    else if (this.#resumed === null) {
      const top = Buffer.concat([objectKey(bucketId, keyMarker), Buffer.of(0)]);
      from(top, successor(versionPrefix(bucketId, keyMarker)));
    } else {
      const { key, order } = this.#resumed;
      const topKey = objectKey(bucketId, key);
      const top = index.catalog.get(topKey);
      // What was below the marker may have come to the top since.
      const isBehind = top !== undefined && decodeStored(top).order < order;
      from(
        isBehind ? topKey : Buffer.concat([topKey, Buffer.of(0)]),
        Buffer.concat([versionKey(bucketId, key, order), Buffer.of(0)]),
      );
    }
  }

  seekBehind(tops: Cursor, below: Cursor, commonPrefix: string): void {
    tops.seek(successor(objectKey(this.bucketId, commonPrefix)));
    below.seek(successor(versionsPrefix(this.bucketId, commonPrefix)));
  }

  addPrefix(commonPrefix: string): void {
    this.#commonPrefixes.push(commonPrefix);
    this.#nextKey = commonPrefix;
    this.#nextVersionId = '';
  }

  addTop(key: string, value: Buffer): void {
    const body = entryBody(value);
    const { bytes, etag, modifiedMs, storageClass, checksum } = decodeListing(body);
    const versionId = decodeVersionId(body);
    this.#add({ key, bytes, etag, modifiedMs, storageClass, checksum, versionId, isLatest: true, isMarker: false });
  }

  addBelow(key: string, value: Buffer): void {
    const version = decodeStored(value);
    const isLatest = key !== this.#key && this.#isNewest(key, version.order);
    const { modifiedMs, versionId, isMarker, bytes, etag, metadata, checksum } = version.record;
    const { storageClass } = metadata;
    this.#add({ key, bytes, etag, modifiedMs, storageClass, checksum, versionId, isLatest, isMarker });
  }

  /** The first entry of a key is its latest version, unless the page began behind that. */
  #isNewest(key: string, order: number): boolean {
    if (key !== this.#resumed?.key) return true;
    const { catalog } = this.index;
    if (catalog.get(objectKey(this.bucketId, key)) !== undefined) return false;
    return newestBelow(catalog, this.bucketId, key)?.order === order;
  }

  #add(entry: VersionEntry): void {
    this.#entries.push(entry);
    this.#key = entry.key;
    this.#nextKey = entry.key;
    this.#nextVersionId = entry.versionId;
  }

  finish(isTruncated: boolean): VersionListPage {
    return {
      entries: this.#entries,
      commonPrefixes: this.#commonPrefixes,
      isTruncated,
      nextKeyMarker: isTruncated ? this.#nextKey : '',
      nextVersionIdMarker: isTruncated ? this.#nextVersionId : '',
    };
  }
}

function later(a: Buffer, b: Buffer): Buffer {
  return Buffer.compare(a, b) > 0 ? a : b;
}

/**
 * Null: behind the whole key of the marker, or from the beginning. An id leads to its place even when its version
 * has gone since; where the null version was, nobody knows then, and the key is listed from its newest version.
 */
function resumption(
  index: IndexState,
  bucketId: number,
  { keyMarker, versionIdMarker }: VersionListOptions,
): Resumption | null {
  if (keyMarker === '' || versionIdMarker === '') return null;
  const found = findVersion(index, bucketId, keyMarker, versionIdMarker)?.order;
  return { key: keyMarker, order: found ?? orderOfVersionId(versionIdMarker) ?? Number.MAX_SAFE_INTEGER };
}
