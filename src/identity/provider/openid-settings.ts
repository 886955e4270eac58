/** What is set about one OpenID provider, and the names that follow from it. */
import { createHash } from 'node:crypto';
import { makeRoleArn } from '../role-arn.js';

export interface OpenIdSettings {
  /** Name of the set-up; `_` for the one without a name. */
  readonly name: string;
  /** Of the discovery document. */
  readonly configUrl: string;
  readonly clientId: string;
  /** Empty: none; enough for the token service. */
  readonly clientSecret: string;
  /** With its prefix; names policies while there is no role. */
  readonly claimName: string;
  /** Claims that the token lacks are asked for at the provider. */
  readonly usesUserInfo: boolean;
  /** Names of policies of the role; empty: policies are named by the claim. */
  readonly rolePolicies: readonly string[];
  /** Accepted beside that of the discovery document. */
  readonly issuers: readonly string[];
  /** Of the login in a browser; empty: the usual ones. */
  readonly scopes: readonly string[];
  readonly redirectUri: string;
  readonly isRedirectDynamic: boolean;
  readonly displayName: string;
  readonly vendor: '' | 'keycloak';
  readonly keycloakRealm: string;
  readonly keycloakAdminUrl: string;
  /** Claims by which listings of access keys name the account. */
  readonly userIdClaim: string;
  readonly userReadableClaim: string;
}

export function isClaimBased({ rolePolicies }: Pick<OpenIdSettings, 'rolePolicies'>): boolean {
  return rolePolicies.length === 0;
}

export function openIdRoleId(clientId: string): string {
  return createHash('sha1').update(clientId).digest('base64url');
}

/** Empty for a provider without a role. */
export function openIdRoleArn(settings: OpenIdSettings, region: string): string {
  return isClaimBased(settings) ? '' : makeRoleArn(region, openIdRoleId(settings.clientId));
}

/** The account that everything of this subject hangs from. */
export function openIdAccount(subject: string, issuer: string): string {
  return createHash('sha256').update(`openid:${subject}:${issuer}`).digest('base64url');
}
