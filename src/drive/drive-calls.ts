/**
 * Calls to one drive through one I/O queue, each with a time limit. A call that outlasts it is answered
 * as `slow`: taken back when it still waits, else its thread stays inside the kernel, and the fault says
 * when the memory is free again. Time in which this process did not run does not count.
 * Main thread. Borrows the segments' memory until the answer, or until the fault's `settled`.
 */
import type { Clock } from '../base/index.js';
import { IoKind, type IoQueue, type IoRequest, type IoResult } from '../native/index.js';
import type { Traces } from '../telemetry/index.js';
import type { DriveFault, DriveFaultKind, DriveResult } from './drive.js';
import type { DriveStatisticsCounter } from './drive-statistics.js';
import { ECANCELED, EINPROGRESS, EMFILE, ENFILE, ENOENT, ENOMEM, faultKind } from './errno.js';

/** How long an open waits for another descriptor to be closed before it is tried again. */
const descriptorRetryMs = 20;
/** How often the limits are looked at, at least. A look that comes much later shows that the process stood still. */
const tickMsMax = 1000;
const latenessMsMax = 250;

interface Pending {
  readonly call: DriveCall;
  readonly resolve: (answer: DriveResult<IoResult>) => void;
  /** Like its deadline, in time in which this process ran. */
  readonly begunMs: number;
  deadlineMs: number;
  readonly submittedMs: number;
  /** In its queue. */
  requestNumber: number;
  /** Resolves the fault's `settled`. */
  settle: (() => void) | null;
}

export interface DriveCall {
  readonly request: IoRequest;
  /** Of a fault; called only when there is one. */
  readonly describe: () => string;
  /** When the native call has truly ended, in time or not; never when it never does. */
  readonly onEnd?: (result: IoResult) => void;
  /** It waits for a descriptor when the process is out of them; calls behind it may overtake it meanwhile. */
  readonly repeats?: boolean;
  /** It is made of a drive that is away as well. */
  readonly isLook?: boolean;
}

/** The drive that is called; what is said of it may change. */
export interface CalledDrive {
  readonly path: string;
  /** Every call is answered as `missing`. */
  readonly isAway: boolean;
}

/** Told about every call once it is answered. */
export interface DriveWatch {
  readonly statistics: DriveStatisticsCounter;
  /** Null: nobody can listen. */
  readonly traces: Pick<Traces, 'isWanted' | 'drive'> | null;
}

export class DriveCalls {
  /** In order of their deadlines, because all limits are the same. */
  readonly #pending = new Set<Pending>();
  #requestCount = 0;
  #timer: NodeJS.Timeout | null = null;
  #tickDueMs = 0;
  /** Of the clock, as far as it was seen. */
  #stoodStillMs = 0;
  /** When a call ended last, in time in which this process ran. */
  #endedMs = -Infinity;
  /** Calls that were given up and are still inside the kernel; and that none has come back since the last of them. */
  #leftBehind = 0;
  #isSilent = false;
  #isOut = false;
  /** When the drive first answered that there is no memory, unless a call has succeeded since. */
  #noMemoryMs: number | null = null;

  /** The queue is used by nobody else. */
  constructor(
    private readonly queue: IoQueue,
    private readonly drive: CalledDrive,
    private readonly callMsMax: number,
    private readonly clock: Clock,
    private readonly watch: DriveWatch | null = null,
  ) {}

  /** Not answered yet. */
  get waiting(): number {
    return this.#pending.size;
  }

  /** A descriptor for reading, or −1 when the answer takes a call of its own. */
  openNow(path: string): number {
    return this.drive.isAway ? -1 : this.queue.openNow(path);
  }

  /** Bytes read, or −1 when the answer takes a call of its own. */
  readNow(fd: number, fileOffset: number, arenaOffset: number, bytes: number): number {
    const got = this.queue.readNow(fd, fileOffset, arenaOffset, bytes);
    // An error is for the slow path to meet and report.
    return got < 0 ? -1 : got;
  }

  /** False when the answer takes a call of its own. */
  readCheckedNow(fd: number, fileOffset: number, checks: Float64Array): boolean {
    return this.queue.readCheckedNow(fd, fileOffset, checks);
  }

  run(call: DriveCall): Promise<DriveResult<IoResult>> {
    if (call.isLook !== true) {
      if (this.drive.isAway) return Promise.resolve(this.#refuse(call, 'missing', ENOENT));
      if (this.#isOut && this.isHanging) return Promise.resolve(this.#refuse(call, 'slow', ECANCELED));
    }
    return new Promise((resolve) => {
      const submittedMs = this.clock.monotonicMs();
      const begunMs = submittedMs - this.#stoodStillMs;
      const times = { begunMs, deadlineMs: begunMs + this.callMsMax, submittedMs };
      const pending: Pending = { call, resolve, ...times, requestNumber: 0, settle: null };
      this.#pending.add(pending);
      if (this.#timer === null) this.#timer = this.#arm(pending);
      this.#submit(pending);
    });
  }

  /** No call has ended for so long, and some wait. A queue that is only long goes on. */
  isStuckFor(ms: number): boolean {
    const [oldest] = this.#pending;
    return oldest !== undefined && this.#runningMs() - Math.max(oldest.begunMs, this.#endedMs) >= ms;
  }

  /** A call that was given up has not come back, nor has any other since. */
  get isHanging(): boolean {
    return this.#leftBehind > 0 && this.#isSilent;
  }

  /** When nothing has ended for so long, what waits as long is answered as `slow` now. */
  giveUpStuck(ms: number): void {
    if (this.isStuckFor(ms)) this.hurry(ms);
  }

  /** Nobody relies on the drive now: while it hangs it is asked nothing more, and what waits takes so long in all. */
  leaveOut(msMax: number): void {
    this.#isOut = true;
    this.hurry(msMax);
  }

  /** What is under way may take so long in all, if that is less than its limit. */
  hurry(msMax: number): void {
    const [oldest] = this.#pending;
    if (oldest === undefined || msMax >= this.callMsMax) return;
    for (const pending of this.#pending) pending.deadlineMs = Math.min(pending.deadlineMs, pending.begunMs + msMax);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#arm(oldest);
  }

  /** The answer of a drive that is closed. */
  refusal(operation: string): DriveResult<never> {
    return this.#answer(operation, ECANCELED);
  }

  /** The answer when no descriptor has become free in time. */
  starved(operation: string): DriveResult<never> {
    return this.#answer(operation, EMFILE);
  }

  #answer(operation: string, errno: number): DriveResult<never> {
    return { ok: false, fault: { kind: faultKind(errno), drive: this.drive.path, operation, errno } };
  }

  /** Gives a descriptor back. Never refused; nobody waits for it. */
  closeDescriptor(fd: number): void {
    this.#requestCount++;
    void this.queue.submit({ kind: IoKind.close, fd });
  }

  close(graceMs: number): Promise<void> {
    return this.queue.close(graceMs);
  }

  #refuse(call: DriveCall, kind: DriveFaultKind, errno: number): DriveResult<IoResult> {
    call.onEnd?.({ errno, bytes: 0, fd: call.request.fd ?? -1 });
    return { ok: false, fault: this.#fault(call, kind, errno) };
  }

  #submit(pending: Pending): void {
    pending.requestNumber = ++this.#requestCount;
    void this.queue.submit(pending.call.request).then((result) => this.#end(pending, result));
  }

  /** Nothing of it was done, and until then nobody is at it: its limit is that of the next try. */
  #submitLater(pending: Pending): void {
    setTimeout(() => {
      pending.deadlineMs = this.#runningMs() + this.callMsMax;
      this.#pending.add(pending);
      if (this.#timer === null) this.#timer = this.#arm(pending);
      this.#submit(pending);
    }, descriptorRetryMs);
  }

  #end(pending: Pending, result: IoResult): void {
    const { call } = pending;
    // One that was taken back while it waited says nothing of the drive.
    if (result.errno !== ECANCELED && result.errno !== EINPROGRESS) {
      this.#endedMs = this.#runningMs();
      this.#isSilent = false;
      this.#isOut = false;
    }
    const isInTime = this.#pending.has(pending);
    const isOutOfDescriptors = result.errno === EMFILE || result.errno === ENFILE;
    const mayWait = call.repeats === true && this.#runningMs() - pending.begunMs < this.callMsMax;
    if (isOutOfDescriptors && mayWait && isInTime) {
      this.#pending.delete(pending);
      this.#submitLater(pending);
      return;
    }
    this.#pending.delete(pending);
    if (result.errno === EINPROGRESS) {
      // Given up at close: the thread may still come back to this memory, at any time.
      if (isInTime) this.#answerSlow(pending, result.errno, new Promise(() => {}));
      return;
    }
    call.onEnd?.(result);
    if (!isInTime) {
      if (call.request.fd === undefined && result.fd >= 0) this.closeDescriptor(result.fd);
      if (pending.settle !== null) this.#leftBehind--;
      pending.settle?.();
      return;
    }
    const fault = this.#faultOf(result.errno);
    this.#tell(pending, fault, result.bytes);
    if (fault === null) pending.resolve({ ok: true, value: result });
    else pending.resolve({ ok: false, fault: this.#fault(call, fault, result.errno) });
  }

  /** A file system that answers nothing else for as long as a call may take is what is wrong, and not this machine. */
  #faultOf(errno: number): DriveFaultKind | null {
    if (errno === 0) {
      this.#noMemoryMs = null;
      return null;
    }
    if (errno !== ENOMEM) return faultKind(errno);
    this.#noMemoryMs ??= this.#runningMs();
    return this.#runningMs() - this.#noMemoryMs < this.callMsMax ? 'starved' : 'io';
  }

  #tell({ call, submittedMs }: Pending, fault: DriveFaultKind | null, bytes: number): void {
    if (this.watch === null) return;
    const durationMs = this.clock.monotonicMs() - submittedMs;
    const { statistics, traces } = this.watch;
    statistics.count(call.request.kind, durationMs, bytes, fault);
    if (traces?.isWanted !== true) return;
    traces.drive({ drive: this.drive.path, operation: call.describe(), durationMs, bytes, error: fault });
  }

  #expire(pending: Pending): void {
    this.#pending.delete(pending);
    if (this.queue.cancel(pending.requestNumber)) {
      this.#tell(pending, 'slow', 0);
      pending.resolve({ ok: false, fault: this.#fault(pending.call, 'slow', 0) });
      return;
    }
    this.#leftBehind++;
    this.#isSilent = true;
    this.#answerSlow(pending, 0, new Promise((resolve) => (pending.settle = resolve)));
  }

  #answerSlow(pending: Pending, errno: number, settled: Promise<void>): void {
    this.#tell(pending, 'slow', 0);
    pending.resolve({ ok: false, fault: { ...this.#fault(pending.call, 'slow', errno), settled } });
  }

  #fault(call: DriveCall, kind: DriveFault['kind'], errno: number): DriveFault {
    return { kind, drive: this.drive.path, operation: call.describe(), errno };
  }

  #runningMs(): number {
    return this.clock.monotonicMs() - this.#stoodStillMs;
  }

  #arm(oldest: Pending): NodeJS.Timeout {
    const delayMs = Math.max(1, Math.min(oldest.deadlineMs - this.#runningMs(), tickMsMax));
    this.#tickDueMs = this.clock.monotonicMs() + delayMs;
    return setTimeout(() => this.#tick(), delayMs).unref();
  }

  #tick(): void {
    this.#timer = null;
    const latenessMs = this.clock.monotonicMs() - this.#tickDueMs;
    if (latenessMs > latenessMsMax) this.#stoodStillMs += latenessMs;
    const nowMs = this.#runningMs();
    for (const pending of this.#pending) {
      if (pending.deadlineMs > nowMs) {
        this.#timer = this.#arm(pending);
        return;
      }
      this.#expire(pending);
    }
  }
}
