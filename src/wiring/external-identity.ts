/**
 * Everything that vouches for accounts of elsewhere, built from the settings at the start, and what that means
 * for the accounts of this server.
 */
import { identitySubsystem } from '../config/index.js';
import type { LoginProvider } from '../console/index.js';
import {
  roleIdOf,
  type AccountDirectory,
  type CallStatistics,
  type ExternalRules,
  type GroupDirectory,
  type Iam,
  type IdentityProviders,
} from '../identity/index.js';
import { buildCertificate } from './providers/certificate.js';
import { buildLdap } from './providers/ldap.js';
import { buildOpenId } from './providers/openid.js';
import { buildPlugin } from './providers/plugin.js';
import { notSetUp, type ProviderContext, type ProviderParts } from './providers/provider-parts.js';

type Parts = Readonly<Record<keyof IdentityProviders, ProviderParts>>;

export class ExternalIdentitySetUp {
  #parts: Parts = { openid: notSetUp, ldap: notSetUp, plugin: notSetUp, certificate: notSetUp };
  #policiesOfRole: ReadonlyMap<string, readonly string[]> = new Map();
  #whyOff = '';
  #isRootOnly = false;
  #warnings: readonly string[] = [];

  /** Of nothing external until `open`: the accounts are read before the settings are. */
  readonly rules: ExternalRules;

  constructor() {
    const areInternalAccountsOn = (): boolean => this.#whyOff === '';
    const whyOff = (): string => this.#whyOff;
    const isRootOnly = (): boolean => this.#isRootOnly;
    this.rules = {
      get areInternalAccountsOn() {
        return areInternalAccountsOn();
      },
      get isRootOnly() {
        return isRootOnly();
      },
      get whyOff() {
        return whyOff();
      },
      rolePolicies: (roleArn) => this.#policiesOfRole.get(roleIdOf(roleArn) ?? '') ?? null,
      tenantOf: (provider) => this.#parts.openid.directories?.get(provider)?.tenantId ?? '',
    };
  }

  get providers(): IdentityProviders {
    const { openid, ldap, plugin, certificate } = this.#parts;
    return {
      openid: openid.provider,
      ldap: ldap.provider,
      plugin: plugin.provider,
      certificate: certificate.provider,
    };
  }

  /** Null: no identity plugin is set up. */
  pluginStatistics(): CallStatistics | null {
    return this.#parts.plugin.statistics?.() ?? null;
  }

  /** Whose names are those of accounts; null: nobody's but this server's. */
  get ldap(): AccountDirectory | null {
    return this.#parts.ldap.accounts ?? null;
  }

  /** Names of policies by role ARN. */
  get roles(): ReadonlyMap<string, readonly string[]> {
    return new Map(Object.values(this.#parts).flatMap(({ roles }) => [...roles]));
  }

  /** For browsers. */
  get logins(): readonly LoginProvider[] {
    return Object.values(this.#parts).flatMap(({ logins = [] }) => logins);
  }

  /** Whose groups can be named, by OpenID provider. */
  get directories(): ReadonlyMap<string, GroupDirectory> {
    return this.#parts.openid.directories ?? new Map();
  }

  /** One line each, for the start. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  open(context: ProviderContext): void {
    this.#parts = {
      openid: buildOpenId(context),
      ldap: buildLdap(context),
      plugin: buildPlugin(context),
      certificate: buildCertificate(context),
    };
    const all = Object.values(this.#parts);
    const taking = all.filter(({ inPlaceOfInternal }) => inPlaceOfInternal.length > 0);
    const names = taking.flatMap(({ inPlaceOfInternal }) => inPlaceOfInternal);
    const warnings = all.flatMap((parts) => parts.warnings);
    if (names.length > 1) {
      void this.close();
      this.#parts = { openid: notSetUp, ldap: notSetUp, plugin: notSetUp, certificate: notSetUp };
      this.#isRootOnly = true;
      this.#whyOff = `${names.join(' and ')} exclude each other: remove the settings of one of them and start again.`;
      warnings.push(`${this.#whyOff} Until then only the root account is served.`);
    } else if (names.length === 1) {
      const isKept = taking[0]?.isInternalKeepable === true && context.settings.read(identitySubsystem).isInternalKept;
      if (!isKept) this.#turnInternalOff(names[0] ?? '', taking[0]?.isInternalKeepable === true, context.iam, warnings);
    }
    this.#policiesOfRole = new Map([...this.roles].map(([arn, policies]) => [roleIdOf(arn) ?? '', policies]));
    this.#warnings = warnings;
  }

  #turnInternalOff(name: string, isKeepable: boolean, iam: Iam, warnings: string[]): void {
    const remedy = isKeepable ? ' MINIO_IDENTITY_INTERNAL=on keeps them beside it.' : '';
    this.#whyOff = `Accounts come from ${name}: the users of this server are off.${remedy}`;
    const users = iam.users();
    if (users.length === 0) return;
    const keys = users.flatMap((user) => iam.accessKeysOf(user.name)).length;
    warnings.push(
      `Accounts come from ${name}: ${count(users.length, 'user')} of this server and ${count(keys, 'credential')} of theirs are off.${remedy}`,
    );
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#parts).map(async (parts) => parts.close()));
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
