/** Writers over S3 whose server may end at any moment, and what each key may hold afterwards. */
import { createHash, randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** What a key may hold: after an acknowledgement exactly one thing, with a change under way also the next. */
interface KeyState {
  acknowledged: string | null;
  underWay: string | null | undefined;
}

const sum = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');

export function crashClient(url: string, requestTimeout = 30_000): S3Client {
  return new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'tester', secretAccessKey: 'tester-secret' },
    requestHandler: new NodeHttpHandler({ connectionTimeout: 5_000, requestTimeout }),
  });
}

export async function keysIn(s3: S3Client, bucket: string): Promise<string[]> {
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token, MaxKeys: 50 }));
    for (const { Key } of page.Contents ?? []) keys.push(Key ?? '');
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return keys.sort();
}

export class CrashWorkload {
  readonly #states = new Map<string, KeyState>();
  /** Acknowledged. */
  changes = 0;

  constructor(
    readonly bucket: string,
    readonly writers: number,
    readonly keysPerWriter: number,
    readonly random: () => number,
  ) {}

  /** Null: there is none. */
  async contentOf(s3: S3Client, key: string): Promise<string | null> {
    try {
      const answer = await s3.send(new GetObjectCommand({ Bucket: this.bucket, Key: key }));
      return sum((await answer.Body?.transformToByteArray()) ?? new Uint8Array());
    } catch (error) {
      if (error instanceof Error && error.name === 'NoSuchKey') return null;
      throw new Error(`${key} cannot be read`, { cause: error });
    }
  }

  /**
   * Throws when a key, or the listing, is not as it may be. What it is counts from here on; but while the server that
   * was asked for a change still runs, what does not show yet may be decided by the next start: too few drives may
   * have been left in the middle of it.
   */
  async check(s3: S3Client, isDecided = true): Promise<void> {
    for (const [key, state] of this.#states) {
      const content = await this.contentOf(s3, key);
      const allowed = state.underWay === undefined ? [state.acknowledged] : [state.acknowledged, state.underWay];
      if (!allowed.includes(content)) {
        throw new Error(`${key} is ${String(content)}, and may be ${allowed.map(String).join(' or ')}`);
      }
      if (isDecided || content === state.underWay) state.underWay = undefined;
      state.acknowledged = content;
    }
    const listed = await keysIn(s3, this.bucket);
    const present = [...this.#states].flatMap(([key, state]) => (state.acknowledged === null ? [] : [key]));
    if (listed.join('\n') !== present.sort().join('\n')) {
      throw new Error(`listed are ${listed.join(' ')}, and there are ${present.join(' ')}`);
    }
  }

  /** Each writer changes its own keys until it is over, or until a change fails. */
  async run(s3: S3Client, isOver: () => boolean): Promise<void> {
    await Promise.all(
      Array.from({ length: this.writers }, async (_, writer) => {
        while (!isOver()) {
          const key = `w${writer}/k${Math.floor(this.random() * this.keysPerWriter)}`;
          const state = this.#states.get(key) ?? { acknowledged: null, underWay: undefined };
          // What failed may have happened: until the next look nobody changes it again.
          if (state.underWay !== undefined) return;
          this.#states.set(key, state);
          try {
            await this.#change(s3, key, state);
            this.changes++;
          } catch {
            // Cut off: the key stays under way until the next start tells.
            return;
          }
        }
      }),
    );
  }

  async #change(s3: S3Client, key: string, state: KeyState): Promise<void> {
    const { bucket, random } = this;
    const choice = random();
    if (choice < 0.15) {
      state.underWay = null;
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
      state.acknowledged = null;
      state.underWay = undefined;
      return;
    }
    // Inline, in the log, in blob files, and multipart.
    const sizes = [random() * 600, random() * 20_000, random() * 300_000, 262_145 + random() * 3_000_000];
    const bytes = Math.floor(sizes[Math.floor(random() * sizes.length)] ?? 0);
    const body = randomBytes(bytes);
    if (choice > 0.93) {
      const parts = [randomBytes(5 << 20), body];
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
      const listed = [];
      for (const [index, part] of parts.entries()) {
        const { ETag } = await s3.send(
          new UploadPartCommand({ Bucket: bucket, Key: key, UploadId, PartNumber: index + 1, Body: part }),
        );
        listed.push({ PartNumber: index + 1, ETag });
      }
      const whole = sum(Buffer.concat(parts));
      state.underWay = whole;
      await s3.send(
        new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload: { Parts: listed } }),
      );
      state.acknowledged = whole;
    } else {
      state.underWay = sum(body);
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
      state.acknowledged = state.underWay;
    }
    state.underWay = undefined;
  }
}
