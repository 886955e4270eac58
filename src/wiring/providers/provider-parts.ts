/** What the set-up of one kind of external identity is made from, and what it comes to. */
import type { Clock } from '../../base/index.js';
import type { ServerSettings } from '../../config/index.js';
import type { LoginProvider } from '../../console/index.js';
import type {
  AccountDirectory,
  CallStatistics,
  EntraEndpoints,
  GroupDirectory,
  Iam,
  IdentityProvider,
} from '../../identity/index.js';
import type { SealedRecords } from '../sealed-records.js';
import type { Logger } from '../../telemetry/index.js';

export interface ProviderContext {
  readonly settings: ServerSettings;
  readonly iam: Iam;
  /** Part of role ARNs; empty: none is set. */
  readonly region: string;
  readonly clock: Clock;
  /** PEM certificates that are trusted beside those of the system. */
  readonly authorities: readonly string[];
  /** Of Entra ID, where they are not those of its public clouds. */
  readonly entraEndpoints: Partial<EntraEndpoints>;
  /** Records of this server's own whose names begin so. */
  readonly records: (prefix: string) => SealedRecords;
  /** Clients of this server come over TLS. */
  readonly isTls: boolean;
  readonly log: Logger;
}

export interface ProviderParts {
  /** Null: not set up, or off. */
  readonly provider: IdentityProvider | null;
  /** What the administration asks about accounts that have names of their own. */
  readonly accounts?: AccountDirectory;
  /** Names of policies by role ARN. */
  readonly roles: ReadonlyMap<string, readonly string[]>;
  /**
   * What takes the place of the accounts of this server, as operators name it, such as `LDAP`; empty: nothing does.
   * Two that do exclude each other.
   */
  readonly inPlaceOfInternal: readonly string[];
  /** Those accounts stay beside it when the setting `identity internal` says so. */
  readonly isInternalKeepable: boolean;
  /** With which people can sign in with a browser. */
  readonly logins?: readonly LoginProvider[];
  /** Whose groups can be named, by the target of its settings. */
  readonly directories?: ReadonlyMap<string, GroupDirectory>;
  /** One line each, for the start. */
  readonly warnings: readonly string[];
  /** How calls to it went, where they are counted. */
  readonly statistics?: () => CallStatistics;
  close(): Promise<void> | void;
}

export const notSetUp: ProviderParts = {
  provider: null,
  roles: new Map(),
  inPlaceOfInternal: [],
  isInternalKeepable: false,
  warnings: [],
  close: () => undefined,
};

/** Builds at once and talks to nobody: a provider that is down must not keep the server from starting. */
export type BuildProvider = (context: ProviderContext) => ProviderParts;
