/**
 * identity: principals and credentials. One place resolves a credential to a principal (I5).
 */
export type { Credential, CredentialStore } from './identity.js';
export { isExternalSource } from './principal.js';
export type * from './principal.js';
export type * from './external-identity.js';
export type * from './account-directory.js';
export type * from './iam.js';
export type * from './iam-store.js';
export { internalOnly, type ExternalRules } from './external-rules.js';
export { azureGroupsClaim, isReservedClaimName, withoutReserved } from './reserved-claims.js';
export { Entra, type EntraMember, type EntraOptions, type GroupDirectory } from './provider/entra.js';
export { EntraTenant, type TokenDirectory, type TokenDirectoryMember } from './provider/entra-tenant.js';
export { EntraMemberships, membershipPrefix, type MembershipRecords } from './provider/entra-memberships.js';
export {
  discoveryUrl,
  entraEndpoints,
  isObjectId,
  type EntraEndpoints,
  type EntraSettings,
} from './provider/entra-settings.js';
export { boundedFetch, ProviderFault, type BoundedRequest, type BoundedResponse } from './provider/bounded-fetch.js';
export { LdapAccounts } from './provider/ldap-accounts.js';
export { LdapAttempts } from './provider/ldap-attempts.js';
export { LdapDirectory, type LdapSettings } from './provider/ldap-directory.js';
export { DirectoryFault, type DirectoryFaultKind } from './provider/ldap-fault.js';
export { LdapProvider } from './provider/ldap-provider.js';
export { readLdapSettings } from './provider/ldap-settings.js';
export { LdapSync } from './provider/ldap-sync.js';
export { IdentityPlugin, type IdentityPluginOptions } from './provider/plugin.js';
export { CertificateIdentity, type CertificateIdentityOptions } from './provider/certificate.js';
export { type CallStatistics } from './provider/call-meter.js';
export { PolicyPlugin, type PolicyPluginOptions, type PolicyQuestion } from './policy-plugin.js';
export { createIam, type IamOptions, type OpenedIam } from './create-iam.js';
export { IamRefusal, type IamErrorCode } from './iam-refusal.js';
export { SealError, type RecordSeal } from './record-seal.js';
export { scrapeCredential } from './scrape-token.js';
export { createRootCredentials, type RootCredentialOptions } from './root-credentials.js';
export { makeRoleArn, roleIdFrom, roleIdOf } from './role-arn.js';
export { isClaimBased, openIdRoleArn, type OpenIdSettings } from './provider/openid-settings.js';
export { type OpenIdDiscovery } from './provider/openid-source.js';
export { KeycloakPurge, type KeycloakPurgeOptions } from './provider/keycloak.js';
export { clientFetch, type ClientFetch } from './provider/client-fetch.js';
export { OpenIdProvider, OpenIdProviders, type OpenIdOptions } from './provider/openid.js';
