/**
 * Cookies of this room. With TLS they have the prefix that browsers hold to: set by this very host, sent back to no
 * other, never over plain HTTP.
 */
import type { ExchangeRequest } from '../exchange/index.js';

export type CookieName = 'granary-login' | 'granary-session';

/** Browsers refuse larger ones. */
const valueCharsMax = 3800;

export interface CookieOptions {
  readonly isSecure: boolean;
  /** 0: the browser forgets it. */
  readonly maxAgeSeconds: number;
}

export function setCookie(name: CookieName, value: string, options: CookieOptions): readonly [string, string] {
  const { isSecure, maxAgeSeconds } = options;
  const attributes = [
    `Max-Age=${maxAgeSeconds}`,
    'Path=/',
    'HttpOnly',
    'SameSite=Lax',
    ...(isSecure ? ['Secure'] : []),
  ];
  return ['Set-Cookie', `${fullName(name, isSecure)}=${value}; ${attributes.join('; ')}`];
}

/** Of a browser that has both, the one that only TLS can have set. Null: it has none. */
export function cookieOf({ headers }: Pick<ExchangeRequest, 'headers'>, name: CookieName): string | null {
  // Several headers are joined by commas, which no value of ours has.
  const pairs = (headers.get('cookie') ?? '').split(/[;,]/).map((pair) => pair.trim());
  for (const wanted of [fullName(name, true), fullName(name, false)]) {
    const found = pairs.find((pair) => pair.startsWith(`${wanted}=`))?.slice(wanted.length + 1);
    if (found !== undefined && found.length <= valueCharsMax && /^[\w-]+$/.test(found)) return found;
  }
  return null;
}

function fullName(name: CookieName, isSecure: boolean): string {
  return isSecure ? `__Host-${name}` : name;
}
