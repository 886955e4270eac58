/** Where the directory is: the addresses of the settings, or what DNS says under SRV names (RFC 2782), best first. */
import type { Clock } from '../../base/index.js';
import { directoryFault } from './ldap-fault.js';
import type { LdapAddress } from './ldap-stream.js';

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface LdapServersOptions {
  readonly addresses: readonly LdapAddress[];
  /** The names to ask for; null: the addresses are it. */
  readonly srvNames: readonly string[] | null;
  readonly resolveSrv: (name: string) => Promise<readonly SrvRecord[]>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: () => number;
}

const recordsMax = 16;
/** DNS answers are kept for so long. */
const answersMs = 60_000;
/** A server that failed comes last for so long. */
const penaltyMs = 30_000;

export class LdapServers {
  #answer: { readonly addresses: readonly LdapAddress[]; readonly untilMs: number } | null = null;
  readonly #failedUntil = new Map<string, number>();

  constructor(private readonly options: LdapServersOptions) {}

  /** In the order in which to try them. */
  async inOrder(): Promise<readonly LdapAddress[]> {
    const nowMs = this.options.clock.monotonicMs();
    const isPenalised = (address: LdapAddress): boolean => (this.#failedUntil.get(keyOf(address)) ?? 0) > nowMs;
    const addresses = await this.#addresses(nowMs);
    return [...addresses.filter((one) => !isPenalised(one)), ...addresses.filter(isPenalised)];
  }

  failed(address: LdapAddress): void {
    this.#failedUntil.set(keyOf(address), this.options.clock.monotonicMs() + penaltyMs);
    // Names of servers that are long gone from DNS.
    if (this.#failedUntil.size > 4 * recordsMax) this.#failedUntil.clear();
  }

  worked(address: LdapAddress): void {
    this.#failedUntil.delete(keyOf(address));
  }

  async #addresses(nowMs: number): Promise<readonly LdapAddress[]> {
    const { addresses, srvNames } = this.options;
    if (srvNames === null) return addresses;
    if (this.#answer !== null && this.#answer.untilMs > nowMs) return this.#answer.addresses;
    try {
      const records = (await Promise.all(srvNames.map((name) => this.options.resolveSrv(name)))).flat();
      const found = this.#ordered(records.filter(({ name }) => name !== '' && name !== '.').slice(0, recordsMax));
      if (found.length === 0) throw new Error('there are no such records');
      this.#answer = { addresses: found, untilMs: nowMs + answersMs };
    } catch (error) {
      // Where it was a minute ago it most likely still is.
      if (this.#answer !== null) return this.#answer.addresses;
      const names = srvNames.join(', ');
      throw directoryFault('unreachable', `no servers are found under ${names}: ${textOf(error)}`, error);
    }
    return this.#answer.addresses;
  }

  /** By priority; within one, at random by weight. */
  #ordered(records: readonly SrvRecord[]): readonly LdapAddress[] {
    const left = [...records].sort((a, b) => a.priority - b.priority);
    const ordered: LdapAddress[] = [];
    while (left.length > 0) {
      const best = left.filter(({ priority }) => priority === left[0]?.priority);
      let at = this.options.random() * best.reduce((sum, { weight }) => sum + weight + 1, 0);
      const chosen = best.find(({ weight }) => (at -= weight + 1) < 0) ?? best[0];
      if (chosen === undefined) break;
      left.splice(left.indexOf(chosen), 1);
      ordered.push({ host: chosen.name.replace(/\.$/, ''), port: chosen.port });
    }
    return ordered;
  }
}

function keyOf({ host, port }: LdapAddress): string {
  return `${host} ${port}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown cause';
}
