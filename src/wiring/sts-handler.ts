/** The security token service as a handler of requests, on the port of S3. */
import { systemClock } from '../base/index.js';
import { authenticate, bucketOfHost, createDispatcher, hostSuffixes, type IsAllowed } from '../dispatch/index.js';
import type { ExchangeHandler, ExchangeRequest } from '../exchange/index.js';
import type { CredentialStore, Iam, IdentityProviders } from '../identity/index.js';
import { kernels } from '../native/index.js';
import { createSignatureVerifier } from '../signature/index.js';
import { createStsService, isStsRequest } from '../sts/index.js';
import type { Logger, RequestObserver } from '../telemetry/index.js';

export interface StsHandlerOptions {
  readonly iam: Iam;
  readonly providers: IdentityProviders;
  /** Who may sign: fewer than there are, while the root account may not. */
  readonly credentials: CredentialStore;
  readonly fixedSeconds: number | null;
  readonly domains: readonly string[];
  readonly hostId: string;
  readonly isAllowed: IsAllowed;
  readonly observer: RequestObserver;
  readonly log: Logger;
}

export interface StsHandler {
  /** The root of a bucket that the Host header names belongs to S3. */
  isFor(request: ExchangeRequest): boolean;
  readonly handle: ExchangeHandler;
}

export function createStsHandler(options: StsHandlerOptions): StsHandler {
  const { iam, providers, credentials, fixedSeconds, domains, hostId, isAllowed, observer, log } = options;
  const suffixes = hostSuffixes(domains);
  const verify = createSignatureVerifier(kernels);
  return {
    isFor: (request) => isStsRequest(request) && bucketOfHost(request.headers.get('host') ?? '', suffixes) === null,
    handle: createDispatcher({
      service: createStsService({
        iam,
        clock: systemClock,
        fixedSeconds,
        providers,
      }),
      authenticate: (request, hints) =>
        authenticate(request, { verify, credentials, clock: systemClock, region: '', service: 'sts' }, hints),
      isAllowed,
      observer,
      log,
      clock: systemClock,
      region: '',
      hostId,
      domains: [],
    }),
  };
}
