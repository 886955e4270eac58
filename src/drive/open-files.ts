/** Descriptors of numbered files: the least recently used ones are closed first, and never while a call uses them. */
import { invariant } from '../base/index.js';

export interface OpenFile {
  readonly fd: number;
  /** Calls that use it. */
  users: number;
  isRetired: boolean;
}

export class OpenFiles {
  /** Least recently used first. */
  readonly #files = new Map<number, OpenFile>();

  constructor(
    private readonly countMax: number,
    private readonly closeDescriptor: (fd: number) => void,
  ) {}

  find(fileNumber: number): OpenFile | null {
    const file = this.#files.get(fileNumber);
    if (file === undefined) return null;
    this.#files.delete(fileNumber);
    this.#files.set(fileNumber, file);
    return file;
  }

  /** Takes over a descriptor that a call has opened. */
  adopt(fileNumber: number, fd: number): void {
    invariant(fd >= 0, 'a call that opened a file answers its descriptor');
    if (this.#files.has(fileNumber)) {
      this.closeDescriptor(fd);
      return;
    }
    this.#files.set(fileNumber, { fd, users: 0, isRetired: false });
    const [oldest] = this.#files.keys();
    if (this.#files.size > this.countMax && oldest !== undefined) this.retire(oldest);
  }

  /** The next call opens the file anew. */
  retire(fileNumber: number): void {
    const file = this.#files.get(fileNumber);
    if (file === undefined) return;
    this.#files.delete(fileNumber);
    file.isRetired = true;
    if (file.users === 0) this.closeDescriptor(file.fd);
  }

  /** A call that used it has ended. */
  release(file: OpenFile): void {
    file.users--;
    invariant(file.users >= 0, 'a descriptor is released as often as it is used');
    if (file.isRetired && file.users === 0) this.closeDescriptor(file.fd);
  }

  close(): void {
    for (const fileNumber of [...this.#files.keys()]) this.retire(fileNumber);
  }
}
