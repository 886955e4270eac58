/**
 * Clients that make, fill, empty and delete a few buckets together, everything that they were told, and whether one order
 * explains it.
 */
import { createHash } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { SdkHistory } from './sdk-history.js';
import type { StormHistoryOptions, Subject } from './storm-history.js';

export interface BucketHistoryOptions extends StormHistoryOptions {
  readonly buckets: number;
  readonly keys: number;
}

interface BucketState {
  /** ETags by key; null: there is no such bucket. */
  readonly keys: ReadonlyMap<string, string> | null;
}

type Bucket = Subject<BucketState>;

const isAbsent = ({ keys }: BucketState): boolean => keys === null;
const isThere = ({ keys }: BucketState): boolean => keys !== null;
const bodyBytes = [20, 20, 200_000];

export class BucketHistory extends SdkHistory<BucketState> {
  #bodies = 0;

  constructor(private readonly options: BucketHistoryOptions) {
    super(options);
    for (let index = 0; index < options.buckets; index++) this.subjects.push({ name: `bucket-${index}`, steps: [] });
  }

  protected beginOf(): BucketState {
    return { keys: null };
  }

  protected describe({ keys }: BucketState): string {
    return keys === null ? 'no bucket' : `{${listed([...keys])}}`;
  }

  async readAll(): Promise<void> {
    await this.#listBuckets();
    for (const bucket of this.subjects) await this.#list(bucket);
  }

  protected once(): Promise<boolean> {
    const bucket = this.pick(this.subjects);
    const Bucket = bucket.name;
    const key = `key-${this.below(this.options.keys)}`;
    const at = { Bucket, Key: key };
    const choice = this.options.random();
    if (choice < 0.12) {
      return this.ask(bucket, 'make', (s3) => s3.send(new CreateBucketCommand({ Bucket })), {
        isRead: false,
        done: () => (state) => (isAbsent(state) ? { keys: new Map() } : null),
        refusals: { BucketAlreadyOwnedByYou: isThere },
      });
    }
    if (choice < 0.3) {
      return this.ask(bucket, 'delete', (s3) => s3.send(new DeleteBucketCommand({ Bucket })), {
        isRead: false,
        done: () => (state) => (state.keys?.size === 0 ? { keys: null } : null),
        refusals: { NoSuchBucket: isAbsent, BucketNotEmpty: ({ keys }) => keys !== null && keys.size > 0 },
      });
    }
    if (choice < 0.48) {
      const body = this.#body();
      const etag = createHash('md5').update(body).digest('hex');
      return this.ask(bucket, `put ${key} ${etag}`, (s3) => s3.send(new PutObjectCommand({ ...at, Body: body })), {
        isRead: false,
        done: () => (state) => (state.keys === null ? null : { keys: new Map([...state.keys, [key, etag]]) }),
        refusals: { NoSuchBucket: isAbsent },
      });
    }
    if (choice < 0.72) {
      return this.ask(bucket, `delete ${key}`, (s3) => s3.send(new DeleteObjectCommand(at)), {
        isRead: false,
        done: () => (state) => {
          if (state.keys === null) return null;
          return { keys: new Map([...state.keys].filter(([other]) => other !== key)) };
        },
        refusals: { NoSuchBucket: isAbsent },
      });
    }
    if (choice < 0.82) {
      const read = async (s3: S3Client): Promise<string> => {
        const { ETag = '', Body } = await s3.send(new GetObjectCommand(at));
        // What comes of the body is the other storms' matter; the connection is to be free again.
        await Body?.transformToByteArray().catch(() => undefined);
        return ETag.replaceAll('"', '');
      };
      return this.ask(bucket, `get ${key}`, read, {
        isRead: true,
        done: (etag) => (state) => (state.keys?.get(key) === etag ? state : null),
        refusals: { NoSuchBucket: isAbsent, NoSuchKey: ({ keys }) => keys !== null && !keys.has(key) },
      });
    }
    if (choice < 0.9) return this.#list(bucket);
    if (choice < 0.95) {
      return this.ask(bucket, 'head', (s3) => s3.send(new HeadBucketCommand({ Bucket })), {
        isRead: true,
        done: () => (state) => (isThere(state) ? state : null),
        refusals: { NotFound: isAbsent },
      });
    }
    return this.#listBuckets();
  }

  #list(bucket: Bucket): Promise<boolean> {
    const list = async (s3: S3Client): Promise<string> => {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket.name }));
      return listed(Contents.map(({ Key = '', ETag = '' }) => [Key, ETag.replaceAll('"', '')]));
    };
    return this.ask(bucket, 'list', list, {
      isRead: true,
      done: (found) => (state) => (state.keys !== null && listed([...state.keys]) === found ? state : null),
      refusals: { NoSuchBucket: isAbsent },
    });
  }

  #listBuckets(): Promise<boolean> {
    const list = (s3: S3Client) => s3.send(new ListBucketsCommand({}));
    return this.askOfAll('buckets', list, ({ Buckets = [] }, bucket) => {
      const isListed = Buckets.some(({ Name }) => Name === bucket.name);
      return (state) => (isThere(state) === isListed ? state : null);
    });
  }

  #body(): Buffer {
    const body = Buffer.alloc(this.pick(bodyBytes));
    body.write(`body ${this.#bodies++}`);
    return body;
  }
}

function listed(keys: readonly (readonly [string, string])[]): string {
  return keys
    .map(([key, etag]) => `${key}=${etag}`)
    .sort()
    .join();
}
