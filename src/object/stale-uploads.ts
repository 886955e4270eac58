/** Gives up multipart uploads that nobody completed: their parts take room and cannot be seen among the objects. */
import { limits, Refusal, type Clock } from '../base/index.js';
import type { ObjectLayer } from './object-layer.js';

export interface StaleUploadSettings {
  readonly staleUploadsExpiryMs: number;
  readonly staleUploadsCleanupMs: number;
}

export interface StaleUploadsOptions {
  readonly objects: Pick<ObjectLayer, 'listBuckets' | 'listUploads' | 'abortMultipartUpload' | 'health'>;
  /** Asked anew each time: it may change while the server runs. */
  readonly settings: () => StaleUploadSettings;
  readonly clock: Clock;
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** How often the time is looked at. The first round comes early: servers that restart daily clean up as well. */
const lookEveryMs = 30_000;
const firstAfterMs = 300_000;

export class StaleUploads {
  readonly #options: StaleUploadsOptions;
  readonly #startedMs: number;
  #lastMs: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<unknown> | null = null;
  #isClosed = false;

  constructor(options: StaleUploadsOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonicMs();
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.isDue() && this.#round === null) this.#round = this.#run().finally(() => (this.#round = null));
    }, lookEveryMs).unref();
  }

  /** Waits for a round that is under way; the rest of it is left to the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  isDue(): boolean {
    const { clock, settings } = this.#options;
    const { staleUploadsCleanupMs } = settings();
    const nowMs = clock.monotonicMs();
    return this.#lastMs === null
      ? nowMs - this.#startedMs >= Math.min(firstAfterMs, staleUploadsCleanupMs)
      : nowMs - this.#lastMs >= staleUploadsCleanupMs;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    this.#lastMs = clock.monotonicMs();
    try {
      const count = await this.sweep();
      if (count > 0) log('stale multipart uploads were given up', { count });
    } catch (error) {
      log('stale multipart uploads could not be given up; the next round tries again', { err: error });
    }
  }

  /** One round over all buckets. The number of uploads that it gave up. */
  async sweep(): Promise<number> {
    const { objects, clock, settings } = this.#options;
    const oldestMs = clock.nowMs() - settings().staleUploadsExpiryMs;
    let count = 0;
    for (const { name: bucket } of objects.listBuckets()) {
      let keyMarker = '';
      let uploadIdMarker = '';
      for (;;) {
        if (this.#isClosed || !objects.health().canWrite) return count;
        const page = this.#page(bucket, keyMarker, uploadIdMarker);
        if (page === null) break;
        for (const { key, uploadId, initiatedMs } of page.uploads) {
          if (initiatedMs > oldestMs || this.#isClosed) continue;
          if (await this.#abort(bucket, key, uploadId)) count++;
        }
        if (!page.isTruncated) break;
        keyMarker = page.nextKeyMarker;
        uploadIdMarker = page.nextUploadIdMarker;
        // A long listing must not keep requests waiting.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return count;
  }

  #page(bucket: string, keyMarker: string, uploadIdMarker: string) {
    const all = { prefix: '', delimiter: '', countMax: limits.listKeysMax };
    try {
      return this.#options.objects.listUploads({ bucket, ...all, keyMarker, uploadIdMarker });
    } catch (error) {
      if (error instanceof Refusal && error.code === 'NoSuchBucket') return null;
      throw error;
    }
  }

  /** False: it was completed or given up meanwhile. */
  async #abort(bucket: string, key: string, uploadId: string): Promise<boolean> {
    try {
      await this.#options.objects.abortMultipartUpload(bucket, key, uploadId);
      return true;
    } catch (error) {
      if (error instanceof Refusal && (error.code === 'NoSuchUpload' || error.code === 'NoSuchBucket')) return false;
      throw error;
    }
  }
}
