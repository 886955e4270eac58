/**
 * admin: the administration API, version 3. The table of routes, one file per family of operations, and
 * the payloads under the caller's secret key.
 */
export { adminPrefixes, adminRoutes, createAdminService, requireHeaderSignature } from './service.js';
export type { AdminDeps } from './deps.js';
export { logLine, type NodeNames } from './logs.js';
export { traceLine } from './trace.js';
export { HealSequences } from './heal-sequences.js';
export { Watchers } from './watchers.js';
export type { CatchUpFacts, DriveFacts, ServerState } from './server-state.js';
export type { ServiceControl } from './service-control.js';
export { createPayloadCipher, type Argon2id, type PayloadCipher } from './payload/index.js';
export {
  authenticateScrape,
  createMetricsService,
  metricsPrefixes,
  type MetricsServiceDeps,
} from './metrics/service.js';
