/**
 * telemetry: logs, request records and counters, live traces, health answers. It watches; nothing here decides.
 */
export {
  createLogger,
  silentLogger,
  logLevels,
  logText,
  parseLogLine,
  type LogEntry,
  type Logger,
  type LogFields,
  type LogLevel,
  type LogOptions,
} from './logger.js';
export { observers, requestLines, type RequestObserver, type RequestRecord, type RequestWire } from './requests.js';
export {
  RequestCounters,
  firstByteSecondsBounds,
  type CountsByOperation,
  type OperationCounts,
  type RejectedCounts,
} from './request-counters.js';
export type { FeedListener } from './feed.js';
export { LogRing } from './log-ring.js';
export { auditEntry, type AuditNames } from './audit.js';
export { WebhookTarget, type WebhookOptions, type WebhookStatistics } from './webhook.js';
export { Traces, type DriveTrace, type RequestTrace, type Trace, type TraceHead } from './traces.js';
export { healthAnswer, healthPrefix, type HealthAnswer, type HealthState } from './health.js';
