/**
 * The metrics as a protocol of its own beside the administration API: scraped with a bearer token by whoever may
 * `admin:Prometheus`, or by everybody where the operator says so.
 */
import { Refusal } from '../../base/index.js';
import type { Authenticated, OperationSpec, ParsedCall, Service } from '../../dispatch/index.js';
import type { ExchangeRequest, ExchangeResponse } from '../../exchange/index.js';
import { scrapeCredential, type CredentialStore } from '../../identity/index.js';
import { refusalAnswer } from '../answer.js';
import { adminError } from '../errors.js';
import { exposition, type Metric } from './exposition.js';
import { collectFacts, type Facts, type MetricsDeps } from './facts.js';
import { v2Groups } from './v2.js';
import { collectGroups, findGroups } from './v3.js';

export interface MetricsServiceDeps extends MetricsDeps {
  readonly credentials: CredentialStore;
  /** Anybody may scrape. */
  readonly isPublic: boolean;
  readonly region: string;
  readonly hostId: string;
}

/** Requests whose path starts so belong to this service. */
export const metricsPrefixes: readonly string[] = [
  '/minio/v2/metrics/',
  '/minio/metrics/v3',
  '/minio/prometheus/metrics',
];

const textType = ['Content-Type', 'text/plain; version=0.0.4; charset=utf-8'] as const;

type Collect = (facts: Facts) => readonly Metric[];

const v2Paths: ReadonlyMap<string, Collect> = new Map([
  ['v2/metrics/cluster', v2Groups.cluster],
  ['v2/metrics/node', v2Groups.node],
  ['v2/metrics/bucket', v2Groups.bucket],
  ['v2/metrics/resource', v2Groups.resource],
  ['prometheus/metrics', v2Groups.legacy],
]);

export function createMetricsService(deps: MetricsServiceDeps): Service<MetricsServiceDeps> {
  return {
    deps,
    route: (call) => {
      const collect = collectorOf(call);
      if (call.request.method !== 'GET' && call.request.method !== 'HEAD') throw adminError('MethodNotAllowed');
      return operation(collect);
    },
    refuse: (refusal, { request }) => refusalAnswer(refusal, request, deps),
  };
}

function collectorOf({ bucket, key }: ParsedCall): Collect {
  const path = bucket === 'minio' ? key.replace(/\/$/, '') : '';
  const v2 = v2Paths.get(path);
  if (v2 !== undefined) return v2;
  const v3 = /^metrics\/v3((?:\/[^/]+)*)$/.exec(path)?.[1];
  const found = v3 === undefined ? null : findGroups(v3);
  if (found === null) throw adminError('InvalidRequest', 'There are no metrics at this path.', 404);
  return (facts) => {
    if (found.bucket !== '' && !facts.bucketNames.includes(found.bucket)) throw adminError('NoSuchBucket');
    return collectGroups(found, facts);
  };
}

function operation(collect: Collect): OperationSpec<unknown, MetricsServiceDeps> {
  return {
    name: 'Metrics',
    anyRegion: true,
    parse: () => undefined,
    permissions: () => [],
    handle: async (deps, call): Promise<ExchangeResponse> => {
      if (!deps.isPublic && !(await call.isAllowed({ action: 'admin:Prometheus', bucket: '', key: '' }))) {
        throw adminError('AccessDenied');
      }
      const text = exposition(collect(await collectFacts(deps)));
      return { status: 200, headers: [textType], body: { kind: 'bytes', bytes: text } };
    },
  };
}

/** Whose token it is. Throws AccessDenied. */
export function authenticateScrape(
  request: Pick<ExchangeRequest, 'headers'>,
  { credentials, isPublic, clock }: Pick<MetricsServiceDeps, 'credentials' | 'isPublic' | 'clock'>,
): Authenticated {
  // No signature of a request: the token is looked at here, and no body is read.
  const authentication = { kind: 'anonymous', payload: { kind: 'unsigned' } } as const;
  if (isPublic) return { principal: { kind: 'anonymous' }, authentication };
  const token = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? '';
  const credential = scrapeCredential(token, credentials, clock.nowMs());
  if (credential === null) throw new Refusal('AccessDenied');
  return { principal: credential.principal, authentication };
}
