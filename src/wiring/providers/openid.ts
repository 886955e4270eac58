/** OpenID providers from the settings `identity_openid`. */
import { claimBasedOpenId, openIdSetUpName, openIdSubsystem } from '../../config/index.js';
import { isClaimBased, KeycloakPurge, OpenIdProvider, OpenIdProviders } from '../../identity/index.js';
import { notSetUp, type BuildProvider, type ProviderContext } from './provider-parts.js';

export const buildOpenId: BuildProvider = (context) => {
  const targets = context.settings.targets(openIdSubsystem);
  if (targets.size === 0) return notSetUp;
  const warnings: string[] = [];
  const providers: OpenIdProvider[] = [];
  const purges: KeycloakPurge[] = [];
  for (const settings of targets.values()) {
    const other = providers.find((one) => one.settings.clientId === settings.clientId);
    if (other !== undefined) {
      const names = [openIdSetUpName(settings.name), openIdSetUpName(other.settings.name)];
      warnings.push(`${names.join(' has the client_id of ')} and is left out: each needs its own.`);
      continue;
    }
    if (settings.configUrl.startsWith('http:')) {
      warnings.push(
        `${openIdSetUpName(settings.name)} is asked without TLS: whoever is on the way can sign in as anybody.`,
      );
    }
    const provider = providerOf(context, settings);
    providers.push(provider);
    if (settings.vendor === 'keycloak') purges.push(purgeOf(context, provider));
  }
  for (const one of [...providers, ...purges]) one.start();
  const byRole = providers.filter(({ settings }) => !isClaimBased(settings));
  return {
    provider: new OpenIdProviders(providers),
    roles: new Map(byRole.map(({ roleArn, settings }) => [roleArn, settings.rolePolicies])),
    inPlaceOfInternal: claimBasedOpenId(targets).map(({ name }) => `${openIdSetUpName(name)} (OpenID by claim)`),
    isInternalKeepable: true,
    warnings,
    close: () => {
      for (const one of [...providers, ...purges]) one.close();
    },
  };
};

function providerOf({ region, iam, clock, authorities, log }: ProviderContext, settings: OpenIdProvider['settings']) {
  return new OpenIdProvider({
    ...{ settings, region, clock, authorities },
    policyExists: (name) => iam.policy(name) !== null,
    log: (text, fields) => {
      log.warn(text, fields);
    },
  });
}

function purgeOf({ iam, authorities, log }: ProviderContext, provider: OpenIdProvider): KeycloakPurge {
  return new KeycloakPurge({
    ...{ settings: provider.settings, iam, authorities },
    discovery: () => provider.discovery(),
    log: (text, fields) => {
      log.warn(text, fields);
    },
  });
}
