/** One directory, from `identity_ldap`: who signs in by it, what the administration asks it, and its sync. */
import { randomBytes } from 'node:crypto';
import { resolveSrv } from 'node:dns/promises';
import { Refusal } from '../../base/index.js';
import {
  defaultTarget,
  identityLdapSubsystem,
  type IdentityLdapSettings,
  type SettingsView,
} from '../../config/index.js';
import {
  DirectoryFault,
  LdapAccounts,
  LdapAttempts,
  LdapDirectory,
  LdapProvider,
  LdapSync,
  readLdapSettings,
  type DirectoryFaultKind,
  type Iam,
  type LdapSettings,
} from '../../identity/index.js';
import { isPolicyPluginSet } from '../policy-plugin.js';
import { notSetUp, type BuildProvider, type ProviderContext, type ProviderParts } from './provider-parts.js';

const name = 'LDAP';

export const buildLdap: BuildProvider = (context) => {
  const words = context.settings.readEnabled(identityLdapSubsystem);
  if (words === null) return notSetUp;
  const read = readLdapSettings(words, context.authorities);
  return read.ok ? build(context, read.settings, words.syncMs) : broken(read.wrong);
};

function build(context: ProviderContext, settings: LdapSettings, intervalMs: number): ProviderParts {
  const { iam, clock, log } = context;
  // Who decides elsewhere needs no policies here.
  const areNeeded = !isPolicyPluginSet(context.settings);
  const directory = openDirectory(settings);
  const warn = (text: string, fields: Readonly<Record<string, unknown>>): void => {
    log.warn(text, fields);
  };
  const provider = new LdapProvider({
    directory,
    attempts: new LdapAttempts({ clock, random: randomBytes }),
    hasPolicy: (userDn, groups) => !areNeeded || hasPolicy(iam, userDn, groups),
    clock,
    log: warn,
  });
  const sync = new LdapSync({ iam, directory, clock, intervalMs, log: warn });
  sync.start();
  // Told to the operator, and that is all: it may be up again with the first who signs in.
  directory.check().catch((error: unknown) => {
    const { kind, message } = error as DirectoryFault;
    warn('the directory cannot be asked yet', { kind, cause: message });
  });
  const isOpen = settings.transport.security === 'none';
  return {
    ...notSetUp,
    provider,
    accounts: new LdapAccounts(directory),
    inPlaceOfInternal: [name],
    warnings: [
      ...(isOpen
        ? ['Passwords go to the directory in plain (identity_ldap server_insecure): use TLS or StartTLS.']
        : []),
      ...(settings.transport.skipVerify
        ? ['The certificate of the directory is not looked at (identity_ldap tls_skip_verify).']
        : []),
    ],
    close: async () => {
      await sync.close();
      directory.close();
    },
  };
}

export function openDirectory(settings: LdapSettings): LdapDirectory {
  return new LdapDirectory(settings, {
    clock: { monotonicMs: () => performance.now() },
    random: Math.random,
    resolveSrv,
  });
}

/** What the settings would be refused for, before they are stored; null: nothing. */
export function checkLdapSettings(next: SettingsView): string | null {
  const words = next(identityLdapSubsystem).get(defaultTarget);
  if (words === undefined) return null;
  const read = readLdapSettings(words, []);
  return read.ok ? null : `identity_ldap: ${read.wrong}`;
}

/** Whether the directory of these settings can be asked; what is wrong, as a sentence. Null: nothing. */
export async function checkDirectory(
  words: IdentityLdapSettings,
  authorities: readonly string[],
): Promise<string | null> {
  const read = readLdapSettings(words, authorities);
  if (!read.ok) return `${read.wrong}.`;
  const directory = openDirectory(read.settings);
  try {
    await directory.check();
    return null;
  } catch (error) {
    if (!(error instanceof DirectoryFault)) throw error;
    return `${titles[error.kind]}: ${error.message}.`;
  } finally {
    directory.close();
  }
}

/** As administrators of MinIO know them. */
const titles: Readonly<Record<DirectoryFaultKind, string>> = {
  unreachable: 'LDAP Server Connection Error',
  protocol: 'LDAP Server Connection Error',
  busy: 'LDAP Server Connection Error',
  'lookup-bind': 'LDAP Lookup Bind Error',
  refused: 'User or Group Search Parameters Misconfigured',
  'too-large': 'User or Group Search Parameters Misconfigured',
};

function hasPolicy(iam: Iam, userDn: string, groups: readonly string[]): boolean {
  if (iam.attachedPolicies({ kind: 'ldap-user', name: userDn }).length > 0) return true;
  return groups.some((group) => iam.attachedPolicies({ kind: 'ldap-group', name: group }).length > 0);
}

/** Of the environment, or stored before a rule was: nobody signs in, and internal accounts do not come back by it. */
function broken(wrong: string): ProviderParts {
  return {
    ...notSetUp,
    provider: {
      identify: () => Promise.reject(new Refusal('STSNotInitialized', 'The settings of LDAP are not valid.')),
    },
    inPlaceOfInternal: [name],
    warnings: [`identity_ldap: ${wrong}. Until that is mended nobody signs in by the directory.`],
  };
}
