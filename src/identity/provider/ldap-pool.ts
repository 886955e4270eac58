/** A bounded number of connections, and a bounded number of those who wait for one. Idle ones are closed. */
import type { DirectoryConnection } from './ldap-connection.js';
import { DirectoryFault, directoryFault } from './ldap-fault.js';

export interface LdapPoolOptions {
  readonly open: () => Promise<DirectoryConnection>;
  readonly connectionsMax: number;
  readonly waitersMax: number;
  readonly waitMs: number;
  readonly idleMs: number;
}

interface Idle {
  readonly connection: DirectoryConnection;
  readonly timer: NodeJS.Timeout;
}

/** A dead connection says so at once. */
const staleMsMax = 1_000;

interface Waiter {
  readonly go: () => void;
}

export class LdapPool {
  readonly #idle: Idle[] = [];
  readonly #waiters = new Set<Waiter>();
  #used = 0;
  #isClosed = false;

  constructor(private readonly options: LdapPoolOptions) {}

  /** Requires: `work` can be done twice: a connection that had been idle may turn out to be dead. */
  async use<T>(work: (connection: DirectoryConnection) => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      for (;;) {
        const idle = this.#takeIdle();
        const connection = idle ?? (await this.options.open());
        const startedMs = performance.now();
        try {
          const result = await work(connection);
          this.#keep(connection);
          return result;
        } catch (error) {
          if (connection.isOpen) this.#keep(connection);
          // It was closed while nobody looked, as directories do. One that is slow would be so again.
          const isFast = performance.now() - startedMs < staleMsMax;
          const isStale = isFast && idle !== null && error instanceof DirectoryFault && error.kind === 'protocol';
          if (!isStale || this.#isClosed) throw error;
          this.#dropIdle();
        }
      }
    } finally {
      this.#used--;
      const [next] = this.#waiters;
      next?.go();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#dropIdle();
  }

  async #turn(): Promise<void> {
    const { connectionsMax, waitersMax, waitMs } = this.options;
    if (this.#isClosed) throw directoryFault('unreachable', 'the server is stopping');
    if (this.#used < connectionsMax) {
      this.#used++;
      return;
    }
    if (this.#waiters.size >= waitersMax) throw directoryFault('busy', 'too many wait for the directory');
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(directoryFault('busy', 'the directory is too slow for so many'));
      }, waitMs);
      const waiter: Waiter = {
        go: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          this.#used++;
          resolve();
        },
      };
      this.#waiters.add(waiter);
    });
  }

  #takeIdle(): DirectoryConnection | null {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      clearTimeout(idle.timer);
      if (!idle.connection.isOpen) continue;
      idle.connection.isIdle = false;
      return idle.connection;
    }
    return null;
  }

  #keep(connection: DirectoryConnection): void {
    if (this.#isClosed || !connection.isOpen) {
      connection.close();
      return;
    }
    connection.isIdle = true;
    const timer = setTimeout(() => {
      const at = this.#idle.findIndex((idle) => idle.connection === connection);
      if (at >= 0) this.#idle.splice(at, 1);
      connection.close();
    }, this.options.idleMs);
    timer.unref();
    this.#idle.push({ connection, timer });
  }

  #dropIdle(): void {
    for (const { connection, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      connection.close();
    }
  }
}
