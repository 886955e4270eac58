import { HeaderMap } from '../../../src/exchange/index.js';
import type { RequestRecord } from '../../../src/telemetry/index.js';

export const record: RequestRecord = {
  requestId: '0123456789ABCDEF',
  operation: 'PutObject',
  bucket: 'bucket',
  method: 'PUT',
  rawPath: '/bucket/key',
  status: 200,
  errorCode: null,
  bytesReceived: 100,
  bytesSent: 10,
  durationMs: 5,
  timeToFirstByteMs: 4,
  remoteAddress: '127.0.0.1',
  accessKey: 'admin',
  account: 'alice',
  claims: new Map(),
  userAgent: null,
};

export const wire = { rawQuery: '', headers: new HeaderMap() };
