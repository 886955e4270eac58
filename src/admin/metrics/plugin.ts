/** Calls to the identity plugin; nothing without one. */
import { gauge, type Metric } from './exposition.js';
import type { Facts } from './facts.js';

/** `head`: what the names begin with. */
export function identityPluginMetrics({ identityPlugin, nowMs }: Facts, head: string): Metric[] {
  if (identityPlugin === null) return [];
  const { lastSuccessMs, lastFailureMs, minute } = identityPlugin;
  const name = (own: string) => `${head}plugin_authn_service_${own}`;
  // Without one there is no time since: the series begins with the first.
  const since = (thenMs: number | null) => (thenMs === null ? [] : [{ value: Math.max(0, nowMs - thenMs) / 1000 }]);
  return [
    gauge(name('last_succ_seconds'), 'Seconds since the identity plugin last answered', since(lastSuccessMs)),
    gauge(name('last_fail_seconds'), 'Seconds since it last failed to', since(lastFailureMs)),
    gauge(name('total_requests_minute'), 'Calls of the last full minute', minute.count),
    gauge(name('failed_requests_minute'), 'Those of them that failed', minute.failedCount),
    gauge(name('succ_avg_rtt_ms_minute'), 'Average time of those that were answered', minute.roundTripMsAverage),
    gauge(name('succ_max_rtt_ms_minute'), 'The longest of them', minute.roundTripMsMax),
  ];
}
