/** `identity_openid`: providers of OpenID Connect, several by name. */
import { parsedKey, switchKey, textKey } from '../setting-key.js';
import { defaultTarget, defineSubsystem } from '../subsystem.js';
import { parseSwitch } from '../words.js';

export interface OpenIdTarget {
  readonly name: string;
  readonly configUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** With its prefix. */
  readonly claimName: string;
  readonly usesUserInfo: boolean;
  /** Empty: policies are named by the claim. */
  readonly rolePolicies: readonly string[];
  readonly issuers: readonly string[];
  /** Of Microsoft Entra ID; empty: the provider is another. */
  readonly azureTenantId: string;
  /** Set up for what is no more: it signs nobody in. */
  readonly isAzureOutdated: boolean;
  readonly scopes: readonly string[];
  readonly redirectUri: string;
  readonly isRedirectDynamic: boolean;
  readonly displayName: string;
  readonly vendor: '' | 'keycloak';
  readonly keycloakRealm: string;
  readonly keycloakAdminUrl: string;
  readonly userIdClaim: string;
  readonly userReadableClaim: string;
}

const listMax = 64;
const claimPattern = /^[^\s,\p{Cc}\p{Cs}]{0,256}$/u;

/** Without user name and password, which `get` would show. */
function webUrl(text: string): string | undefined {
  if (text === '') return text;
  if (text.length > 2048 || !URL.canParse(text)) return undefined;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '' ? text : undefined;
}

const urlReading = { parse: webUrl, expects: 'an http:// or https:// URL without a user name' };
const claimReading = {
  parse: (text: string) => (claimPattern.test(text) ? text : undefined),
  expects: 'the name of a claim, without spaces and commas',
};

/** An empty item is a slip that would change what is meant. */
function list(text: string): readonly string[] | undefined {
  if (text.trim() === '') return [];
  const items = text.split(',').map((item) => item.trim());
  return items.length <= listMax && items.every((item) => item !== '') ? [...new Set(items)] : undefined;
}

const listReading = { parse: list, expects: `a comma separated list of at most ${listMax} items, none of them empty` };

const defaultClaim = 'policy';
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** For whoever brings settings of before along. */
export const azureMigration =
  'Set azure_tenant_id to the Directory (tenant) ID, grant the application User.Read.All and Group.Read.All in ' +
  'Microsoft Graph as application permissions with admin consent, take azure_use_group_id out, and restart the server.';

export const openIdSubsystem = defineSubsystem({
  name: 'identity_openid',
  description: 'enable OpenID SSO support',
  hasTargets: true,
  takesEffect: 'at the next start',
  enabledBy: ['client_id', 'client_secret', 'config_url'],
  keys: {
    display_name: textKey('friendly display name for this provider, shown to people who sign in'),
    config_url: parsedKey(
      'url',
      'openid discovery document e.g. "https://accounts.google.com/.well-known/openid-configuration"',
      {
        ...urlReading,
        isRequired: true,
      },
    ),
    client_id: textKey('unique public identifier for apps e.g. "292085223830.apps.googleusercontent.com"', {
      isRequired: true,
    }),
    client_secret: textKey('secret for the unique public identifier for apps; the token service needs none', {
      isSecret: true,
    }),
    claim_name: parsedKey('string', 'JWT canned policy claim name', { ...claimReading, initial: defaultClaim }),
    claim_userinfo: switchKey('on: claims that the token lacks are fetched from the userinfo endpoint', 'off'),
    role_policy: parsedKey(
      'csv',
      'set the IAM access policies applicable to this client application and IDP',
      listReading,
    ),
    claim_prefix: parsedKey('string', 'deprecated: put in front of claim_name', {
      ...claimReading,
      isHiddenWhenEmpty: true,
    }),
    scopes: parsedKey(
      'csv',
      'comma separated list of OpenID scopes for the login, defaults to "openid,profile,email"',
      listReading,
    ),
    redirect_uri: parsedKey('url', 'deprecated: where the provider sends people back to after the login', {
      ...urlReading,
      isHiddenWhenEmpty: true,
    }),
    redirect_uri_dynamic: switchKey('on: the address to come back to follows the Host header of the request', 'off'),
    vendor: parsedKey<'' | 'keycloak'>(
      'string',
      'vendor of the provider, for what it offers beyond OpenID: "keycloak"',
      {
        parse: (text) => (text === '' || text === 'keycloak' ? text : undefined),
        expects: 'keycloak, or empty',
      },
    ),
    keycloak_realm: textKey('realm of Keycloak, "master" when it is not set'),
    keycloak_admin_url: parsedKey(
      'url',
      'admin URL of Keycloak e.g. "http://keycloak.example.com/auth/admin"',
      urlReading,
    ),
    user_readable_claim: parsedKey(
      'string',
      'claim shown as the name of the user in lists of access keys',
      claimReading,
    ),
    user_id_claim: parsedKey('string', 'claim shown as the id of the user in lists of access keys', {
      ...claimReading,
      initial: 'sub',
    }),
    issuers: parsedKey(
      'csv',
      'comma separated list of issuers that are accepted beside the one of the discovery document',
      listReading,
    ),
    azure_tenant_id: parsedKey(
      'string',
      'id of the Microsoft Entra ID tenant in which the groups of users are looked up',
      {
        parse: (text) => (text === '' || uuidPattern.test(text) ? text.toLowerCase() : undefined),
        expects: 'a tenant id of the form 00000000-0000-0000-0000-000000000000',
      },
    ),
    azure_use_group_id: parsedKey('on|off', `no more: "on" turns the provider off. ${azureMigration}`, {
      parse: (text) => (text === '' ? false : (parseSwitch(text) ?? undefined)),
      expects: 'on or off',
      isHiddenWhenEmpty: true,
    }),
  },
  removedKeys: ['jwks_url'],
  check: ({ role_policy, claim_name, vendor, keycloak_admin_url, client_secret, azure_tenant_id, config_url }) => {
    if (azure_tenant_id !== '') {
      if (role_policy.length > 0) return 'azure_tenant_id and role_policy exclude each other';
      if (client_secret === '') return 'azure_tenant_id needs client_secret, with which groups are looked up';
      if (vendor !== '') return 'azure_tenant_id and vendor exclude each other';
      const [, named = ''] = URL.canParse(config_url) ? new URL(config_url).pathname.split('/') : [];
      if (uuidPattern.test(named) && named.toLowerCase() !== azure_tenant_id) {
        return 'config_url is that of another tenant than azure_tenant_id';
      }
    }
    if (role_policy.length > 0 && claim_name !== defaultClaim) return 'role_policy and claim_name exclude each other';
    if (vendor !== 'keycloak') return null;
    return keycloak_admin_url === '' || client_secret === ''
      ? 'vendor=keycloak needs keycloak_admin_url and client_secret'
      : null;
  },
  read: (values, _facts, target): OpenIdTarget => ({
    name: target,
    configUrl: values.config_url,
    clientId: values.client_id,
    clientSecret: values.client_secret,
    claimName: claimNameOf(values),
    usesUserInfo: values.claim_userinfo,
    rolePolicies: values.role_policy,
    issuers: values.issuers,
    azureTenantId: values.azure_tenant_id,
    isAzureOutdated: values.azure_use_group_id,
    scopes: values.scopes,
    redirectUri: values.redirect_uri,
    isRedirectDynamic: values.redirect_uri_dynamic,
    displayName: values.display_name,
    vendor: values.vendor,
    keycloakRealm: values.keycloak_realm || 'master',
    keycloakAdminUrl: values.keycloak_admin_url,
    userIdClaim: values.user_id_claim || 'sub',
    userReadableClaim: values.user_readable_claim,
  }),
});

/** With Entra ID, policies follow from groups; a claim that is named counts beside them. */
function claimNameOf(values: {
  readonly claim_prefix: string;
  readonly claim_name: string;
  readonly azure_tenant_id: string;
}): string {
  const isNamed = values.claim_prefix !== '' || values.claim_name !== defaultClaim;
  return values.azure_tenant_id === '' || isNamed ? values.claim_prefix + values.claim_name : 'azure_groups';
}

/** As operators name it. */
export function openIdSetUpName(target: string): string {
  return target === defaultTarget ? 'identity_openid' : `identity_openid:${target}`;
}
