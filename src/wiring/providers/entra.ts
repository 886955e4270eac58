/** Tenants of Microsoft Entra ID behind OpenID providers, and the refresh of what their users may. */
import { setTimeout as wait } from 'node:timers/promises';
import { StartupError } from '../../base/index.js';
import {
  boundedFetch,
  Entra,
  EntraMemberships,
  entraEndpoints,
  EntraTenant,
  membershipPrefix,
  type EntraEndpoints,
  type EntraSettings,
  type GroupDirectory,
  type TokenDirectory,
} from '../../identity/index.js';
import type { ServerOptions } from '../types.js';
import type { ProviderContext } from './provider-parts.js';

/** Of an OpenID provider with `azure_tenant_id`. */
export interface EntraSetUp extends Omit<EntraSettings, 'endpoints'> {
  readonly configUrl: string;
}

export interface EntraParts {
  /** By the name of the provider. */
  readonly tenants: ReadonlyMap<string, TokenDirectory>;
  readonly directories: ReadonlyMap<string, GroupDirectory>;
  close(): Promise<void>;
}

const overrideNames = { loginUrl: 'AZURE_LOGIN_URL', graphUrl: 'AZURE_GRAPH_URL' } as const;
const overridePrefixes = ['_GRANARY_', '_MINIO_'] as const;

/** From the environment alone: where the client secret goes is not a matter of those who may change settings. */
export function entraEndpointsOf({ settings = {} }: Pick<ServerOptions, 'settings'>): Partial<EntraEndpoints> {
  const read = (bare: string): string | null => {
    for (const prefix of overridePrefixes) {
      const value = settings[prefix + bare] ?? '';
      if (value !== '') return originOf(prefix + bare, value);
    }
    return null;
  };
  const [loginUrl, graphUrl] = [read(overrideNames.loginUrl), read(overrideNames.graphUrl)];
  return { ...(loginUrl !== null && { loginUrl }), ...(graphUrl !== null && { graphUrl }) };
}

function originOf(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLoopback = url !== null && /^(127(\.\d{1,3}){3}|localhost|\[::1\])$/.test(url.hostname);
  const isPlain = url?.pathname === '/' && url.search === '' && url.username === '' && url.password === '';
  if (url !== null && isPlain && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback))) {
    return url.origin;
  }
  throw new StartupError(
    `${name} is not the address of a service: the client secret is sent there.`,
    `Write for example ${name}=https://graph.microsoft.us, or leave it out.`,
  );
}

export function buildEntra(setUps: readonly EntraSetUp[], context: ProviderContext): EntraParts {
  const { iam, clock, authorities, log } = context;
  const ending = new AbortController();
  const { signal } = ending;
  const sleep = (ms: number): Promise<void> => wait(ms, undefined, { signal, ref: false }).catch(() => undefined);
  const all = setUps.map(
    ({ configUrl, ...settings }) =>
      new Entra({
        settings: { ...settings, endpoints: entraEndpoints(configUrl, context.entraEndpoints) },
        fetch: (url, request) => boundedFetch(url, { ...request, authorities }),
        ...{ clock, sleep, signal },
        log: (text, fields) => {
          log.warn(text, fields);
        },
      }),
  );
  const directories = new Map(all.map((entra) => [entra.provider, entra]));
  const memberships = new EntraMemberships({
    ...{ iam, directories, clock, log },
    records: context.records(membershipPrefix),
    random: Math.random,
  });
  memberships.open().then(
    () => {
      if (!signal.aborted && directories.size > 0) memberships.start();
    },
    (error: unknown) => {
      log.error('memberships of Entra ID cannot be read: they are not refreshed', { err: error });
    },
  );
  return {
    tenants: new Map(all.map((entra) => [entra.provider, new EntraTenant({ entra, memberships, iam })])),
    directories,
    close: () => {
      ending.abort();
      return memberships.close();
    },
  };
}
