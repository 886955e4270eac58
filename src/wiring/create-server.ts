/**
 * Builds a server from its parts, in the order in which they need each other, and takes it down in the
 * reverse order. The one place where rooms meet.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { MiB, Refusal, StartupError, invariant, limits, systemClock } from '../base/index.js';
import { IndexDamaged } from '../catalog/index.js';
import { apiSubsystem, siteSubsystem } from '../config/index.js';
import {
  authenticate,
  authenticateForm,
  createDispatcher,
  type AuthenticateOptions,
  type IsAllowed,
} from '../dispatch/index.js';
import { ReadCache, writeQuorum } from '../erasure/index.js';
import type { ExchangeHandler } from '../exchange/index.js';
import { createHttpFront, createNodeHttpFront, type HttpFront } from '../http/index.js';
import { createIam, createRootCredentials, type ExternalRules, type OpenedIam } from '../identity/index.js';
import { Digest, kernels } from '../native/index.js';
import { Engine } from '../object/index.js';
import { ComputePool, GrowingMemory, SlabArena } from '../pool/index.js';
import { createS3Service, errorResponse } from '../s3/index.js';
import { createFormVerifier, createSignatureVerifier } from '../signature/index.js';
import { healthAnswer, healthPrefix, type HealthState, type Logger } from '../telemetry/index.js';
import { HealSequences, Watchers } from '../admin/index.js';
import { createAdminHandler, isAdminPath } from './admin-handler.js';
import { Admission } from './admission.js';
import { bucketPolicies } from './bucket-policies.js';
import { createConsoleHandler } from './console-handler.js';
import { withCors } from './cors.js';
import { openDeployment, type Deployment } from './deployment.js';
import { descriptorShares, type DescriptorShares } from './descriptor-shares.js';
import { checkDirectory } from './providers/ldap.js';
import { DriveKeeper } from './drive-keeper.js';
import { ExternalIdentitySetUp } from './external-identity.js';
import { iamStoreOn } from './iam-store.js';
import { IndexDamage } from './index-damage.js';
import {
  admitSets,
  applyRequestLimits,
  applyStorageClasses,
  applyUpkeep,
  namedRegionOf,
  openSettings,
  regionOf,
  startStaleUploads,
} from './live-settings.js';
import { memorySizes } from './memory-sizes.js';
import { createMetricsHandler, isMetricsPath } from './metrics-handler.js';
import { Observation } from './observation.js';
import { restoredWarnings, startReport } from './report.js';
import { entraEndpointsOf } from './providers/entra.js';
import { openAuthorization } from './policy-plugin.js';
import { withRootAccess } from './root-access.js';
import { sealedRecordsOn } from './sealed-records.js';
import { closeCatalog, openCatalog } from './server-catalog.js';
import { serverState } from './server-state.js';
import { SetWeights, engineSets, isWholeHistory, liveSets, openSetJournals } from './sets.js';
import { createStsHandler } from './sts-handler.js';
import type { CreateServer, ProcessEnd, RunningServer, ServerOptions } from './types.js';

const defaultGraceMs = 10_000;
const driveGraceMs = 2_000;
/** For a disk that does not answer, at the start. Those that sleep wake up in about this time. */
const patienceMs = 8_000;
/** Leftover files cost space only: the first minute after a start belongs to the clients. */
const sweepAfterMs = 60_000;
/** An answer must reach whoever asked for the end before it comes. */
const processEndAfterMs = 250;

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** What has to be undone, newest first; each step runs whatever the others do. */
class Teardown {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  async run(log: Logger): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        log.error('a part of the server did not stop as it should', { err: error });
      }
    }
  }
}

export const createServer: CreateServer = async (options) => {
  try {
    return await start(options, patienceMs);
  } catch (error) {
    if (error instanceof TooFewWithoutLate) return await start(options, null);
    if (!(error instanceof IndexDamaged)) throw error;
  }
  // Damage within the index shows when it is read. By now it is marked, and built anew from the logs.
  return await start(options, patienceMs);
};

/** The drives that answered have not got everything; those that were not waited for may have it. */
class TooFewWithoutLate extends Error {
  override readonly name = 'TooFewWithoutLate';
}

/** `patience` null: every disk is waited for as long as its calls may take. */
async function start(options: ServerOptions, patience: number | null): Promise<RunningServer> {
  const observation = new Observation(options);
  const { log } = observation;
  const teardown = new Teardown();
  try {
    return await build(options, observation, teardown, patience);
  } catch (error) {
    await teardown.run(log);
    throw isNoThread(error) ? noThread(error) : error;
  }
}

/** Address space, at first: it may be bounded as well. */
function memoryFor<T>(what: string, bytes: number, flag: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new StartupError(
      `there is no address space for ${Math.round(bytes / MiB)} MiB of memory for ${what}`,
      `give less with ${flag}, or raise the limit on it (ulimit -v)`,
      error,
    );
  }
}

/** Of the addon, or of a worker. */
function isNoThread(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['EAGAIN', 'ERR_WORKER_INIT_FAILED'].includes(String(error.code));
}

function noThread(cause: unknown): StartupError {
  return new StartupError(
    'the system gives this process too few threads',
    'raise the limit on them (ulimit -u of the user, TasksMax of systemd, --pids-limit of containers)',
    cause,
  );
}

async function build(
  options: ServerOptions,
  observation: Observation,
  teardown: Teardown,
  patience: number | null,
): Promise<RunningServer> {
  const { log, names } = observation;
  const credentials = options.credentials ?? {
    accessKey: `root-${randomBytes(6).toString('hex')}`,
    secretKey: randomBytes(24).toString('base64url'),
  };
  // Before anything is opened: they may be refused.
  createRootCredentials(credentials);
  const fixedSeconds = sessionSecondsOf(options);
  const { arenaBytes, readCacheBytes } = memorySizes(options);
  const threads = options.threads ?? Math.max(2, availableParallelism());
  const driveCount = options.drives.length + (options.expansions ?? []).flat().length;
  const descriptors = descriptorShares(options.openFilesMax ?? null, Math.max(driveCount, 1), threads);
  const arena = memoryFor('bodies under way', arenaBytes, '--memory', () => new SlabArena(arenaBytes));
  const deployment = await openDeployment({
    groups: [options.drives, ...(options.expansions ?? [])],
    parity: options.parity ?? null,
    setDriveCount: options.setDriveCount ?? null,
    admit: (sets) => {
      admitSets(options, sets);
    },
    arena: arena.arena,
    descriptors,
    isSynced: options.durability !== 'relaxed',
    patienceMs: patience,
    traces: observation.traces,
  });
  names.deploymentId = deployment.deploymentId;
  const sets = liveSets(deployment, log);
  for (const set of sets) teardown.add(() => set.closeDrives(driveGraceMs));

  const compute = new ComputePool({
    arena: arena.arena,
    hashKey: deployment.hashKey,
    threads,
  });
  teardown.add(() => compute.close());

  const damage = new IndexDamage(log, systemClock);
  const index = await openCatalog(options, deployment, log, { sets, damage });
  const { catalog } = index;
  teardown.add(() => closeCatalog(catalog, log));
  const growing = (): GrowingMemory => new GrowingMemory(readCacheBytes);
  const kept = readCacheBytes === 0 ? null : memoryFor('what is read again', readCacheBytes, '--read-cache', growing);
  const readCache = kept === null ? null : new ReadCache(kept, readCacheBytes);
  const engine = new Engine({
    ...engineSets(deployment, sets),
    catalog,
    compute,
    slabs: arena,
    readCache,
    log: (text) => log.warn(text),
    reclaimDelayMs: options.reclaimDelayMs ?? 0,
  });
  teardown.add(() => engine.close());

  const opened = await openSetJournals(deployment, sets, arena, engine, log).catch((error: unknown) => {
    if (!(error instanceof StartupError) || !deployment.hasLate) throw error;
    log.warn('a disk that does not answer is waited for: the other drives are not enough', { cause: error.message });
    throw new TooFewWithoutLate(error.message, { cause: error });
  });
  const journals = opened.map(({ journal }) => journal);
  teardown.add(async () => {
    await Promise.all(journals.map((journal) => journal.close()));
  });
  const keptSets = opened.map(({ journal }, setIndex) => {
    const set = sets[setIndex];
    invariant(set !== undefined, 'every set has its journal');
    set.start(journal);
    teardown.add(() => {
      set.close();
    });
    return { set, journal };
  });
  const isSynced = options.durability !== 'relaxed';
  const driveOptions = { arena: arena.arena, descriptors, isSynced, traces: observation.traces };
  const keeper = new DriveKeeper({ deployment, sets: keptSets, driveOptions, log });
  keeper.start();
  teardown.add(() => keeper.close());
  engine.start(journals, isWholeHistory(opened) ? sweepAfterMs : null);
  for (const [setIndex, { report }] of opened.entries()) engine.repairLogFiles(setIndex, report.hollowFiles);
  const restored = await engine.restoreBuckets();
  const weights = new SetWeights(deployment, sets, journals, engine, log);
  await weights.start();
  teardown.add(() => weights.close());

  const external = new ExternalIdentitySetUp();
  const accounts = await openAccounts(options, credentials, engine, external.rules, log);
  teardown.add(() => {
    accounts.close();
  });

  const settings = await openSettings(options, engine, accounts.seal, deployment, log);
  observation.names.siteName = settings.read(siteSubsystem).name;
  observation.webhooks.follow(settings);
  teardown.add(() => observation.webhooks.close());
  applyStorageClasses(settings, engine, deployment);
  applyUpkeep(settings, engine);
  const region = regionOf(options, settings);
  external.open({
    ...{ settings, iam: accounts.iam, region: namedRegionOf(options, settings), clock: systemClock, log },
    authorities: options.authorities ?? [],
    entraEndpoints: entraEndpointsOf(options),
    records: (prefix) => sealedRecordsOn(engine, accounts.seal, prefix),
    isTls: (options.tls ?? null) !== null,
  });
  teardown.add(() => external.close());
  const staleUploads = startStaleUploads(settings, engine, log);
  teardown.add(() => staleUploads.close());

  const health = (phase: HealthState['phase']): HealthState => ({
    phase,
    ...engine.health(),
    // As in MinIO, of the set that needs the most.
    readQuorum: Math.max(...deployment.sets.map((set) => set.dataShards)),
    writeQuorum: Math.max(...deployment.sets.map((set) => writeQuorum(set.dataShards, set.parityShards))),
  });
  let phase: HealthState['phase'] = 'running';
  const endProcess = processEnd(options, () => {
    // Clients wait for the new process by its health, and must not find the old one in it.
    phase = 'stopping';
  });
  const authorization = openAuthorization({
    ...{ iam: accounts.iam, settings, authorities: options.authorities ?? [], log, clock: systemClock },
    bucketPolicy: bucketPolicies(engine, log),
  });
  teardown.add(() => {
    authorization.close();
  });
  const { isAllowed } = authorization;
  observation.isBucket = (name) => engine.index.buckets.has(name);
  const isRootAllowed = () => settings.read(apiSubsystem).isRootAllowed;
  const usable = withRootAccess(accounts.iam.credentials, credentials.accessKey, isRootAllowed);
  const hostId = hostIdOf(deployment);
  const admission = new Admission({
    handler: s3Handler(options, region, usable, engine, deployment, observation, isAllowed),
    refuse: (request) => errorResponse(new Refusal('ServerBusy'), { request, bucket: '', key: '', region, hostId }),
    clock: systemClock,
  });
  teardown.add(() => {
    admission.close();
  });
  applyRequestLimits(settings, admission);
  const origins = () => settings.read(apiSubsystem).corsOrigins;
  const s3 = withCors(admission.handle, origins);
  const state = serverState({
    clock: systemClock,
    deployment,
    sets: keptSets,
    readCache,
    engine,
    index: index.whereabouts,
  });
  const healings = new HealSequences(
    { bucketNames: () => state.bucketNames(), objects: (of) => engine.healObjects(of) },
    systemClock,
  );
  const watchers = new Watchers();
  const metrics = createMetricsHandler({
    state,
    identityPlugin: () => external.pluginStatistics(),
    requests: observation.requests,
    credentials: usable,
    isPublic: options.metricsAuth === 'public',
    version,
    endpoint: () => names.endpoint,
    region,
    hostId,
    isAllowed,
    observer: observation.observer('metrics'),
    log,
  });
  const admin = createAdminHandler({
    iam: accounts.iam,
    directories: external.directories,
    namedRegion: namedRegionOf(options, settings),
    ldap: external.ldap,
    checkLdap: (words) => checkDirectory(words, options.authorities ?? []),
    objects: engine,
    documents: engine,
    state,
    logs: observation.logs,
    traces: observation.traces,
    healings,
    watchers,
    settings,
    service: {
      endProcess,
      freeze: () => {
        admission.freeze();
      },
      unfreeze: () => {
        admission.unfreeze();
      },
    },
    credentials: usable,
    region,
    hostId,
    deploymentId: deployment.deploymentId,
    rootAccessKey: credentials.accessKey,
    version,
    endpoint: () => names.endpoint,
    scheme: (options.tls ?? null) === null ? 'http' : 'https',
    isAllowed,
    observer: observation.observer('admin'),
    log,
  });
  const sts = createStsHandler({
    iam: accounts.iam,
    providers: external.providers,
    credentials: usable,
    fixedSeconds,
    domains: options.domains ?? [],
    hostId,
    isAllowed,
    observer: observation.observer('sts'),
    log,
  });
  const { pages = {} } = options;
  const login = createConsoleHandler({
    providers: pages.areOn === false ? [] : external.logins,
    pagesUrl: pages.url ?? '',
    sessionSeconds: fixedSeconds ?? pages.loginSeconds ?? null,
    seal: accounts.seal,
    credentials: usable,
    iam: accounts.iam,
    sts: sts.handle,
    domains: options.domains ?? [],
    authorities: options.authorities ?? [],
    log,
    observer: observation.observer('console'),
  });
  const stsFromPages = withCors(sts.handle, origins);
  const clientAuthorities = external.providers.certificate === null ? null : (options.authorities ?? []);
  const front = await openFront(options, clientAuthorities, descriptors, log, (request) => {
    const answer = request.rawPath.startsWith(healthPrefix) ? healthAnswer(request, health(phase)) : null;
    if (answer === null) {
      if (isAdminPath(request.rawPath)) return admin(request);
      if (isMetricsPath(request.rawPath)) return metrics(request);
      if (login.isFor(request)) return login.handle(request);
      return sts.isFor(request) ? stsFromPages(request) : s3(request);
    }
    return { status: answer.status, headers: answer.headers, body: { kind: 'empty', length: 0 } };
  });
  teardown.add(() => front.close(0));
  const url = urlOf(options, front.port);
  names.endpoint = new URL(url).host;
  damage.start(
    endProcess &&
      (() => {
        endProcess('restart');
      }),
  );
  teardown.add(() => {
    damage.close();
  });

  let closing: Promise<void> | null = null;
  return {
    url,
    port: front.port,
    credentials: { accessKey: credentials.accessKey, secretKey: credentials.secretKey },
    region,
    siteName: settings.read(siteSubsystem).name,
    roleArns: [...external.roles.keys()],
    report: startReport(version, deployment, opened, engine, options.durability === 'relaxed', [
      ...(descriptors.warning === null ? [] : [descriptors.warning]),
      ...restoredWarnings(restored),
      ...index.warnings,
      ...external.warnings,
      ...authorization.warnings,
    ]),
    close: (graceMs = defaultGraceMs) => {
      if (closing !== null) {
        void front.close(0);
        return closing;
      }
      phase = 'stopping';
      observation.close();
      healings.close();
      watchers.close();
      admission.close();
      closing = front.close(graceMs).then(() => teardown.run(log));
      return closing;
    },
  };
}

function sessionSecondsOf({ sessionSeconds = null }: ServerOptions): number | null {
  const { min, max } = limits.sessionSeconds;
  if (sessionSeconds !== null && !(sessionSeconds >= min && sessionSeconds <= max)) {
    throw new StartupError(
      `temporary credentials of ${sessionSeconds} seconds are out of range`,
      `give between ${min} and ${max}, or leave it out`,
    );
  }
  return sessionSeconds;
}

function openAccounts(
  options: ServerOptions,
  rootCredentials: { readonly accessKey: string; readonly secretKey: string },
  engine: Engine,
  rules: ExternalRules,
  log: Logger,
): Promise<OpenedIam> {
  return createIam({
    store: iamStoreOn(engine),
    rootCredentials,
    oldRootCredentials: options.oldCredentials ?? null,
    mac: (key, message) => kernels.hmacSha256(key, message),
    clock: systemClock,
    rules,
    log: (text, fields) => {
      log.warn(text, { ...fields });
    },
  });
}

/** Null: whoever embeds the server has not said how. */
function processEnd({ onProcessEnd }: ServerOptions, onAsked: () => void): ((how: ProcessEnd) => void) | null {
  if (onProcessEnd === undefined) return null;
  return (how) => {
    onAsked();
    setTimeout(() => {
      onProcessEnd(how);
    }, processEndAfterMs);
  };
}

function s3Handler(
  options: ServerOptions,
  region: string,
  credentials: AuthenticateOptions['credentials'],
  engine: Engine,
  deployment: Deployment,
  observation: Observation,
  isAllowed: IsAllowed,
): ExchangeHandler {
  const ownerId = hostIdOf(deployment);
  const hostId = ownerId;
  const service = createS3Service({
    objects: engine,
    documents: engine,
    region,
    clock: systemClock,
    ownerId,
    ownerDisplayName: 'granary',
    hostId,
    digest: (algorithm, bytes) => kernels.digest(Digest[algorithm], bytes),
  });
  const authenticateOptions: AuthenticateOptions = {
    verify: createSignatureVerifier(kernels),
    credentials,
    clock: systemClock,
    region,
    service: 's3',
  };
  const verifyForm = createFormVerifier(kernels);
  return createDispatcher({
    service,
    authenticate: (request, hints) => authenticate(request, authenticateOptions, hints),
    authenticateForm: (field) => authenticateForm(field, { ...authenticateOptions, verifyForm }),
    isAllowed,
    observer: observation.observer('s3'),
    log: observation.log,
    clock: systemClock,
    region,
    hostId,
    domains: options.domains ?? [],
  });
}

/** Of the deployment: also the owner of its buckets, to clients. */
function hostIdOf({ deploymentId }: Deployment): string {
  return createHash('sha256').update(deploymentId).digest('hex');
}

/** `clientAuthorities`: null, unless clients are asked for certificates. */
function openFront(
  options: ServerOptions,
  clientAuthorities: readonly string[] | null,
  { connectionsMax }: DescriptorShares,
  log: Logger,
  handler: ExchangeHandler,
): Promise<HttpFront> {
  const tls = options.tls ?? null;
  const create = options.httpLibrary === 'node' ? createNodeHttpFront : createHttpFront;
  return create({
    host: options.host ?? '',
    port: options.port ?? 0,
    tls:
      tls === null
        ? null
        : {
            ...{ certFile: tls.certificateFile, keyFile: tls.keyFile },
            ...(clientAuthorities !== null && { clientAuthorities }),
          },
    handler,
    serverName: 'Granary',
    bounds: { connectionsMax },
    log: {
      warn: (fields, text) => {
        log.warn(text, { ...fields });
      },
    },
  });
}

function urlOf(options: ServerOptions, port: number): string {
  const host = options.host ?? '';
  const isAny = host === '' || host === '0.0.0.0' || host === '::' || host === '[::]';
  const name = isAny ? '127.0.0.1' : host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  invariant(port > 0, 'a listening server has a port');
  return `${(options.tls ?? null) === null ? 'http' : 'https'}://${name}:${port}`;
}
