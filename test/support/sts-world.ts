/** The security token service and S3 over accounts in memory, with a clock that the test moves. */
import {
  authenticate,
  createAuthorizer,
  createDispatcher,
  type AuthenticateOptions,
} from '../../src/dispatch/index.js';
import type { ExchangeHandler } from '../../src/exchange/index.js';
import type { IdentityProviders } from '../../src/identity/index.js';
import { kernels } from '../../src/native/index.js';
import { createS3Service } from '../../src/s3/index.js';
import { createSignatureVerifier } from '../../src/signature/index.js';
import { createStsService } from '../../src/sts/index.js';
import { createLogger, type RequestRecord } from '../../src/telemetry/index.js';
import { exchange, type RequestShape, type TestResponse } from './exchange.js';
import { memoryDigest } from './memory-digests.js';
import { iamWorld, rootCredentials, type IamWorld } from './memory-iam.js';
import { MemoryObjectLayer } from './memory-object-layer.js';
import { readStsAnswer, stsRequest, type StsAnswer } from './sts-client.js';
import { presign, sign, type Request, type Target } from './wire.js';

export type Signer = Pick<Target, 'accessKey' | 'secretKey' | 'sessionToken'>;

export interface StsWorld extends IamWorld {
  readonly records: RequestRecord[];
  readonly logLines: string[];
  readonly sts: ExchangeHandler;
  readonly root: Signer;
  /** Null signs nothing. */
  assume(signer: Signer | null, parameters?: Record<string, string>, changes?: Partial<Request>): Promise<StsAnswer>;
  s3(signer: Signer, request: Request): Promise<TestResponse>;
  /** By a signed address. */
  follow(signer: Signer, request: Request, seconds?: number): Promise<TestResponse>;
}

export interface StsWorldOptions {
  readonly fixedSeconds?: number;
  readonly providers?: Partial<IdentityProviders>;
}

const port = 9000;
const hostId = 'host-id';

export async function stsWorld({ fixedSeconds, providers = {} }: StsWorldOptions = {}): Promise<StsWorld> {
  const world = await iamWorld();
  const { iam, clock } = world;
  const records: RequestRecord[] = [];
  const logLines: string[] = [];
  const isAllowed = createAuthorizer({ iam, bucketPolicy: () => null, clock });
  const options = (service: 's3' | 'sts'): AuthenticateOptions => ({
    verify: createSignatureVerifier(kernels),
    credentials: iam.credentials,
    clock,
    region: service === 's3' ? 'us-east-1' : '',
    service,
  });
  const common = {
    isAllowed,
    observer: { observe: (record: RequestRecord) => records.push(record) },
    log: createLogger({ level: 'debug', format: 'json', write: (line) => logLines.push(line) }),
    clock,
    hostId,
    domains: [],
  };
  const sts = createDispatcher({
    ...common,
    service: createStsService({
      iam,
      clock,
      fixedSeconds: fixedSeconds ?? null,
      providers: { openid: null, ldap: null, plugin: null, certificate: null, ...providers },
    }),
    authenticate: (request, hints) => authenticate(request, options('sts'), hints),
    region: '',
  });
  const objects = new MemoryObjectLayer({ clock });
  const s3 = createDispatcher({
    ...common,
    service: createS3Service({
      objects,
      documents: objects,
      region: 'us-east-1',
      clock,
      ownerId: 'a'.repeat(64),
      ownerDisplayName: 'granary',
      hostId,
      digest: memoryDigest,
    }),
    authenticate: (request, hints) => authenticate(request, options('s3'), hints),
    region: 'us-east-1',
  });
  const shape = ({ method, path, query, body, headers }: Request): RequestShape => ({
    method,
    target: query === undefined ? path : `${path}?${query}`,
    headers: { host: `127.0.0.1:${port}`, ...headers },
    ...(body !== undefined && { body: [body] }),
  });
  const signed = (signer: Signer, request: Request): RequestShape => {
    const target: Target = { ...signer, port, region: 'us-east-1' };
    const { headers } = sign(target, { date: new Date(clock.nowMs()), ...request });
    return shape({ ...request, headers });
  };
  return {
    ...world,
    records,
    logLines,
    sts,
    root: rootCredentials,
    assume: async (signer, parameters = {}, changes = {}) => {
      const request = stsRequest({ Action: 'AssumeRole', ...parameters }, changes);
      const answer = await exchange(sts, signer === null ? shape(request) : signed(signer, request));
      return readStsAnswer(answer.status, answer.text);
    },
    s3: (signer, request) => exchange(s3, signed(signer, request)),
    follow: (signer, request, seconds) => {
      const target: Target = { ...signer, port, region: 'us-east-1' };
      const url = presign(target, { date: new Date(clock.nowMs()), ...request }, seconds);
      return exchange(s3, { method: request.method, target: url, headers: { host: `127.0.0.1:${port}` } });
    },
  };
}
