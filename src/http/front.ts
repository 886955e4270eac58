import { KiB, MiB, limits } from '../base/index.js';
import type { ExchangeHandler } from '../exchange/index.js';

/** What the front needs of a logger; the telemetry room's fits. */
export interface FrontLog {
  warn(fields: object, text: string): void;
}

/** Bounds on what a connection may cost. The defaults stand in `defaultBounds`; tests shorten the times. */
export interface FrontBounds {
  /** Body bytes that arrived before their consumer was ready, over all connections. */
  readonly overflowBytesMax: number;
  /** Open connections; further ones are closed at once. */
  readonly connectionsMax: number;
  /** URL and headers of one request. */
  readonly headerBlockBytesMax: number;
  /** A body that stands still this long, while the server is ready for more, is cut off; so is an answer. */
  readonly stallMsMax: number;
  /** Least average rate of a body or an answer, once it has taken `rateGraceMs`. */
  readonly bytesPerSecondMin: number;
  readonly rateGraceMs: number;
  /** How often the two rules above are looked at. */
  readonly sweepMs: number;
  /** An answer that is ready before its body was read waits for this much more of it, and this long. */
  readonly drainBytesMax: number;
  readonly drainMsMax: number;
  /** After an early answer, this much more is read and dropped before the connection closes. */
  readonly lingerBytesMax: number;
  readonly lingerMsMax: number;
}

export const defaultBounds: FrontBounds = {
  overflowBytesMax: limits.httpOverflowBytesMax,
  connectionsMax: limits.httpConnectionsMax,
  headerBlockBytesMax: limits.headerBlockBytesMax,
  stallMsMax: limits.bodyStallMsMax,
  bytesPerSecondMin: limits.bodyBytesPerSecondMin,
  rateGraceMs: limits.bodyRateGraceMs,
  // The library's own timer fires 8 to 12 s after it was armed; twice within that is safe.
  sweepMs: 4_000,
  drainBytesMax: 256 * KiB,
  drainMsMax: 1_000,
  lingerBytesMax: 16 * MiB,
  lingerMsMax: 2_000,
};

export interface FrontTls {
  readonly certFile: string;
  readonly keyFile: string;
  /**
   * PEM certificates of those who vouch for clients: set, clients are asked for a certificate, which none has to have.
   * Over node:http alone: uWebSockets.js does not say who the peer is.
   */
  readonly clientAuthorities?: readonly string[];
}

export interface HttpFrontOptions {
  /** Empty: all interfaces. IPv6 with or without brackets. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls: FrontTls | null;
  readonly handler: ExchangeHandler;
  /** Value of the Server header. */
  readonly serverName: string;
  readonly headerBlockBytesMax?: number;
  readonly overflowBytesMax?: number;
  readonly log: FrontLog;
  readonly bounds?: Partial<FrontBounds>;
}

export interface HttpFront {
  readonly port: number;
  /** Requests whose handler is at work or whose answer is not wholly handed over. */
  readonly activeRequests: number;
  /** Refuses new connections; those that are open go on. */
  stopAccepting(): void;
  /** Lets active requests finish for up to `graceMs`, then closes what is left. */
  close(graceMs: number): Promise<void>;
}

/** The bounds of one front. */
export function boundsOf(options: HttpFrontOptions): FrontBounds {
  return {
    ...defaultBounds,
    ...(options.headerBlockBytesMax === undefined ? {} : { headerBlockBytesMax: options.headerBlockBytesMax }),
    ...(options.overflowBytesMax === undefined ? {} : { overflowBytesMax: options.overflowBytesMax }),
    ...options.bounds,
  };
}

/** `[::1]` is how a URL writes it; the system call wants it bare. */
export function bareHost(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
