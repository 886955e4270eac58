/** Claims that a provider keeps out of its tokens: its userinfo endpoint, asked with the access token of the login. */
import { boundedFetch, ProviderFault, type BoundedResponse } from './bounded-fetch.js';
import type { JsonObject } from './openid-claims.js';
import { parseJson } from './openid-source.js';
import { invalid } from './openid-token.js';

export interface UserInfoQuestion {
  readonly endpoint: string;
  readonly accessToken: string;
  /** Of the token that it completes: another's claims must not come into it. */
  readonly subject: string;
  readonly authorities: readonly string[];
}

/** Rejects with ProviderFault, or with a refusal when the provider does not take the access token. */
export async function userInfo(question: UserInfoQuestion): Promise<JsonObject> {
  const { endpoint, accessToken, subject, authorities } = question;
  if (!/^[\x21-\x7e]{1,16384}$/.test(accessToken)) throw invalid('WebIdentityAccessToken is not an access token.');
  const headers = { authorization: `Bearer ${accessToken}` };
  const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
  const ask = (method: 'GET' | 'POST'): Promise<BoundedResponse> =>
    boundedFetch(endpoint, { method, authorities, headers: method === 'POST' ? form : headers });
  let answer = await ask('POST');
  // Both are in the standard; not every provider has both.
  if (answer.status === 404 || answer.status === 405 || answer.status === 415) answer = await ask('GET');
  const { host } = new URL(endpoint);
  if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
    throw invalid('The provider does not take WebIdentityAccessToken for its userinfo endpoint.');
  }
  if (answer.status !== 200) throw new ProviderFault(host, `answered ${answer.status} in place of claims of the user`);
  const claims = parseJson(answer.body);
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw new ProviderFault(host, 'answered something that is not claims of the user');
  }
  if ((claims as JsonObject).sub !== subject) {
    throw invalid('WebIdentityAccessToken belongs to another user than the token.');
  }
  return claims as JsonObject;
}
