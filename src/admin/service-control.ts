/** What administration may do to the running service. A file of its own: it is among what operations are handed. */
export interface ServiceControl {
  /** Ends the process in an orderly way, a moment after the answer; null where it is not ours to end. */
  readonly endProcess: ((how: 'restart' | 'stop') => void) | null;
  freeze(): void;
  unfreeze(): void;
}
