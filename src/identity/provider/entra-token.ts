/**
 * What of a token of Entra ID counts here beyond its signature: that it is for this server and of this tenant, and
 * who the user is to the directory. Each refusal says what to ask Entra ID for instead.
 */
import { Refusal } from '../../base/index.js';
import type { IdentityErrorCode } from '../external-identity.js';
import { isGraphAudience, isObjectId, type EntraSettings } from './entra-settings.js';

export type TokenClaims = Readonly<Record<string, unknown>>;

/** The two endpoints that sign tokens of one tenant name themselves differently. */
export function entraIssuers({ tenantId, endpoints }: EntraSettings): readonly string[] {
  return [
    `${endpoints.loginUrl}/${tenantId}/v2.0`,
    `https://sts.windows.net/${tenantId}/`,
    // Of the China cloud.
    `https://sts.chinacloudapi.cn/${tenantId}/`,
  ];
}

/** The client id in tokens of version 2, the address of the app's own API in those of version 1. */
export function entraAudiences({ clientId }: EntraSettings): readonly string[] {
  return [clientId, `api://${clientId}`];
}

/**
 * Before the signature is looked at, with what the token says of itself: one for Graph is signed in a way that only
 * Graph can check, and would fail with a text that helps nobody. Throws Refusal.
 */
export function refuseForeignToken(claims: TokenClaims, settings: EntraSettings): void {
  const audiences = [claims['aud']].flat();
  const { endpoints, clientId } = settings;
  if (!audiences.some((audience) => typeof audience === 'string' && isGraphAudience(audience, endpoints))) return;
  throw invalid(
    'This access token is for Microsoft Graph, which alone can check it. Ask Entra ID for the scopes ' +
      `"openid profile" and send the id_token, or for a scope of the app's own API ("api://${clientId}/NAME", made ` +
      'under "Expose an API") and send that access token.',
  );
}

/** The user's object id in the directory. Requires: the token was verified. Throws Refusal. */
export function objectIdOf(claims: TokenClaims, { tenantId, clientId }: EntraSettings): string {
  const { oid, tid, idtyp } = claims;
  if (tid !== undefined && (typeof tid !== 'string' || tid.toLowerCase() !== tenantId.toLowerCase())) {
    throw invalid('The token is of another Entra ID tenant than azure_tenant_id.');
  }
  if (idtyp === 'app') throw invalid('The token is of an application: Entra ID groups are those of a user.');
  if (typeof oid !== 'string' || !isObjectId(oid)) {
    throw invalid(
      'The token has no claim oid, by which Entra ID knows the user. Ask for the scopes "openid profile", or for a ' +
        `scope of the app's own API ("api://${clientId}/NAME").`,
    );
  }
  return oid.toLowerCase();
}

function invalid(message: string): Refusal<IdentityErrorCode> {
  return new Refusal<IdentityErrorCode>('InvalidParameterValue', message);
}
