/**
 * telemetry: logs, request records and counters, health answers. It watches; nothing here decides.
 */
export {
  createLogger,
  silentLogger,
  logLevels,
  type Logger,
  type LogFields,
  type LogLevel,
  type LogOptions,
} from './logger.js';
export {
  RequestCounters,
  observers,
  requestLines,
  type OperationCounts,
  type RequestObserver,
  type RequestRecord,
} from './requests.js';
export { healthAnswer, healthPrefix, type HealthAnswer, type HealthState } from './health.js';
