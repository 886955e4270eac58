/** `identity_plugin`: a web service that vouches for the holders of tokens of its own. */
import { parsedKey, switchKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';
import { pluginTokenKey, pluginUrlKey } from './plugin-keys.js';

export interface IdentityPluginSettings {
  /** Empty: none is set up. */
  readonly url: string;
  /** Sent as it is in the Authorization header; empty: none. */
  readonly authToken: string;
  readonly rolePolicies: readonly string[];
  /** Empty: named after the URL. */
  readonly roleId: string;
}

export const identityPluginSubsystem = defineSubsystem({
  name: 'identity_plugin',
  description: 'enable external identity management via plugin',
  takesEffect: 'at the next start',
  keys: {
    enable: switchKey('turn the plugin off without forgetting it', 'on'),
    url: pluginUrlKey('plugin hook endpoint (HTTP(S)) e.g. "http://localhost:8181/path/to/endpoint"'),
    auth_token: pluginTokenKey('authorization token for plugin hook endpoint', false),
    token: pluginTokenKey('another name of auth_token', true),
    role_policy: parsedKey('string', 'policies to apply for plugin authorized users, separated by commas', {
      parse: (text) => (text.length <= 2048 && /^[^\p{Cc}]*$/u.test(text) ? text : undefined),
      expects: 'names of policies, separated by commas',
    }),
    role_id: parsedKey('string', 'unique ID to generate the ARN', {
      parse: (text) => (/^[A-Za-z0-9_-]{0,64}$/.test(text) ? text : undefined),
      expects: 'at most 64 letters, digits, "-" and "_"',
    }),
  },
  check: ({ enable, url, auth_token, token, role_policy }) => {
    if (auth_token !== '' && token !== '' && auth_token !== token) {
      return 'auth_token and token are two names of one setting, and are set to different values';
    }
    if (!enable) return null;
    if (url === '') return role_policy === '' ? null : 'role_policy needs a url beside it';
    return policyNames(role_policy).length === 0 ? 'url needs a role_policy beside it' : null;
  },
  read: ({ enable, url, auth_token, token, role_policy, role_id }): IdentityPluginSettings => ({
    url: enable ? url : '',
    authToken: auth_token === '' ? token : auth_token,
    rolePolicies: policyNames(role_policy),
    roleId: role_id,
  }),
});

function policyNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))];
}
