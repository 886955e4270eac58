/**
 * Calls to one drive through one I/O queue, each with a time limit. A call that outlasts it is answered
 * as `slow`; its thread stays inside the kernel, so the fault says when the memory is free again.
 * Main thread. Borrows the segments' memory until the answer, or until the fault's `settled`.
 */
import type { Clock } from '../base/index.js';
import { IoKind, type IoQueue, type IoRequest, type IoResult } from '../native/index.js';
import type { DriveFault, DriveResult } from './drive.js';
import { EINPROGRESS, EMFILE, ENFILE, faultKind } from './errno.js';

/** How long an open waits for another descriptor to be closed before it is tried again. */
const descriptorRetryMs = 20;

interface Pending {
  readonly deadlineMs: number;
  expire(): void;
}

export interface DriveCall {
  readonly request: IoRequest;
  /** Of a fault; called only when there is one. */
  readonly describe: () => string;
  /** When the native call has truly ended, in time or not; never when it never does. Before the answer. */
  readonly onEnd?: (result: IoResult) => void;
  /** The call may be repeated out of order when the process is out of descriptors. */
  readonly repeats?: boolean;
}

export class DriveCalls {
  /** In order of their deadlines, because all limits are the same. */
  readonly #pending = new Set<Pending>();
  #timer: NodeJS.Timeout | null = null;
  #hasLeftCalls = false;

  constructor(
    private readonly queue: IoQueue,
    private readonly drivePath: string,
    private readonly callMsMax: number,
    private readonly clock: Clock,
  ) {}

  /** Waiting or running natively, those that were answered as slow included. */
  get depth(): number {
    return this.queue.depth;
  }

  /** After close: some call was still inside the kernel and may end at any time, or never. */
  get hasLeftCalls(): boolean {
    return this.#hasLeftCalls;
  }

  /** Bytes read, or −1 when the answer takes a call of its own. */
  readNow(fd: number, fileOffset: number, arenaOffset: number, bytes: number): number {
    const got = this.queue.readNow(fd, fileOffset, arenaOffset, bytes);
    // An error is for the slow path to meet and report.
    return got < 0 ? -1 : got;
  }

  run(call: DriveCall): Promise<DriveResult<IoResult>> {
    return new Promise((resolve) => {
      let settle: () => void = () => {};
      const pending: Pending = {
        deadlineMs: this.clock.monotonicMs() + this.callMsMax,
        expire: () => {
          const settled = new Promise<void>((end) => (settle = end));
          resolve({ ok: false, fault: this.#fault(call, 0, settled) });
        },
      };
      this.#watch(pending);
      this.#submit(call, pending, (result) => {
        const inTime = this.#pending.delete(pending);
        if (result.errno === EINPROGRESS) {
          // Given up at close: the thread may still come back to this memory, at any time.
          this.#hasLeftCalls = true;
          if (inTime) resolve({ ok: false, fault: this.#fault(call, result.errno, new Promise(() => {})) });
          return;
        }
        call.onEnd?.(result);
        if (!inTime) this.#dropLate(call.request, result);
        settle();
        if (result.errno === 0) resolve({ ok: true, value: result });
        else resolve({ ok: false, fault: this.#fault(call, result.errno) });
      });
    });
  }

  /** Gives a descriptor back. Never refused; nobody waits for it. */
  closeDescriptor(fd: number): void {
    void this.queue.submit({ kind: IoKind.close, fd });
  }

  close(graceMs: number): Promise<void> {
    return this.queue.close(graceMs);
  }

  #submit(call: DriveCall, pending: Pending, done: (result: IoResult) => void): void {
    void this.queue.submit(call.request).then((result) => {
      const isShort = result.errno === EMFILE || result.errno === ENFILE;
      if (!isShort || call.repeats !== true || !this.#pending.has(pending)) done(result);
      else setTimeout(() => this.#submit(call, pending, done), descriptorRetryMs);
    });
  }

  #watch(pending: Pending): void {
    this.#pending.add(pending);
    if (this.#timer === null) this.#timer = this.#arm(pending);
  }

  #arm(oldest: Pending): NodeJS.Timeout {
    const delayMs = Math.max(1, oldest.deadlineMs - this.clock.monotonicMs());
    return setTimeout(() => this.#expire(), delayMs).unref();
  }

  #expire(): void {
    this.#timer = null;
    const nowMs = this.clock.monotonicMs();
    for (const pending of this.#pending) {
      if (pending.deadlineMs > nowMs) {
        this.#timer = this.#arm(pending);
        return;
      }
      this.#pending.delete(pending);
      pending.expire();
    }
  }

  #dropLate(request: IoRequest, result: IoResult): void {
    if (request.fd === undefined && result.fd >= 0) this.closeDescriptor(result.fd);
  }

  #fault(call: DriveCall, errno: number, settled?: Promise<void>): DriveFault {
    const kind = settled === undefined ? faultKind(errno) : 'slow';
    const fault = { kind, drive: this.drivePath, operation: call.describe(), errno };
    return settled === undefined ? fault : { ...fault, settled };
  }
}
