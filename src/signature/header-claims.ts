/**
 * What the Authorization headers of one client have in common: everything but the signature. Parsed once for all
 * its requests of a day; what is wrong is found anew each time.
 */
import { limits } from '../base/index.js';
import { scopeText, type CredentialScope } from './credential-scope.js';
import { HeaderLines } from './header-lines.js';

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

/** An Authorization header, taken apart. */
export interface ReadClaims {
  readonly claims: HeaderClaims;
  /** As sent: any text. */
  readonly signature: string;
  readonly lines: HeaderLines;
}

interface Remembered {
  readonly context: SigningContext;
  /** The header up to the signature. */
  readonly text: string;
  readonly claims: HeaderClaims;
  readonly lines: HeaderLines;
}

/** What is a sound scope depends on them. */
export interface SigningContext {
  readonly service: string;
  readonly region: string;
}

/** One for each endpoint. */
export class HeaderClaimsCache {
  readonly #claims = new Map<string, HeaderClaims>();
  /** Most requests are of the client that sent the one before: to compare is cheaper than to look up. */
  #last: Remembered | null = null;

  /**
   * Null unless the header is, but for its signature, the one that was read last. What stands for the signature may be
   * none: whoever finds that it does not match asks `read` what is wrong with it.
   */
  recall(authorization: string, { service, region }: SigningContext): ReadClaims | null {
    const last = this.#last;
    if (last === null || authorization.length !== last.text.length + signatureChars) return null;
    if (last.context.service !== service || last.context.region !== region) return null;
    // What V8 makes of `startsWith` looks at one character after the other.
    if (authorization.slice(0, last.text.length) !== last.text) return null;
    return { claims: last.claims, signature: authorization.slice(last.text.length), lines: last.lines };
  }

  /**
   * Claims and signature of an Authorization header, behind the name of its algorithm. `parse` is asked when the text
   * before the signature, which clients write last, is a new one in this context; it throws what is wrong. `start`: what
   * stands before the components in the header.
   */
  read(
    components: string,
    start: string,
    { service, region }: SigningContext,
    parse: (text: string) => { readonly claims: HeaderClaims; readonly signature: string },
  ): ReadClaims {
    const at = components.lastIndexOf(lastComponent);
    const isUsual = at > 0 && at <= limits.headerClaimsCharsMax && !components.includes(',', at);
    if (!isUsual) return withLines(parse(components));
    const name = `${service}/${region}/${components.slice(0, at)}`;
    const signatureAt = at + lastComponent.length;
    const known = this.#claims.get(name);
    if (known !== undefined) {
      const read = withLines({ claims: known, signature: components.slice(signatureAt).trim() });
      // In one piece, since it is compared time and again.
      const text = Buffer.from(start + components.slice(0, signatureAt), 'utf8').toString('utf8');
      this.#last = { context: { service, region }, text, claims: known, lines: read.lines };
      return read;
    }
    const parsed = parse(components);
    // Clients with so many credentials are rare, and pay with a little time.
    if (this.#claims.size >= limits.headerClaimsMax) this.#claims.clear();
    this.#claims.set(name, parsed.claims);
    return withLines(parsed);
  }
}

function withLines({ claims, signature }: Omit<ReadClaims, 'lines'>): ReadClaims {
  return { claims, signature, lines: new HeaderLines(claims.signedHeaders) };
}
