/**
 * What an OpenID provider publishes about itself: its discovery document and its keys. Fetched in the background,
 * kept while it is down, and fetched again for a key that is not known, at a bounded rate: anybody can name one.
 * Keys are those of this provider alone.
 */
import { importJWK, type CryptoKey, type JWK } from 'jose';
import { z } from 'zod';
import { limits, type Clock } from '../../base/index.js';
import { boundedFetch, ProviderFault } from './bounded-fetch.js';

/** Signatures by a private key alone: a secret that both sides know proves nothing about who signed. */
export const signatureAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
] as const;

const url = z
  .string()
  .max(2048)
  .refine((text) => URL.canParse(text));
const discoverySchema = z.looseObject({
  issuer: z.string().max(2048).optional(),
  jwks_uri: url,
  userinfo_endpoint: url.optional(),
  token_endpoint: url.optional(),
  authorization_endpoint: url.optional(),
  end_session_endpoint: url.optional(),
});
export type OpenIdDiscovery = z.infer<typeof discoverySchema>;

const keySchema = z.looseObject({
  kty: z.string(),
  kid: z.string().max(1024).optional(),
  use: z.string().optional(),
  alg: z.string().optional(),
  crv: z.string().optional(),
});
/** A key that is not one must not hide the others. */
const keySetSchema = z.object({ keys: z.array(z.unknown()).max(limits.openId.keysMax) });

export interface OpenIdSourceOptions {
  readonly configUrl: string;
  readonly clock: Clock;
  readonly authorities: readonly string[];
  readonly timeoutMs?: number;
  /** For what an operator should know, once each time that it changes. */
  readonly onDown: (reason: string) => void;
  readonly onUp: () => void;
}

interface Known {
  readonly discovery: OpenIdDiscovery;
  readonly keys: readonly JWK[];
  readonly fetchedMs: number;
}

const { refetchBurst, refetchMs, freshMs, keysMsMax, retryMsMin, retryMsMax } = limits.openId;

export class OpenIdSource {
  readonly #options: OpenIdSourceOptions;
  readonly #abort = new AbortController();
  /** By key and algorithm: a key is for one algorithm only. */
  #imported = new Map<string, Promise<CryptoKey | Uint8Array>>();
  #known: Known | null = null;
  #fetching: Promise<void> | null = null;
  #fault: ProviderFault | null = null;
  #isReported = false;
  /** Fetches that may still be asked for, refilled with time. */
  #tokens: number = refetchBurst;
  #refilledMs: number;
  #retryMs: number = retryMsMin;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: OpenIdSourceOptions) {
    this.#options = options;
    this.#refilledMs = options.clock.monotonicMs();
  }

  /** In the background, again and again until it answers. */
  start(): void {
    void this.#fetch();
  }

  close(): void {
    this.#abort.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Rejects with ProviderFault while nothing is known. */
  async discovery(): Promise<OpenIdDiscovery> {
    return (await this.#current()).discovery;
  }

  /** Null: the provider has no such key. `kid` undefined: the only one that fits. */
  async key(kid: string | undefined, algorithm: string): Promise<CryptoKey | Uint8Array | null> {
    const current = await this.#current();
    const found = keyOf(current.keys, kid, algorithm) ?? (await this.#refetchedKey(kid, algorithm));
    // One that cannot be used must not look like a fault of ours.
    return found === null ? null : await this.#import(found, algorithm).catch(() => null);
  }

  async #refetchedKey(kid: string | undefined, algorithm: string): Promise<JWK | null> {
    if (!this.#mayRefetch()) return null;
    await this.#fetch();
    return this.#known === null ? null : keyOf(this.#known.keys, kid, algorithm);
  }

  async #current(): Promise<Known> {
    const ageMs = this.#ageMs();
    if (ageMs < freshMs && this.#known !== null) return this.#known;
    if (ageMs < keysMsMax && this.#known !== null) {
      // What is known serves while it is looked up again.
      if (this.#mayRefetch()) void this.#fetch();
      return this.#known;
    }
    if (this.#fetching !== null || this.#mayRefetch()) await this.#fetch();
    if (this.#known !== null && this.#ageMs() < keysMsMax) return this.#known;
    throw this.#fault ?? new ProviderFault(new URL(this.#options.configUrl).host, 'was not asked yet');
  }

  #ageMs(): number {
    return this.#known === null ? Infinity : this.#options.clock.monotonicMs() - this.#known.fetchedMs;
  }

  #mayRefetch(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const refill = Math.floor((nowMs - this.#refilledMs) / refetchMs);
    if (refill > 0) {
      this.#tokens = Math.min(refetchBurst, this.#tokens + refill);
      this.#refilledMs += refill * refetchMs;
    }
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  /** Everybody who waits for it waits for the same one. Never rejects. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().then(
      (known) => {
        this.#fetching = null;
        this.#known = known;
        this.#imported = new Map();
        this.#fault = null;
        this.#retryMs = retryMsMin;
        if (this.#isReported) this.#options.onUp();
        this.#isReported = false;
      },
      (error: unknown) => {
        this.#fetching = null;
        this.#failed(error);
      },
    );
    return this.#fetching;
  }

  #failed(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    const { host } = new URL(this.#options.configUrl);
    this.#fault = error instanceof ProviderFault ? error : new ProviderFault(host, 'could not be asked', error);
    if (!this.#isReported) this.#options.onDown(this.#fault.message);
    this.#isReported = true;
    if (this.#known !== null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#fetch(), this.#retryMs);
    this.#timer.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax);
  }

  async #load(): Promise<Known> {
    const { configUrl, clock } = this.#options;
    const discovery = await this.#document(configUrl, discoverySchema, 'a discovery document with a jwks_uri');
    const [own, theirs] = [new URL(configUrl), new URL(discovery.jwks_uri)];
    if (own.protocol === 'https:' && theirs.protocol !== 'https:') {
      throw new ProviderFault(own.host, 'names a jwks_uri without TLS, which is not followed');
    }
    const { keys: all } = await this.#document(discovery.jwks_uri, keySetSchema, 'a set of keys');
    const keys = all.flatMap((one) => {
      const parsed = keySchema.safeParse(one);
      return parsed.success && isForSignatures(parsed.data as JWK) ? [parsed.data as JWK] : [];
    });
    if (keys.length === 0) throw new ProviderFault(theirs.host, 'publishes no key that signatures are checked with');
    return { discovery, keys, fetchedMs: clock.monotonicMs() };
  }

  async #document<T>(address: string, schema: z.ZodType<T>, what: string): Promise<T> {
    const { authorities, timeoutMs } = this.#options;
    const { status, body } = await boundedFetch(address, {
      ...{ authorities, redirectsMax: 3, signal: this.#abort.signal },
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    const { host } = new URL(address);
    if (status !== 200) throw new ProviderFault(host, `answered ${status} in place of ${what}`);
    const parsed = schema.safeParse(parseJson(body));
    if (!parsed.success) throw new ProviderFault(host, `answered something that is not ${what}`);
    return parsed.data;
  }

  #import(key: JWK, algorithm: string): Promise<CryptoKey | Uint8Array> {
    const name = `${algorithm} ${key.kid ?? ''}`;
    const known = this.#imported.get(name);
    if (known !== undefined) return known;
    const imported = importJWK(key, algorithm);
    this.#imported.set(name, imported);
    return imported;
  }
}

export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    // Like a document of another form.
    return undefined;
  }
}

function isForSignatures({ kty, use, alg }: JWK): boolean {
  const isPublic = kty === 'RSA' || kty === 'EC' || kty === 'OKP';
  const isKnown = alg === undefined || signatureAlgorithms.some((one) => one === alg);
  return isPublic && isKnown && (use === undefined || use === 'sig');
}

const curves: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', EdDSA: 'Ed25519' };

/** The type of the key decides which algorithms it is for, and its own word if it has one. */
function fits({ kty, crv, alg }: JWK, algorithm: string): boolean {
  if (alg !== undefined && alg !== algorithm) return false;
  const curve = curves[algorithm];
  if (curve === undefined) return kty === 'RSA';
  return crv === curve && kty === (algorithm === 'EdDSA' ? 'OKP' : 'EC');
}

function keyOf(keys: readonly JWK[], kid: string | undefined, algorithm: string): JWK | null {
  const found = keys.filter((key) => fits(key, algorithm) && (kid === undefined || key.kid === kid));
  const [first] = found;
  // Without a name, which of several it is would be a guess.
  return first === undefined || (kid === undefined && found.length > 1) ? null : first;
}
