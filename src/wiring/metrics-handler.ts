/** The metrics as a handler of requests. */
import { systemClock } from '../base/index.js';
import { authenticateScrape, createMetricsService, metricsPrefixes, type MetricsServiceDeps } from '../admin/index.js';
import { createDispatcher, type IsAllowed } from '../dispatch/index.js';
import type { ExchangeHandler } from '../exchange/index.js';
import type { Logger, RequestObserver } from '../telemetry/index.js';

export interface MetricsHandlerOptions extends Omit<MetricsServiceDeps, 'clock'> {
  readonly isAllowed: IsAllowed;
  readonly observer: RequestObserver;
  readonly log: Logger;
}

export function isMetricsPath(rawPath: string): boolean {
  return metricsPrefixes.some((prefix) => rawPath.startsWith(prefix));
}

export function createMetricsHandler({ isAllowed, observer, log, ...parts }: MetricsHandlerOptions): ExchangeHandler {
  const deps: MetricsServiceDeps = { ...parts, clock: systemClock };
  return createDispatcher({
    service: createMetricsService(deps),
    authenticate: (request) => authenticateScrape(request, deps),
    isAllowed,
    observer,
    log,
    clock: systemClock,
    region: parts.region,
    hostId: parts.hostId,
    domains: [],
  });
}
