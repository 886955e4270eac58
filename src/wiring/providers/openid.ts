/** OpenID providers from the settings `identity_openid`. */
import {
  azureMigration,
  claimBasedOpenId,
  openIdSetUpName,
  openIdSubsystem,
  type OpenIdTarget,
} from '../../config/index.js';
import {
  isClaimBased,
  KeycloakPurge,
  OpenIdProvider,
  OpenIdProviders,
  type TokenDirectory,
} from '../../identity/index.js';
import type { LoginProvider } from '../../console/index.js';
import { buildEntra, type EntraSetUp } from './entra.js';
import { isPolicyPluginSet } from '../policy-plugin.js';
import { notSetUp, type BuildProvider, type ProviderContext } from './provider-parts.js';

export const buildOpenId: BuildProvider = (context) => {
  const targets = context.settings.targets(openIdSubsystem);
  if (targets.size === 0) return notSetUp;
  const warnings: string[] = [];
  const providers: OpenIdProvider[] = [];
  const purges: KeycloakPurge[] = [];
  const entra = buildEntra(entraSetUps(targets), context);
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
    if (settings.isAzureOutdated) {
      const text = `${openIdSetUpName(settings.name)} is off: azure_use_group_id is set, which there is no more.`;
      warnings.push(`${text} ${azureMigration}`);
      // Also for those who read the log later.
      context.log.warn(`${text} ${azureMigration}`);
      continue;
    }
    const provider = providerOf(context, settings, entra.tenants.get(settings.name) ?? null);
    providers.push(provider);
    if (settings.vendor === 'keycloak') purges.push(purgeOf(context, provider));
  }
  for (const one of [...providers, ...purges]) one.start();
  const byRole = providers.filter(({ settings }) => !isClaimBased(settings));
  return {
    provider: providers.length === 0 ? null : new OpenIdProviders(providers),
    roles: new Map(byRole.map(({ roleArn, settings }) => [roleArn, settings.rolePolicies])),
    inPlaceOfInternal: claimBasedOpenId(targets).map(({ name }) => `${openIdSetUpName(name)} (OpenID by claim)`),
    isInternalKeepable: true,
    directories: entra.directories,
    logins: providers.map(loginOf),
    warnings,
    close: async () => {
      for (const one of [...providers, ...purges]) one.close();
      await entra.close();
    },
  };
};

function entraSetUps(targets: ReadonlyMap<string, OpenIdTarget>): readonly EntraSetUp[] {
  return [...targets.values()]
    .filter(({ azureTenantId, isAzureOutdated }) => azureTenantId !== '' && !isAzureOutdated)
    .map(({ name, azureTenantId, clientId, clientSecret, configUrl }) => {
      return { provider: name, tenantId: azureTenantId, clientId, clientSecret, configUrl };
    });
}

function loginOf(provider: OpenIdProvider): LoginProvider {
  const { settings, roleArn } = provider;
  return {
    name: settings.name,
    displayName: settings.displayName,
    clientId: settings.clientId,
    clientSecret: settings.clientSecret,
    scopes: settings.scopes,
    redirectUri: settings.redirectUri,
    isRedirectDynamic: settings.isRedirectDynamic,
    roleArn,
    sendsAccessToken: settings.usesUserInfo,
    nameClaim: settings.userReadableClaim,
    document: () => provider.discovery(),
  };
}

function providerOf(context: ProviderContext, settings: OpenIdProvider['settings'], directory: TokenDirectory | null) {
  const { region, iam, clock, authorities, log } = context;
  // Who decides elsewhere needs no policies here.
  const areNeeded = !isPolicyPluginSet(context.settings);
  return new OpenIdProvider({
    ...{ settings, region, clock, authorities, directory },
    policyExists: (name) => !areNeeded || iam.policy(name) !== null,
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
