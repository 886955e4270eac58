/** The plugin that decides in place of the policies, when one is set up. */
import { systemClock } from '../base/index.js';
import {
  policyOpaSubsystem,
  policyPluginSubsystem,
  type PolicyPluginSettings,
  type ServerSettings,
} from '../config/index.js';
import { createAuthorizer, createPluginAuthorizer, type AuthorizerOptions, type IsAllowed } from '../dispatch/index.js';
import { PolicyPlugin, type Iam } from '../identity/index.js';
import type { Logger } from '../telemetry/index.js';

interface Options extends AuthorizerOptions {
  readonly iam: Iam;
  readonly settings: ServerSettings;
  readonly authorities: readonly string[];
  readonly log: Logger;
}

export interface Authorization {
  readonly isAllowed: IsAllowed;
  /** One line each, for the start. */
  readonly warnings: readonly string[];
  close(): void;
}

function settingsOf(settings: ServerSettings): PolicyPluginSettings {
  const own = settings.read(policyPluginSubsystem);
  return own.url === '' ? settings.read(policyOpaSubsystem) : own;
}

export function isPolicyPluginSet(settings: ServerSettings): boolean {
  return settingsOf(settings).url !== '';
}

export function openAuthorization({ settings, authorities, log, ...options }: Options): Authorization {
  const { url, authToken } = settingsOf(settings);
  if (url === '') return { isAllowed: createAuthorizer(options), warnings: [], close: () => undefined };
  const plugin = new PolicyPlugin({
    ...{ url, authToken, authorities, clock: systemClock },
    log: (text, fields) => {
      log.warn(text, fields);
    },
  });
  return {
    isAllowed: createPluginAuthorizer({ ...options, plugin }),
    warnings: [
      `A policy plugin at ${new URL(url).host} decides in place of the policies, for the root account too; without its answer everything is denied.`,
    ],
    close: () => {
      plugin.close();
    },
  };
}
