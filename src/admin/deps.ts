import type { Clock } from '../base/index.js';
import type { IdentityLdapSettings, ServerSettings } from '../config/index.js';
import type { AccountDirectory, GroupDirectory, Iam } from '../identity/index.js';
import type { BucketDocumentKind, BucketDocuments, ObjectLayer } from '../object/index.js';
import type { LogRing, Traces } from '../telemetry/index.js';
import type { PayloadCipher } from './payload/index.js';
import type { HealSequences } from './heal-sequences.js';
import type { ServerState } from './server-state.js';
import type { Watchers } from './watchers.js';
import type { ServiceControl } from './service-control.js';

/** What the operations are handed. A file of its own, so that operations and the table do not form a circle. */
export interface AdminDeps {
  readonly iam: Iam;
  /** Tenants of Entra ID, by the OpenID provider that they belong to. */
  readonly directories: ReadonlyMap<string, GroupDirectory>;
  /** The directory of LDAP; null while it is not set up. */
  readonly ldap: AccountDirectory | null;
  /** Asks the directory of other settings; what is wrong with it or them, as a sentence. Null: nothing. */
  readonly checkLdap: (settings: IdentityLdapSettings) => Promise<string | null>;
  readonly objects: ObjectLayer;
  readonly documents: BucketDocuments;
  /** The document as it is stored; throws Refusal when it is not one, or of a kind that is not supported. */
  readonly checkDocument: (bucket: string, kind: BucketDocumentKind, text: string) => string;
  readonly state: ServerState;
  readonly logs: Pick<LogRing, 'latest' | 'listen'>;
  readonly traces: Pick<Traces, 'listen'>;
  readonly healings: HealSequences;
  readonly watchers: Watchers;
  readonly settings: ServerSettings;
  readonly service: ServiceControl;
  readonly cipher: PayloadCipher;
  readonly clock: Clock;
  /** Empty: none is set. */
  readonly region: string;
  /** Part of role ARNs; empty: nobody has named one. */
  readonly namedRegion: string;
  readonly hostId: string;
  readonly deploymentId: string;
  /** Of the root account. */
  readonly rootAccessKey: string;
  readonly version: string;
  /** `host:port`, as clients see this server. */
  readonly endpoint: () => string;
  readonly scheme: 'http' | 'https';
}
