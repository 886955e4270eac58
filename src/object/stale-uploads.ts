/** Gives up multipart uploads that nobody completed: their parts take room and cannot be seen among the objects. */
import { ForwardSteps, limits, Refusal, type Clock } from '../base/index.js';
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
/** A clock that is set forward by less than this share of the expiry takes little from it. */
const stepShareMax = 1 / 10;
/** Uploads that were begun while the clock was ahead, remembered at once: the rest has its turn when these are done. */
const futureUploadsMax = 10_000;

export class StaleUploads {
  readonly #options: StaleUploadsOptions;
  readonly #startedMs: number;
  readonly #steps: ForwardSteps;
  /** By their ids: when they were first seen, on the clock that never steps. */
  readonly #futureUploads = new Map<string, number>();
  #lastMs: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<unknown> | null = null;
  #isClosed = false;

  constructor(options: StaleUploadsOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonicMs();
    this.#steps = new ForwardSteps(options.clock);
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#isClockSetForward();
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
    const { objects } = this.#options;
    let count = 0;
    // How old an upload really is cannot be told: a whole expiry after the step it is old enough by either time.
    if (this.#isClockSetForward()) return count;
    const seen = new Set<string>();
    for (const { name: bucket } of objects.listBuckets()) {
      let keyMarker = '';
      let uploadIdMarker = '';
      for (;;) {
        if (this.#isClosed || !objects.health().canWrite) return count;
        const page = await this.#page(bucket, keyMarker, uploadIdMarker);
        if (page === null) break;
        for (const { key, uploadId, initiatedMs } of page.uploads) {
          if (this.#isClosed) continue;
          const isOver = this.#isOver(uploadId, initiatedMs);
          if (this.#futureUploads.has(uploadId)) seen.add(uploadId);
          if (!isOver) continue;
          if (await this.#abort(bucket, key, uploadId)) count++;
        }
        if (!page.isTruncated) break;
        keyMarker = page.nextKeyMarker;
        uploadIdMarker = page.nextUploadIdMarker;
        // A long listing must not keep requests waiting.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    for (const uploadId of this.#futureUploads.keys()) if (!seen.has(uploadId)) this.#futureUploads.delete(uploadId);
    return count;
  }

  #isClockSetForward(): boolean {
    const { staleUploadsExpiryMs } = this.#options.settings();
    return this.#steps.isRecent(staleUploadsExpiryMs * stepShareMax, staleUploadsExpiryMs);
  }

  #isOver(uploadId: string, initiatedMs: number): boolean {
    const { clock, settings } = this.#options;
    const { staleUploadsExpiryMs } = settings();
    const nowMs = clock.nowMs();
    if (initiatedMs <= nowMs) return nowMs - initiatedMs >= staleUploadsExpiryMs;
    // Begun while the clock was ahead, maybe by years.
    const seenMs = this.#futureUploads.get(uploadId) ?? clock.monotonicMs();
    if (this.#futureUploads.size < futureUploadsMax) this.#futureUploads.set(uploadId, seenMs);
    return clock.monotonicMs() - seenMs >= staleUploadsExpiryMs;
  }

  async #page(bucket: string, keyMarker: string, uploadIdMarker: string) {
    const all = { prefix: '', delimiter: '', countMax: limits.listKeysMax };
    try {
      return await this.#options.objects.listUploads({ bucket, ...all, keyMarker, uploadIdMarker });
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
