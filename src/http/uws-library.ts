/**
 * The HTTP library, loaded once per process. It reads its header limit from the environment while it loads,
 * so the variable is set around the load and put back.
 */
import { createRequire } from 'node:module';
import { KiB, limits } from '../base/index.js';
import type * as Uws from 'uWebSockets.js';
import type { TemplatedApp } from 'uWebSockets.js';

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket as ListenSocket } from 'uWebSockets.js';

/** The library's own types leave these out. */
export type UwsLibrary = typeof Uws & { LIBUS_LISTEN_EXCLUSIVE_PORT: number; _cfg(key: string): void };

/** So is this form of `listen`. */
export type ListenOnHost = (
  host: string,
  port: number,
  options: number,
  listening: (listenSocket: Uws.us_listen_socket | false) => void,
) => TemplatedApp;

const headersVariable = 'UWS_HTTP_MAX_HEADERS_SIZE';

/** Our own check is exact and answers 431 in XML; the library's lies a little above it. */
export const libraryHeaderBytesMax = limits.headerBlockBytesMax + 4 * KiB;

/** Throws where there is no binary for this platform. */
export function loadUws(): UwsLibrary {
  const before = process.env[headersVariable];
  process.env[headersVariable] = String(libraryHeaderBytesMax);
  try {
    const library = createRequire(import.meta.url)('uWebSockets.js') as UwsLibrary;
    // Its name in every answer helps nobody.
    library._cfg('silent');
    return library;
  } finally {
    if (before === undefined) delete process.env[headersVariable];
    else process.env[headersVariable] = before;
  }
}
