/** The administration API as a handler of requests, with the parts that it is made of. */
import { Refusal, systemClock } from '../base/index.js';
import {
  adminPrefixes,
  createAdminService,
  createPayloadCipher,
  requireHeaderSignature,
  type AdminDeps,
} from '../admin/index.js';
import { authenticate, createDispatcher, type AuthenticateOptions, type IsAllowed } from '../dispatch/index.js';
import type { ExchangeHandler } from '../exchange/index.js';
import { keyDerivation, kernels } from '../native/index.js';
import { formatVersioning, parseVersioning } from '../object/index.js';
import { parsePolicy } from '../policy/index.js';
import { createSignatureVerifier } from '../signature/index.js';
import type { Logger, RequestObserver } from '../telemetry/index.js';

export interface AdminHandlerOptions extends Omit<AdminDeps, 'cipher' | 'clock' | 'checkDocument'> {
  /** Who may sign: fewer than there are, while the root account may not. */
  readonly credentials: AuthenticateOptions['credentials'];
  readonly isAllowed: IsAllowed;
  readonly observer: RequestObserver;
  readonly log: Logger;
}

export function isAdminPath(rawPath: string): boolean {
  return adminPrefixes.some((prefix) => rawPath.startsWith(prefix));
}

export function createAdminHandler({
  credentials,
  isAllowed,
  observer,
  log,
  ...parts
}: AdminHandlerOptions): ExchangeHandler {
  const deps: AdminDeps = {
    ...parts,
    clock: systemClock,
    cipher: createPayloadCipher((...argon2) => keyDerivation.argon2id(...argon2), systemClock),
    checkDocument,
  };
  const options: AuthenticateOptions = {
    verify: createSignatureVerifier(kernels),
    credentials,
    clock: systemClock,
    // Administration clients sign for no region.
    region: '',
    service: 's3',
  };
  return createDispatcher({
    service: createAdminService(deps),
    authenticate: (request, hints) => requireHeaderSignature(authenticate(request, options, hints)),
    isAllowed,
    observer,
    log,
    clock: systemClock,
    region: parts.region,
    hostId: parts.hostId,
    domains: [],
  });
}

const checkDocument: AdminDeps['checkDocument'] = (bucket, kind, text) => {
  if (kind === 'policy') return parsePolicy(text, 'bucket', { bucket }).text;
  if (kind === 'versioning') {
    const versioning = parseVersioning(text);
    if (versioning?.status == null) throw new Refusal('InvalidArgument', 'This is not a versioning configuration.');
    return formatVersioning(versioning);
  }
  throw new Refusal('NotImplemented', `Documents of the kind ${kind} cannot be imported.`);
};
