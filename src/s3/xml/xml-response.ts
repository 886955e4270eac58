import type { ExchangeResponse, HeaderPairs } from '../../exchange/index.js';

/** An answer whose body is an XML document. */
export function xmlResponse(document: string, headers: HeaderPairs = [], status = 200): ExchangeResponse {
  return {
    status,
    headers: [['Content-Type', 'application/xml'], ...headers],
    body: { kind: 'bytes', bytes: document },
  };
}
