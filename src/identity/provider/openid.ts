/**
 * OpenID Connect: who a token is about, and which policies that gives. One `OpenIdProvider` for each provider that
 * is set up; `OpenIdProviders` picks the one that a call is for.
 */
import { Refusal, type Clock } from '../../base/index.js';
import type { ExternalIdentity, IdentityErrorCode, IdentityProof, IdentityProvider } from '../external-identity.js';
import type { ClaimValue } from '../principal.js';
import { withoutReserved } from '../reserved-claims.js';
import { roleIdOf } from '../role-arn.js';
import { ProviderFault } from './bounded-fetch.js';
import type { TokenDirectory, TokenDirectoryMember } from './entra-tenant.js';
import { flatClaims, namesOf, type JsonObject } from './openid-claims.js';
import { isClaimBased, openIdAccount, openIdRoleArn, openIdRoleId, type OpenIdSettings } from './openid-settings.js';
import { OpenIdSource, type OpenIdDiscovery } from './openid-source.js';
import { invalid, verifyToken, type VerifiedToken } from './openid-token.js';
import { userInfo } from './openid-userinfo.js';

export interface OpenIdOptions {
  readonly settings: OpenIdSettings;
  /** Part of the role's name. */
  readonly region: string;
  readonly policyExists: (name: string) => boolean;
  /** Where the provider's accounts are looked up beside; null when omitted: nowhere. */
  readonly directory?: TokenDirectory | null;
  readonly clock: Clock;
  readonly authorities: readonly string[];
  readonly timeoutMs?: number;
  /** For what an operator should know; never a secret. */
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

export class OpenIdProvider implements IdentityProvider {
  readonly settings: OpenIdSettings;
  /** Empty: policies are named by a claim. */
  readonly roleArn: string;
  readonly #options: OpenIdOptions;
  readonly #source: OpenIdSource;

  constructor(options: OpenIdOptions) {
    const { settings, clock, authorities, timeoutMs, log } = options;
    this.#options = options;
    this.settings = settings;
    this.roleArn = openIdRoleArn(settings, options.region);
    const fields = { provider: settings.name };
    this.#source = new OpenIdSource({
      ...{ configUrl: settings.configUrl, clock, authorities },
      ...(timeoutMs !== undefined && { timeoutMs }),
      onDown: (reason) => {
        log(`an OpenID provider cannot be asked: ${reason}; it is tried again`, fields);
      },
      onUp: () => {
        log('the OpenID provider answers again', fields);
      },
    });
  }

  start(): void {
    this.#source.start();
  }

  close(): void {
    this.#source.close();
  }

  /** Whether a token of this issuer is taken, whatever the discovery document names. */
  acceptsIssuer(issuer: string): boolean {
    const { settings, directory } = this.#options;
    return settings.issuers.includes(issuer) || directory?.issuers.includes(issuer) === true;
  }

  /** Rejects with ProviderFault while it is down and nothing is known of it. */
  discovery(): Promise<OpenIdDiscovery> {
    return this.#source.discovery();
  }

  async identify(proof: IdentityProof): Promise<ExternalIdentity> {
    try {
      return await this.#identify(proof);
    } catch (error) {
      if (!(error instanceof ProviderFault)) throw error;
      throw new Refusal<IdentityErrorCode>(
        'STSNotInitialized',
        `The OpenID provider cannot be asked: ${error.message}.`,
        {},
        error,
      );
    }
  }

  async #identify({ parameters, durationSeconds }: IdentityProof): Promise<ExternalIdentity> {
    const { settings, clock } = this.#options;
    const token = await this.#verified(parameters.get('Token') || (parameters.get('WebIdentityToken') ?? ''));
    const account = openIdAccount(token.subject, token.issuer);
    const claims = await this.#claimsOf(token, parameters.get('WebIdentityAccessToken') ?? '');
    const member = (await this.#options.directory?.signIn(account, token.claims)) ?? null;
    const policyNames = this.#policyNames(claims, member);
    if (this.roleArn === '' && policyNames.length > 0) claims.set(settings.claimName, policyNames.join(','));
    for (const [name, value] of member?.claims ?? []) claims.set(name, value);
    return {
      account,
      source: 'openid',
      subject: token.subject,
      policyNames: this.roleArn === '' ? policyNames : [],
      groups: namesOf(claims.get('groups')) ?? [],
      claims,
      roleArn: this.roleArn,
      provider: settings.name,
      expiresMs: durationSeconds === null ? token.expiresMs : clock.nowMs() + durationSeconds * 1000,
    };
  }

  async #verified(token: string): Promise<VerifiedToken> {
    const { settings, clock, directory } = this.#options;
    const { issuer } = await this.#source.discovery();
    return verifyToken(token, {
      ...{ clientId: settings.clientId, audiences: directory?.audiences ?? [], issuer, nowMs: clock.nowMs() },
      issuers: [...settings.issuers, ...(directory?.issuers ?? [])],
      ...(directory != null && {
        refuseForeign: (claims) => {
          directory.refuseForeign(claims);
        },
      }),
      key: (kid, algorithm) => this.#source.key(kid, algorithm),
    });
  }

  async #claimsOf({ claims, subject }: VerifiedToken, accessToken: string): Promise<Map<string, ClaimValue>> {
    const all = this.settings.usesUserInfo ? { ...(await this.#userInfo(subject, accessToken)), ...claims } : claims;
    return new Map(withoutReserved(flatClaims(all)));
  }

  async #userInfo(subject: string, accessToken: string): Promise<JsonObject> {
    if (accessToken === '') {
      throw invalid('WebIdentityAccessToken is missing: the setting `claim_userinfo` asks the provider with it.');
    }
    const { userinfo_endpoint: endpoint } = await this.#source.discovery();
    const { configUrl } = this.settings;
    if (endpoint === undefined) throw new ProviderFault(new URL(configUrl).host, 'names no userinfo endpoint');
    return userInfo({ endpoint, accessToken, subject, authorities: this.#options.authorities });
  }

  /** Those of the token that exist: at least one, unless the directory has some. */
  #policyNames(claims: ReadonlyMap<string, ClaimValue>, member: TokenDirectoryMember | null): readonly string[] {
    const { rolePolicies, claimName } = this.settings;
    const isByClaim = isClaimBased(this.settings);
    const named = isByClaim ? namesOf(claims.get(claimName)) : rolePolicies;
    const setting = this.settings.name === '_' ? 'identity_openid' : `identity_openid:${this.settings.name}`;
    const existing = (named ?? []).filter((name) => this.#options.policyExists(name));
    if (existing.length > 0 || (member !== null && member.policyNames.length > 0)) return existing;
    if (member !== null && isByClaim) throw invalid(member.whyNoPolicy);
    if (named === null || named.length === 0) {
      throw invalid(
        `\`${claimName}\` claim missing from the JWT token, credentials will not be generated ` +
          `(the claim is named by the setting \`claim_name\` of ${setting})`,
      );
    }
    const from = isByClaim ? `claim \`${claimName}\`, setting \`claim_name\`` : 'setting `role_policy`';
    throw invalid(
      `None of the given policies (\`${named.join(',').slice(0, 512)}\`) are defined, credentials will not be generated ` +
        `(${from} of ${setting})`,
    );
  }
}

export class OpenIdProviders implements IdentityProvider {
  readonly #byRole: ReadonlyMap<string, OpenIdProvider>;
  readonly #claimBased: OpenIdProvider | null;

  constructor(readonly all: readonly OpenIdProvider[]) {
    const [byRole, byClaim] = [
      all.filter(({ roleArn }) => roleArn !== ''),
      all.filter(({ roleArn }) => roleArn === ''),
    ];
    this.#byRole = new Map(byRole.map((provider) => [openIdRoleId(provider.settings.clientId), provider]));
    this.#claimBased = byClaim[0] ?? null;
  }

  async identify(proof: IdentityProof): Promise<ExternalIdentity> {
    return this.#providerFor(proof.parameters.get('RoleArn') ?? '').identify(proof);
  }

  #providerFor(roleArn: string): OpenIdProvider {
    const id = roleIdOf(roleArn);
    const named = id === null ? undefined : this.#byRole.get(id);
    if (named !== undefined) return named;
    if (id?.startsWith('idmp-') === true) {
      throw invalid('Error processing RoleArn parameter: the role is not one of an OpenID provider.');
    }
    // SDKs insist on the parameter, so that one which means nothing here says nothing.
    if (this.#claimBased !== null) return this.#claimBased;
    throw invalid(
      roleArn === ''
        ? 'RoleArn is missing: every OpenID provider of this server is set up by role.'
        : 'Error processing RoleArn parameter: there is no such role.',
    );
  }
}
