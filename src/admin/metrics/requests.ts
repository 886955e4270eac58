/** Requests of S3 as samples, by operation: what both versions of the metrics share. */
import { firstByteSecondsBounds, type CountsByOperation, type OperationCounts } from '../../telemetry/index.js';
import { counter, gauge, type Labels, type Metric, type Sample } from './exposition.js';

export interface RequestNames {
  /** Head of the names. */
  readonly head: string;
  readonly label: string;
  /** `GetObject`, or in lower case. */
  readonly spell: (operation: string) => string;
  readonly common: Labels;
}

type Count = (counts: OperationCounts) => number;

/** `<head>total`, `<head>errors_total` and so on; an operation that had none of a kind is left out of it. */
export function requestMetrics(all: CountsByOperation, { head, label, spell, common }: RequestNames): Metric[] {
  const samples = (count: Count): Sample[] =>
    [...all].flatMap(([operation, counts]) => {
      const value = count(counts);
      return value === 0 ? [] : [{ value, labels: { [label]: spell(operation), ...common } }];
    });
  return [
    counter(
      `${head}total`,
      'Requests that were answered, since the start',
      samples(({ requests }) => requests),
    ),
    gauge(
      `${head}inflight_total`,
      'Requests under way',
      samples(({ inFlight }) => inFlight),
    ),
    counter(
      `${head}errors_total`,
      'Requests answered with an error of the client or of the server',
      samples(({ clientErrors, serverErrors }) => clientErrors + serverErrors),
    ),
    counter(
      `${head}4xx_errors_total`,
      'Requests answered with 4xx',
      samples(({ clientErrors }) => clientErrors),
    ),
    counter(
      `${head}5xx_errors_total`,
      'Requests answered with 5xx',
      samples(({ serverErrors }) => serverErrors),
    ),
    counter(
      `${head}canceled_total`,
      'Requests whose client left before the end',
      samples(({ cancelled }) => cancelled),
    ),
  ];
}

/** Cumulative counts of the time to the first byte, one for each bound. */
export function firstByteMetric(name: string, all: CountsByOperation, { label, spell, common }: RequestNames): Metric {
  const samples = [...all].flatMap(([operation, { firstByteWithin, requests }]) =>
    [...firstByteWithin, requests].map((value, index) => {
      const le = firstByteSecondsBounds[index];
      return { value, labels: { [label]: spell(operation), le: le === undefined ? '+Inf' : String(le), ...common } };
    }),
  );
  return gauge(name, 'Answers whose first byte came within so many seconds', samples);
}

export function trafficOf(all: CountsByOperation): { readonly receivedBytes: number; readonly sentBytes: number } {
  let [receivedBytes, sentBytes] = [0, 0];
  for (const { bytesReceived, bytesSent } of all.values()) {
    receivedBytes += bytesReceived;
    sentBytes += bytesSent;
  }
  return { receivedBytes, sentBytes };
}
