/** `mc admin trace`: requests and calls to drives, live, as they end. */
import type { Trace, TraceHead } from '../telemetry/index.js';
import { isStillThere } from './answer.js';
import { adminError } from './errors.js';
import { liveAnswer } from './live-answer.js';
import { adminOperation, mayAdmin, type AdminParameters, type AdminRoute } from './operation.js';
import { timeText } from './time.js';

const keepAliveMs = 1_000;

/** Bits of the kinds of trace that there are here. */
const bits = { storage: 2, s3: 4, internal: 8 } as const;

/** One line of the answer. */
export function traceLine(trace: Trace, node: string): string {
  return `${JSON.stringify(trace.kind === 'request' ? requestView(trace, node) : driveView(trace, node))}\n`;
}

function requestView(trace: Extract<Trace, { kind: 'request' }>, node: string) {
  const { protocol, record, endedMs } = trace;
  const startedMs = endedMs - record.durationMs;
  return {
    type: protocol === 's3' ? bits.s3 : bits.internal,
    nodename: node,
    funcname: `${protocol}.${record.operation ?? 'Unknown'}`,
    time: timeText(startedMs),
    path: record.rawPath,
    dur: nanoseconds(record.durationMs),
    ...(record.errorCode !== null && { error: record.errorCode }),
    http: {
      request: {
        time: timeText(startedMs),
        proto: 'HTTP/1.1',
        method: record.method,
        path: record.rawPath,
        rawquery: trace.rawQuery,
        headers: trace.requestHeaders,
        client: record.remoteAddress,
      },
      response: { time: timeText(endedMs), headers: trace.answerHeaders, statuscode: record.status },
      stats: {
        inputbytes: record.bytesReceived,
        outputbytes: record.bytesSent,
        latency: nanoseconds(record.durationMs),
        timetofirstbyte: nanoseconds(record.timeToFirstByteMs),
      },
    },
  };
}

function driveView(trace: Extract<Trace, { kind: 'drive' }>, node: string) {
  const space = trace.operation.indexOf(' ');
  const verb = space === -1 ? trace.operation : trace.operation.slice(0, space);
  const what = space === -1 ? '' : trace.operation.slice(space + 1);
  return {
    type: bits.storage,
    nodename: node,
    funcname: `storage.${verb}`,
    time: timeText(trace.endedMs - trace.durationMs),
    path: what === '' ? trace.drive : `${trace.drive} ${what}`,
    dur: nanoseconds(trace.durationMs),
    ...(trace.bytes > 0 && { bytes: trace.bytes }),
    ...(trace.error !== null && { error: trace.error }),
  };
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

/** What is asked for that there is not (other kinds of trace) brings nothing. */
function wantsOf(input: AdminParameters): (head: TraceHead) => boolean {
  const isAll = input.flag('all');
  const wants = {
    s3: isAll || input.flag('s3'),
    internal: isAll || input.flag('internal'),
    storage: input.flag('storage'),
  };
  const onlyFailures = input.flag('err');
  const thresholdMs = durationMs(input.query('threshold'));
  return ({ kind, protocol, isFailure, durationMs: tookMs }) => {
    if (onlyFailures && !isFailure) return false;
    if (tookMs < thresholdMs) return false;
    if (kind === 'drive') return wants.storage;
    return protocol === 's3' ? wants.s3 : wants.internal;
  };
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** As Go writes durations: `1m0.5s`. */
export function durationMs(text: string): number {
  if (text === '' || text === '0') return 0;
  if (!/^(\d{1,9}(\.\d{1,9})?(ns|us|µs|μs|ms|s|m|h)){1,8}$/.test(text)) {
    throw adminError('XMinioAdminInvalidArgument', 'The duration is not one.');
  }
  let ms = 0;
  for (const [, number = '', unit = ''] of text.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    ms += Number(number) * (unitMs[unit] ?? 0);
  }
  return ms;
}

const serverTrace = adminOperation({
  name: 'ServerTrace',
  access: ['ServerTrace'],
  handle: (deps, call) => {
    const wants = wantsOf(call.input);
    const listener = deps.traces.listen(wants);
    if (listener === null) throw adminError('SlowDown', 'Too many listen to the trace already.');
    return liveAnswer({
      listener,
      earlier: [],
      keepAliveMs,
      dropped: () => null,
      mayGoOn: async () => isStillThere(deps, call) && (await mayAdmin(call, 'ServerTrace')),
    });
  },
});

export const traceRoutes: readonly AdminRoute[] = [{ method: 'GET', path: 'trace', operation: serverTrace }];
