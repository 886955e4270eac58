/** `mc admin logs`: the latest log lines, then those to come. */
import { logText, type LogEntry } from '../telemetry/index.js';
import { adminError } from './errors.js';
import { liveAnswer } from './live-answer.js';
import { adminOperation, mayAdmin, type AdminRoute } from './operation.js';
import { isStillThere } from './answer.js';
import { timeText } from './time.js';

/** Clients take a connection that says nothing for longer for a dead one. */
const keepAliveMs = 500;

const kinds = { error: 'ERROR', warn: 'WARNING', info: 'INFO', debug: 'INFO' } as const;

export interface NodeNames {
  readonly deploymentId: string;
  readonly endpoint: string;
}

/** One line of the answer. Clients show `ConsoleMsg` as it is, programs read the rest. */
export function logLine(entry: LogEntry, { deploymentId, endpoint }: NodeNames): string {
  const { level, timeMs, message, fields } = entry;
  const { err, requestId, operation } = fields;
  const kind = kinds[level];
  return `${JSON.stringify({
    deploymentid: deploymentId,
    level: kind,
    errKind: kind,
    time: timeText(timeMs),
    ...(typeof requestId === 'string' && { requestID: requestId }),
    ...(typeof operation === 'string' && { api: { name: operation } }),
    message,
    ...(typeof err === 'object' && err !== null && { error: errorView(err) }),
    ConsoleMsg: logText(entry).trimEnd(),
    node: endpoint,
  })}\n`;
}

function errorView(err: { readonly message?: unknown; readonly stack?: unknown }) {
  const { message, stack } = err;
  return {
    ...(typeof message === 'string' && { message }),
    ...(typeof stack === 'string' && {
      source: stack
        .split('\n')
        .slice(1)
        .map((line) => line.trim()),
    }),
  };
}

/** All lines are the server's own: there are none of the kind that clients call `application`. */
function wantsKind(logType: string): (entry: LogEntry) => boolean {
  const wanted = logType.toUpperCase();
  if (wanted === '' || wanted === 'ALL' || wanted === 'MINIO') return () => true;
  return ({ level }) => kinds[level] === wanted;
}

const consoleLog = adminOperation({
  name: 'ConsoleLog',
  access: ['ConsoleLog'],
  handle: (deps, call) => {
    const { input } = call;
    const node = input.query('node');
    const endpoint = deps.endpoint();
    if (node !== '' && node !== endpoint && node !== endpoint.replace(/:\d+$/, '')) {
      throw adminError('XMinioAdminInvalidArgument', 'There is no such node.');
    }
    const limit = input.query('limit');
    if (!/^\d{0,9}$/.test(limit)) throw adminError('XMinioAdminInvalidArgument', 'The limit is not a number.');
    const wants = wantsKind(input.query('logType'));
    const listener = deps.logs.listen(wants);
    if (listener === null) throw adminError('SlowDown', 'Too many listen to the log already.');
    return liveAnswer({
      listener,
      // All of them when it is not said how many.
      earlier: deps.logs.latest(Number(limit) || Infinity, wants),
      keepAliveMs,
      dropped: (count) =>
        logLine(
          { level: 'warn', timeMs: deps.clock.nowMs(), message: `${count} log lines were left out here`, fields: {} },
          { deploymentId: deps.deploymentId, endpoint },
        ),
      mayGoOn: async () => isStillThere(deps, call) && (await mayAdmin(call, 'ConsoleLog')),
    });
  },
});

export const logRoutes: readonly AdminRoute[] = [{ method: 'GET', path: 'log', operation: consoleLog }];
