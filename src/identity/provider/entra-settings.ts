/** What the set-up of a Microsoft Entra ID tenant is made of, and where its two services are. */

export interface EntraSettings {
  /** Name of the OpenID provider that it belongs to; `_` for the default. */
  readonly provider: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly endpoints: EntraEndpoints;
}

/** Origins, without a slash at the end. */
export interface EntraEndpoints {
  readonly loginUrl: string;
  readonly graphUrl: string;
}

/** The clouds of Microsoft: sign-in service, Graph, the older issuer of access tokens. */
const clouds: readonly EntraEndpoints[] = [
  { loginUrl: 'https://login.microsoftonline.com', graphUrl: 'https://graph.microsoft.com' },
  { loginUrl: 'https://login.microsoftonline.us', graphUrl: 'https://graph.microsoft.us' },
  { loginUrl: 'https://login.partner.microsoftonline.cn', graphUrl: 'https://microsoftgraph.chinacloudapi.cn' },
];

const publicCloud = { loginUrl: 'https://login.microsoftonline.com', graphUrl: 'https://graph.microsoft.com' };

/** Graph as the audience of a token: by its id, or by address. The first is Graph, the second its predecessor. */
const graphIds = ['00000003-0000-0000-c000-000000000000', '00000002-0000-0000-c000-000000000000'];
const graphAddresses = [...clouds.map(({ graphUrl }) => graphUrl), 'https://graph.windows.net'];

export function isGraphAudience(audience: string, { graphUrl }: EntraEndpoints): boolean {
  const bare = audience.toLowerCase().replace(/\/$/, '');
  return graphIds.includes(bare) || graphAddresses.includes(bare) || bare === graphUrl.toLowerCase();
}

/** By the discovery document's address; `overrides` for clouds that are not known here, and for tests. */
export function entraEndpoints(configUrl: string, overrides: Partial<EntraEndpoints>): EntraEndpoints {
  const origin = URL.canParse(configUrl) ? new URL(configUrl).origin : '';
  const cloud = clouds.find(({ loginUrl }) => loginUrl === origin) ?? publicCloud;
  return { loginUrl: overrides.loginUrl ?? cloud.loginUrl, graphUrl: overrides.graphUrl ?? cloud.graphUrl };
}

export function discoveryUrl({ loginUrl }: EntraEndpoints, tenantId: string): string {
  return `${loginUrl}/${tenantId}/v2.0/.well-known/openid-configuration`;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** An object id of a directory: of users, groups and tenants. */
export function isObjectId(text: string): boolean {
  return uuidPattern.test(text);
}
