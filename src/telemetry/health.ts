/**
 * The health endpoints: no credentials, GET and HEAD, an empty body. Pure, so that the front can ask
 * before anything else looks at the request.
 */
export interface HealthState {
  readonly phase: 'starting' | 'running' | 'stopping';
  readonly canRead: boolean;
  readonly canWrite: boolean;
  /** Drives that must answer for a write. */
  readonly writeQuorum: number;
  readonly readQuorum: number;
}

export interface HealthAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Every health endpoint begins with it. */
export const healthPrefix = '/minio/health/';

/** Null when the path is no health endpoint. */
export function healthAnswer(
  request: { readonly method: string; readonly rawPath: string; readonly rawQuery: string },
  state: HealthState,
): HealthAnswer | null {
  if (!request.rawPath.startsWith(healthPrefix)) return null;
  const check = request.rawPath.slice(healthPrefix.length);
  if (check !== 'live' && check !== 'ready' && check !== 'cluster' && check !== 'cluster/read') return null;
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, headers: [['Allow', 'GET, HEAD']] };
  // Alive is whoever answers: a restart would not bring a missing drive back.
  if (check === 'live') return { status: 200, headers: [] };
  const reason = reasonNot(check, state);
  const quorum = quorumHeaders(check, state);
  if (reason !== null) {
    return {
      status: 503,
      headers: [...quorum, ['X-Minio-Server-Status', 'offline'], ['X-Granary-Reason', reason], ['Retry-After', '5']],
    };
  }
  // One server holds all the drives: taking it away for maintenance always ends the service.
  if (check.startsWith('cluster') && new URLSearchParams(request.rawQuery).get('maintenance') === 'true') {
    return { status: 412, headers: [...quorum, ['X-Granary-Reason', 'single-server']] };
  }
  return { status: 200, headers: quorum };
}

function reasonNot(check: 'ready' | 'cluster' | 'cluster/read', state: HealthState): string | null {
  if (state.phase !== 'running') return state.phase;
  if (!state.canRead) return 'read-quorum-lost';
  // Ready means that it answers requests: a read-only server does.
  if (check === 'cluster' && !state.canWrite) return 'write-quorum-lost';
  return null;
}

function quorumHeaders(check: 'ready' | 'cluster' | 'cluster/read', state: HealthState): HealthAnswer['headers'] {
  if (check === 'cluster') return [['X-Minio-Write-Quorum', String(state.writeQuorum)]];
  if (check === 'cluster/read') return [['X-Minio-Read-Quorum', String(state.readQuorum)]];
  return [];
}
