/**
 * What the Authorization headers of one client have in common: everything but the signature. Parsed once for all
 * its requests of a day; what is wrong is found anew each time.
 */
import { limits } from '../base/index.js';
import { scopeText, type CredentialScope } from './credential-scope.js';

export interface HeaderClaims {
  readonly scope: CredentialScope;
  /** Lower case, sorted, without duplicates. */
  readonly signedHeaders: readonly string[];
  /** Of the string to sign. */
  readonly scopeLine: string;
  /** Names the signing key. */
  readonly keyName: string;
}

export function claimsOf(scope: CredentialScope, signedHeaders: readonly string[]): HeaderClaims {
  const scopeLine = scopeText(scope);
  return { scope, signedHeaders, scopeLine, keyName: `${scope.accessKey}/${scopeLine}` };
}

const lastComponent = 'Signature=';
/** Of a signature that is not malformed. */
const signatureChars = 64;

/** One for each endpoint: what is a sound scope depends on its region and service. */
export class HeaderClaimsCache {
  readonly #claims = new Map<string, HeaderClaims>();
  /** Most requests are of the client that sent the one before: to compare is cheaper than to look up. */
  #last: { readonly context: string; readonly text: string; readonly claims: HeaderClaims } | null = null;

  /**
   * Claims and signature of an Authorization header, behind the name of its algorithm. `parse` is asked when the text
   * before the signature, which clients write last, is a new one in this context; it throws what is wrong.
   */
  read(
    components: string,
    context: string,
    parse: (text: string) => { readonly claims: HeaderClaims; readonly signature: string },
  ): { readonly claims: HeaderClaims; readonly signature: string } {
    const last = this.#last;
    if (last?.context === context && components.length === last.text.length + signatureChars) {
      const signature = components.slice(last.text.length);
      if (components.startsWith(last.text) && !signature.includes(','))
        return { claims: last.claims, signature: signature.trim() };
    }
    const at = components.lastIndexOf(lastComponent);
    const isUsual = at > 0 && at <= limits.headerClaimsCharsMax && !components.includes(',', at);
    if (!isUsual) return parse(components);
    const name = context + components.slice(0, at);
    const signatureAt = at + lastComponent.length;
    const known = this.#claims.get(name);
    if (known !== undefined) {
      this.#last = { context, text: components.slice(0, signatureAt), claims: known };
      return { claims: known, signature: components.slice(signatureAt).trim() };
    }
    const parsed = parse(components);
    // Clients with so many credentials are rare, and pay with a little time.
    if (this.#claims.size >= limits.headerClaimsMax) this.#claims.clear();
    this.#claims.set(name, parsed.claims);
    return parsed;
  }
}
