/**
 * Where a provider sends browsers back to. A provider takes only addresses that are registered with it, so this is a
 * setting; what a request says of its host counts only where the operator wants it, and for the own machine.
 */
import type { ExchangeRequest } from '../exchange/index.js';
import { loginError } from './login-error.js';
import type { LoginProvider } from './login-provider.js';

export const callbackPath = '/oauth_callback';
export const loginPath = '/oauth/login';

const loopbackPattern = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?$/i;
const hostPattern = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

export type HostOfRequest = Pick<ExchangeRequest, 'headers' | 'secure'>;

/** `pagesUrl`: MINIO_BROWSER_REDIRECT_URL or MINIO_SERVER_URL; empty: neither is set. Throws NoRedirectAddress. */
export function redirectUriFor(
  provider: Pick<LoginProvider, 'redirectUri' | 'isRedirectDynamic'>,
  pagesUrl: string,
  request: HostOfRequest,
): URL {
  const host = request.headers.get('host') ?? '';
  if (provider.isRedirectDynamic && hostPattern.test(host)) return ofHost(request, host);
  if (provider.redirectUri !== '') return new URL(provider.redirectUri);
  if (pagesUrl !== '') return new URL(pagesUrl.replace(/\/*$/, '') + callbackPath);
  if (loopbackPattern.test(host)) return ofHost(request, host);
  throw loginError('NoRedirectAddress');
}

function ofHost({ secure, headers }: HostOfRequest, host: string): URL {
  // A proxy that ends TLS in front says so. Who lies about it only gets an address that no provider knows.
  const isSecure = secure || headers.get('x-forwarded-proto')?.toLowerCase() === 'https';
  return new URL(`${isSecure ? 'https' : 'http'}://${host}${callbackPath}`);
}

/**
 * The login page under the host that the browser will come back to, when it asked for another: its cookie would be
 * lost on the way. Null: it is there already, or the address says nothing about one.
 */
export function loginPageElsewhere(redirectUri: URL, request: HostOfRequest, rawQuery: string): URL | null {
  const host = (request.headers.get('host') ?? '').toLowerCase();
  if (redirectUri.host === host || !redirectUri.pathname.endsWith(callbackPath)) return null;
  const page = new URL(redirectUri);
  page.pathname = redirectUri.pathname.slice(0, -callbackPath.length) + loginPath;
  page.search = rawQuery;
  // A proxy may rewrite the host: once is enough.
  if (page.searchParams.has('moved')) return null;
  page.searchParams.set('moved', '1');
  return page;
}
