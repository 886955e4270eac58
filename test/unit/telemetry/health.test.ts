import { describe, expect, test } from 'vitest';
import { healthAnswer, type HealthState } from '../../../src/telemetry/health.js';

const healthy: HealthState = { phase: 'running', canRead: true, canWrite: true, readQuorum: 2, writeQuorum: 3 };

function status(path: string, state: Partial<HealthState> = {}, method = 'GET', rawQuery = ''): number | null {
  return healthAnswer({ method, rawPath: `/minio/health/${path}`, rawQuery }, { ...healthy, ...state })?.status ?? null;
}

describe('healthAnswer', () => {
  test.each([
    [{}, 200, 200, 200, 200],
    [{ canWrite: false }, 200, 200, 503, 200],
    [{ canRead: false, canWrite: false }, 200, 503, 503, 503],
    [{ phase: 'starting' }, 200, 503, 503, 503],
    [{ phase: 'stopping' }, 200, 503, 503, 503],
  ] as const)('%j', (state, live, ready, cluster, clusterRead) => {
    for (const method of ['GET', 'HEAD']) {
      expect(status('live', state, method)).toBe(live);
      expect(status('ready', state, method)).toBe(ready);
      expect(status('cluster', state, method)).toBe(cluster);
      expect(status('cluster/read', state, method)).toBe(clusterRead);
    }
  });

  test('says why, and what the quorum is', () => {
    const request = { method: 'GET', rawPath: '/minio/health/cluster', rawQuery: '' };
    expect(healthAnswer(request, { ...healthy, canWrite: false })?.headers).toEqual([
      ['X-Minio-Write-Quorum', '3'],
      ['X-Minio-Server-Status', 'offline'],
      ['X-Granary-Reason', 'write-quorum-lost'],
      ['Retry-After', '5'],
    ]);
    expect(healthAnswer({ ...request, rawPath: '/minio/health/cluster/read' }, healthy)?.headers).toEqual([
      ['X-Minio-Read-Quorum', '2'],
    ]);
  });

  test('maintenance of the only server would end the service', () => {
    expect(status('cluster', {}, 'GET', 'maintenance=true')).toBe(412);
    expect(status('cluster', {}, 'GET', 'maintenance=false')).toBe(200);
    expect(status('cluster/read', {}, 'GET', 'maintenance=true')).toBe(412);
    expect(status('ready', {}, 'GET', 'maintenance=true')).toBe(200);
  });

  test.each(['PUT', 'POST', 'DELETE'])('%s is not allowed', (method) => {
    expect(status('live', {}, method)).toBe(405);
  });

  test.each(['', 'livex', 'live/', 'cluster/write'])('%j is no check', (path) => expect(status(path)).toBeNull());

  test('other paths are not health', () => {
    expect(healthAnswer({ method: 'GET', rawPath: '/minio/healthy', rawQuery: '' }, healthy)).toBeNull();
    expect(healthAnswer({ method: 'GET', rawPath: '/bucket/minio/health/live', rawQuery: '' }, healthy)).toBeNull();
  });
});
