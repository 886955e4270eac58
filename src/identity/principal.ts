/**
 * Who a request speaks for. Nothing above this room learns where a principal came from, except by `kind`.
 */

/** Where a parent account lives. Internal groups never apply to any other than `internal`. */
export type AccountSource = 'root' | 'internal' | 'openid' | 'ldap' | 'plugin' | 'certificate';

export type ExternalSource = Exclude<AccountSource, 'root' | 'internal'>;

export function isExternalSource(source: AccountSource): source is ExternalSource {
  return source !== 'root' && source !== 'internal';
}

/** A claim's value as policies see it. Numbers and booleans in their JSON spelling. */
export type ClaimValue = string | number | boolean | readonly (string | number | boolean)[];

interface SignedPrincipal {
  readonly accessKey: string;
  /** Whose account it is: the parent for derived credentials, else the access key itself. */
  readonly account: string;
  readonly source: AccountSource;
  /** Verified claims (token, directory, plugin), by claim name without prefix. Empty for static keys. */
  readonly claims: ReadonlyMap<string, ClaimValue>;
  /** Of the account: internal group names, directory group DNs, or the `groups` claim. */
  readonly groups: readonly string[];
}

export type Principal =
  | { readonly kind: 'anonymous' }
  | (SignedPrincipal & { readonly kind: 'root' })
  | (SignedPrincipal & { readonly kind: 'user' })
  | (SignedPrincipal & { readonly kind: 'service-account' })
  | (SignedPrincipal & { readonly kind: 'temporary' });
