/** Bounded requests in the form that the OAuth library asks for. */
import type { CustomFetchOptions } from 'openid-client';
import { boundedFetch } from './bounded-fetch.js';

export type ClientFetch = (url: string, options: CustomFetchOptions) => Promise<Response>;

export function clientFetch(authorities: readonly string[]): ClientFetch {
  return async (url, { method, headers, body, signal }) => {
    const sent = body === undefined || body === null ? undefined : textOf(body);
    const answer = await boundedFetch(url, {
      method: method === 'POST' || method === 'HEAD' ? method : 'GET',
      ...{ headers, authorities },
      ...(sent !== undefined && { body: sent }),
      ...(signal !== undefined && { signal }),
    });
    // Statuses without a body take none, not even an empty one.
    const hasBody = answer.status !== 204 && answer.status !== 205 && answer.status !== 304;
    return new Response(hasBody ? answer.body : null, { status: answer.status, headers: [...answer.headers] });
  };
}

function textOf(body: NonNullable<CustomFetchOptions['body']>): string | Uint8Array {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  return body instanceof URLSearchParams ? body.toString() : '';
}
