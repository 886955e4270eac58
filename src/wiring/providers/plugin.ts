import { identityPluginSubsystem } from '../../config/index.js';
import { IdentityPlugin, makeRoleArn, roleIdFrom } from '../../identity/index.js';
import { isPolicyPluginSet } from '../policy-plugin.js';
import { notSetUp, type BuildProvider } from './provider-parts.js';

export const buildPlugin: BuildProvider = ({ settings, iam, region, clock, authorities, log }) => {
  const { url, authToken, rolePolicies, roleId } = settings.read(identityPluginSubsystem);
  if (url === '') return notSetUp;
  const roleArn = makeRoleArn(region, `idmp-${roleId === '' ? roleIdFrom(url) : roleId}`);
  const plugin = new IdentityPlugin({
    ...{ url, authToken, roleArn, rolePolicies, authorities, clock },
    hasPolicy: (name) => iam.policy(name) !== null,
    arePoliciesElsewhere: isPolicyPluginSet(settings),
    log: (text, fields) => {
      log.warn(text, fields);
    },
  });
  plugin.start();
  const missing = rolePolicies.filter((name) => iam.policy(name) === null);
  return {
    ...notSetUp,
    provider: plugin,
    roles: new Map([[roleArn, rolePolicies]]),
    warnings:
      missing.length === 0
        ? []
        : [`identity_plugin role_policy names policies that do not exist: ${missing.join(', ')}.`],
    statistics: () => plugin.statistics(),
    close: () => {
      plugin.close();
    },
  };
};
