/** `policy_plugin`, and `policy_opa`, its older name: a web service that decides in place of the policies. */
import { parsedKey, switchKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';
import { pluginTokenKey, pluginUrlKey } from './plugin-keys.js';

export interface PolicyPluginSettings {
  /** Empty: none is set up. */
  readonly url: string;
  /** Sent as it is in the Authorization header; empty: none. */
  readonly authToken: string;
}

const common = {
  enable: switchKey('turn the plugin off without forgetting it', 'on'),
  url: pluginUrlKey('plugin hook endpoint (HTTP(S)) e.g. "http://localhost:8181/v1/data/httpapi/authz/allow"'),
  auth_token: pluginTokenKey('authorization header for plugin hook endpoint', false),
};

const read = ({ enable, url, auth_token }: { enable: boolean; url: string; auth_token: string }) => ({
  url: enable ? url : '',
  authToken: auth_token,
});

export const policyPluginSubsystem = defineSubsystem({
  name: 'policy_plugin',
  description: 'enable external policy enforcement via plugin',
  takesEffect: 'at the next start',
  keys: {
    ...common,
    enable_http2: parsedKey('on|off', 'ask over HTTP/2, which this server does not do: off', {
      parse: (text) => (text === 'off' ? false : undefined),
      expects: 'off: plugins are asked over HTTP/1.1',
      initial: 'off',
    }),
  },
  read: (values): PolicyPluginSettings => read(values),
});

export const policyOpaSubsystem = defineSubsystem({
  name: 'policy_opa',
  description: 'the older name of policy_plugin, which wins',
  takesEffect: 'at the next start',
  keys: common,
  read: (values): PolicyPluginSettings => read(values),
});
