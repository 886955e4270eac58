/** The S3 protocol over an object layer in memory, as root unless a request says otherwise. */
import type { Clock } from '../../src/base/index.js';
import { createDispatcher, rootOnly, type Authenticated, type IsAllowed } from '../../src/dispatch/index.js';
import type { ExchangeHandler, ExchangeRequest } from '../../src/exchange/index.js';
import { createS3Service } from '../../src/s3/index.js';
import { silentLogger, type RequestRecord } from '../../src/telemetry/index.js';
import { exchange, type RequestShape, type TestResponse } from './exchange.js';
import { memoryDigest } from './memory-digests.js';
import { MemoryObjectLayer, type MemoryOptions } from './memory-object-layer.js';
import { rootPrincipal } from './principals.js';

/** The raw key that signed chunks of a test are signed with. */
export const testSigningKey = Buffer.alloc(32, 7);
export const testSeedSignature = '5'.repeat(64);
export const testAmzDate = '20261124T030000Z';
export const testScope = '20261124/us-east-1/s3/aws4_request';

export interface S3World {
  readonly objects: MemoryObjectLayer;
  readonly handler: ExchangeHandler;
  readonly records: RequestRecord[];
  /** Moves when the test says so. */
  readonly clock: Clock & { advance(ms: number): void };
  send(shape: RequestShape): Promise<TestResponse>;
}

export interface WorldOptions extends MemoryOptions {
  readonly isAllowed?: IsAllowed;
  readonly domains?: readonly string[];
}

/** 2026-11-24T03:00:00.500Z */
const startMs = Date.UTC(2026, 10, 24, 3, 0, 0, 500);

export function createS3World(options: WorldOptions = {}): S3World {
  const clock = testClock();
  const objects = new MemoryObjectLayer({ clock, ...options });
  const records: RequestRecord[] = [];
  const region = 'us-east-1';
  const hostId = 'host-id';
  const service = createS3Service({
    objects,
    documents: objects,
    region,
    clock,
    hostId,
    ownerId: 'a'.repeat(64),
    ownerDisplayName: 'granary',
    digest: memoryDigest,
  });
  const handler = createDispatcher({
    service,
    authenticate: trustingAuthenticate,
    authenticateForm: trustingForm,
    isAllowed: options.isAllowed ?? rootOnly,
    observer: { observe: (record) => records.push(record) },
    log: silentLogger,
    clock,
    region,
    hostId,
    domains: options.domains ?? [],
  });
  return { objects, handler, records, clock, send: (shape) => exchange(handler, shape) };
}

function testClock(): Clock & { advance(ms: number): void } {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

/** Believes everybody: `x-test-anonymous` makes a request anonymous. How bodies are protected is read as in earnest. */
function trustingAuthenticate({ headers }: ExchangeRequest): Authenticated {
  const claim = headers.get('x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  const payload = protectionOf(claim);
  if (headers.has('x-test-anonymous')) {
    return { principal: { kind: 'anonymous' }, authentication: { kind: 'anonymous', payload } };
  }
  const accessKey = 'minioadmin';
  return {
    principal: rootPrincipal(accessKey),
    authentication: { kind: 'header-v4', accessKey, region: 'us-east-1', signedAtMs: startMs, payload },
  };
}

/** A form with a policy speaks for root, one without for nobody. */
function trustingForm(field: (name: string) => string | undefined): Authenticated {
  const payload = { kind: 'unsigned' } as const;
  if (field('policy') === undefined) {
    return { principal: { kind: 'anonymous' }, authentication: { kind: 'anonymous', payload } };
  }
  const accessKey = 'minioadmin';
  return {
    principal: rootPrincipal(accessKey),
    authentication: { kind: 'form-v4', accessKey, region: 'us-east-1', signedAtMs: startMs, payload },
  };
}

function protectionOf(claim: string): Authenticated['authentication']['payload'] {
  switch (claim) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'unsigned-chunks' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return {
        kind: 'signed-chunks',
        hasTrailer: claim.endsWith('TRAILER'),
        signingKey: testSigningKey,
        amzDate: testAmzDate,
        scope: testScope,
        seedSignature: testSeedSignature,
      };
    default:
      return { kind: 'sha256', hex: claim };
  }
}
