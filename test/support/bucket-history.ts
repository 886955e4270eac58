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
import { crashClient } from './crash-workload.js';
import { findOrder, type Step } from './linearizability.js';
import type { StormClients } from './stormy-server.js';

export interface BucketHistoryOptions {
  readonly random: () => number;
  readonly connections: number;
  readonly buckets: number;
  readonly keys: number;
}

interface BucketState {
  /** ETags by key; null: there is no such bucket. */
  readonly keys: ReadonlyMap<string, string> | null;
}

type Apply = (state: BucketState) => BucketState | null;

interface Bucket {
  readonly name: string;
  readonly steps: Step<BucketState>[];
}

/** What an answer says of the state that it found. */
interface Rules<Output> {
  readonly isRead: boolean;
  /** `output`: null of a request that was not answered. */
  readonly done: (output: Output | null) => Apply;
  /** By error code. */
  readonly refusals: Readonly<Record<string, (state: BucketState) => boolean>>;
}

const isAbsent = ({ keys }: BucketState): boolean => keys === null;
const isThere = ({ keys }: BucketState): boolean => keys !== null;
const bodyBytes = [20, 20, 200_000];
const nearMs = 200;

export class BucketHistory implements StormClients {
  isHeld = false;
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  #s3: S3Client | null = null;
  #bodies = 0;
  readonly #buckets: readonly Bucket[];
  readonly #open: Step<BucketState>[] = [];

  constructor(private readonly options: BucketHistoryOptions) {
    this.#buckets = Array.from({ length: options.buckets }, (_, index) => ({ name: `bucket-${index}`, steps: [] }));
  }

  connect(url: string): void {
    this.#s3?.destroy();
    this.#s3 = crashClient(url);
  }

  close(): void {
    this.#s3?.destroy();
  }

  decided(): void {
    const nowMs = performance.now();
    for (const step of this.#open.splice(0)) step.answerMs = nowMs;
  }

  async run(isOver: () => boolean): Promise<void> {
    const worker = async (): Promise<void> => {
      while (!isOver()) {
        const isReached = !this.isHeld && (await this.#once());
        if (!isReached) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all(Array.from({ length: this.options.connections }, worker));
  }

  /** Every bucket as everybody sees it, when nothing is under way. */
  async readAll(): Promise<void> {
    await this.#listBuckets();
    for (const bucket of this.#buckets) await this.#list(bucket);
  }

  /** Null when everything that was answered is explained. */
  complaint(): string | null {
    const lines = [...this.violations];
    for (const { name, steps } of this.#buckets) {
      const verdict = findOrder(steps, { keys: null }, describe);
      if (verdict.isLinear) continue;
      const { stuckAt, state, isGivenUp } = verdict;
      const near = steps.filter(
        ({ callMs, answerMs }) => callMs <= stuckAt.answerMs + nearMs && answerMs >= stuckAt.callMs - nearMs,
      );
      lines.push(
        `${name}: ${isGivenUp ? 'no order was found in time' : 'no order explains this answer'}: ${stuckAt.what}`,
        `  with ${describe(state)}`,
        ...near.map(
          ({ callMs, answerMs, what, isOpen }) =>
            `  ${callMs.toFixed(2)}..${answerMs.toFixed(2)} ${isOpen ? '(open) ' : ''}${what}`,
        ),
      );
    }
    return lines.length === 0 ? null : lines.join('\n');
  }

  /** False: nobody answers. */
  #once(): Promise<boolean> {
    const bucket = this.#buckets[this.#below(this.#buckets.length)];
    if (bucket === undefined) throw new Error('there are no buckets');
    const Bucket = bucket.name;
    const key = `key-${this.#below(this.options.keys)}`;
    const at = { Bucket, Key: key };
    const choice = this.options.random();
    if (choice < 0.12) {
      return this.#ask(bucket, 'make', (s3) => s3.send(new CreateBucketCommand({ Bucket })), {
        isRead: false,
        done: () => (state) => (isAbsent(state) ? { keys: new Map() } : null),
        refusals: { BucketAlreadyOwnedByYou: isThere },
      });
    }
    if (choice < 0.3) {
      return this.#ask(bucket, 'delete', (s3) => s3.send(new DeleteBucketCommand({ Bucket })), {
        isRead: false,
        done: () => (state) => (state.keys?.size === 0 ? { keys: null } : null),
        refusals: { NoSuchBucket: isAbsent, BucketNotEmpty: ({ keys }) => keys !== null && keys.size > 0 },
      });
    }
    if (choice < 0.48) {
      const body = this.#body();
      const etag = createHash('md5').update(body).digest('hex');
      return this.#ask(bucket, `put ${key} ${etag}`, (s3) => s3.send(new PutObjectCommand({ ...at, Body: body })), {
        isRead: false,
        done: () => (state) => (state.keys === null ? null : { keys: new Map([...state.keys, [key, etag]]) }),
        refusals: { NoSuchBucket: isAbsent },
      });
    }
    if (choice < 0.72) {
      return this.#ask(bucket, `delete ${key}`, (s3) => s3.send(new DeleteObjectCommand(at)), {
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
      return this.#ask(bucket, `get ${key}`, read, {
        isRead: true,
        done: (etag) => (state) => (state.keys?.get(key) === etag ? state : null),
        refusals: { NoSuchBucket: isAbsent, NoSuchKey: ({ keys }) => keys !== null && !keys.has(key) },
      });
    }
    if (choice < 0.9) return this.#list(bucket);
    if (choice < 0.95) {
      return this.#ask(bucket, 'head', (s3) => s3.send(new HeadBucketCommand({ Bucket })), {
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
    return this.#ask(bucket, 'list', list, {
      isRead: true,
      done: (found) => (state) => (state.keys !== null && listed([...state.keys]) === found ? state : null),
      refusals: { NoSuchBucket: isAbsent },
    });
  }

  async #listBuckets(): Promise<boolean> {
    const callMs = performance.now();
    const found = await this.#s3?.send(new ListBucketsCommand({})).catch(() => null);
    if (found == null) return false;
    const answerMs = performance.now();
    const names = new Set(found.Buckets?.map(({ Name }) => Name));
    for (const { name, steps } of this.#buckets) {
      const isListed = names.has(name);
      const apply: Apply = (state) => (isThere(state) === isListed ? state : null);
      steps.push({ what: `buckets: ${isListed}`, callMs, answerMs, isOpen: false, isRead: true, apply });
    }
    return true;
  }

  async #ask<Output>(
    bucket: Bucket,
    name: string,
    send: (s3: S3Client) => Promise<Output>,
    { isRead, done, refusals }: Rules<Output>,
  ): Promise<boolean> {
    const s3 = this.#s3;
    if (s3 === null) return false;
    const callMs = performance.now();
    const add = (said: string, isOpen: boolean, isReadNow: boolean, apply: Apply): void => {
      const answerMs = isOpen ? Infinity : performance.now();
      const step = { what: `${name}: ${said}`, callMs, answerMs, isOpen, isRead: isReadNow, apply };
      bucket.steps.push(step);
      if (isOpen) this.#open.push(step);
      this.#count(`${name.split(' ')[0] ?? ''} ${said}`);
    };
    try {
      const output = await send(s3);
      add('done', false, isRead, done(output));
      return true;
    } catch (thrown) {
      const error = thrown as Error & { code?: string; $metadata?: { httpStatusCode?: number } };
      const refusal = refusals[error.name];
      if (refusal !== undefined) {
        add(error.name, false, true, (state) => (refusal(state) ? state : null));
        return true;
      }
      if (error.code === 'ECONNREFUSED') return false;
      const status = error.$metadata?.httpStatusCode;
      const isExpected = status === undefined || status === 503;
      if (!isExpected) this.violations.push(`${callMs.toFixed(2)} ${bucket.name} ${name}: ${error.name}`);
      if (!isRead) add(status === undefined ? 'cut off' : error.name, true, false, done(null));
      return status !== undefined;
    }
  }

  #below(count: number): number {
    return Math.floor(this.options.random() * count);
  }

  #body(): Buffer {
    const body = Buffer.alloc(bodyBytes[this.#below(bodyBytes.length)] ?? 0);
    body.write(`body ${this.#bodies++}`);
    return body;
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

function listed(keys: readonly (readonly [string, string])[]): string {
  return keys
    .map(([key, etag]) => `${key}=${etag}`)
    .sort()
    .join();
}

function describe({ keys }: BucketState): string {
  return keys === null ? 'no bucket' : `{${listed([...keys])}}`;
}
