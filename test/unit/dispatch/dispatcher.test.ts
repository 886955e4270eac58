import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { InvariantError, Refusal, type Clock } from '../../../src/base/index.js';
import {
  createDispatcher,
  rootOnly,
  type Authenticated,
  type DispatcherOptions,
  type OperationSpec,
  type Permission,
  type Service,
} from '../../../src/dispatch/index.js';
import type { ExchangeResponse } from '../../../src/exchange/index.js';
import { createLogger, type RequestRecord } from '../../../src/telemetry/index.js';
import { exchange, exchangeRequest, readResponse } from '../../support/exchange.js';
import { rootPrincipal } from '../../support/principals.js';

type Deps = { readonly name: string };

const ok: ExchangeResponse = { status: 200, headers: [['x-own', '1']], body: { kind: 'bytes', bytes: 'done' } };
const root: Authenticated = {
  principal: rootPrincipal('admin'),
  authentication: {
    kind: 'header-v4',
    accessKey: 'admin',
    region: 'us-east-1',
    signedAtMs: 0,
    payload: { kind: 'unsigned' },
  },
};
const anonymous: Authenticated = {
  principal: { kind: 'anonymous' },
  authentication: { kind: 'anonymous', payload: { kind: 'unsigned' } },
};

let steps: string[];
let lines: string[];
let records: RequestRecord[];
/** Operations that were told to have begun. */
let begun: string[];
let nowMs: number;

beforeEach(() => {
  steps = [];
  lines = [];
  records = [];
  begun = [];
  nowMs = 1000;
});

const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };

function operation(change: Partial<OperationSpec<string, Deps>> = {}): OperationSpec<string, Deps> {
  return {
    name: 'TestOperation',
    parse: ({ key }) => {
      steps.push('parse');
      return `input of ${key}`;
    },
    permissions: ({ bucket, key }) => [{ action: 's3:Test', bucket, key }],
    handle: (deps, { input }) => {
      steps.push(`handle ${input} with ${deps.name}`);
      return ok;
    },
    ...change,
  };
}

function dispatcher(spec: OperationSpec<string, Deps>, options: Partial<DispatcherOptions<Deps>> = {}) {
  const service: Service<Deps> = {
    deps: { name: 'deps' },
    route: () => {
      steps.push('route');
      return spec;
    },
    refuse: (refusal) => ({
      status: refusal.code === 'InternalError' ? 500 : refusal.code === 'NotImplemented' ? 501 : 400,
      headers: [],
      body: { kind: 'bytes', bytes: refusal.code },
    }),
  };
  return createDispatcher({
    service,
    authenticate: () => {
      steps.push('authenticate');
      return root;
    },
    isAllowed: rootOnly,
    observer: {
      observe: (record) => records.push(record),
      begun: (operation, bucket) => void begun.push(`${operation} ${bucket} ${records.length}`),
    },
    log: createLogger({ format: 'json', write: (line) => lines.push(line) }),
    clock,
    region: 'eu-test-1',
    hostId: 'host',
    domains: [],
    ...options,
  });
}

describe('the pipeline', () => {
  it('goes parse, authenticate, authorize, act, and stays synchronous when the operation does', async () => {
    const isAllowed = (_: unknown, permission: Permission) => {
      steps.push(`authorize ${permission.action} ${permission.bucket} ${permission.key}`);
      return true;
    };
    const response = dispatcher(operation(), { isAllowed })(exchangeRequest({ target: '/b/k' }));
    expect(response).not.toBeInstanceOf(Promise);
    expect(steps).toEqual(['route', 'authenticate', 'parse', 'authorize s3:Test b k', 'handle input of k with deps']);
    const answer = await readResponse(await response);
    expect(answer.text).toBe('done');
    expect(answer.headers).toMatchObject({
      'x-own': '1',
      'x-amz-request-id': '00000000DEADBEEF',
      'x-amz-id-2': 'host',
      'x-amz-bucket-region': 'eu-test-1',
      'accept-ranges': 'bytes',
    });
  });

  it.each([
    ['every one is allowed', [true, true], 'done'],
    ['the first is refused', [false, true], 'AccessDenied'],
    ['a later one is refused', [true, false], 'AccessDenied'],
  ])('waits for decisions that come later: %s', async (_name, verdicts, expected) => {
    const asked: string[] = [];
    const isAllowed = async (_: unknown, { key }: Permission) => {
      asked.push(key);
      await new Promise((resolve) => setImmediate(resolve));
      return verdicts[asked.length - 1]!;
    };
    const two = operation({
      permissions: () => ['first', 'second'].map((key) => ({ action: 's3:Test', bucket: 'b', key })),
    });
    const response = dispatcher(two, { isAllowed })(exchangeRequest({ target: '/b/k' }));
    expect(response).toBeInstanceOf(Promise);
    expect((await readResponse(await response)).text).toBe(expected);
    // Nobody is asked for the second when the first is refused, and nothing is done after a refusal.
    expect(asked).toEqual(verdicts[0] ? ['first', 'second'] : ['first']);
    expect(steps.some((step) => step.startsWith('handle'))).toBe(expected === 'done');
  });

  it('takes a decision that fails, or is anything but true, for a refusal', async () => {
    const failing = () => Promise.reject(new Error('broken'));
    expect((await exchange(dispatcher(operation(), { isAllowed: failing }), { target: '/b/k' })).text).toBe(
      'InternalError',
    );
    const odd = () => Promise.resolve('yes' as unknown as boolean);
    expect((await exchange(dispatcher(operation(), { isAllowed: odd }), { target: '/b/k' })).text).toBe('AccessDenied');
    expect(steps.some((step) => step.startsWith('handle'))).toBe(false);
  });

  it('never acts for whom the signature room refuses', async () => {
    const authenticate = () => {
      throw new Refusal('SignatureDoesNotMatch');
    };
    const answer = await exchange(dispatcher(operation(), { authenticate }), { target: '/b/k' });
    expect(answer.text).toBe('SignatureDoesNotMatch');
    expect(steps).toEqual(['route']);
  });

  it('lets a form speak for its signer, once it is verified', async () => {
    const asked: boolean[] = [];
    const form = operation({
      permissions: () => [],
      handle: async (_, call) => {
        const permission = { action: 's3:PutObject', bucket: 'b', key: 'k' };
        asked.push(await call.isAllowed(permission));
        call.authenticateForm((name) => `value of ${name}`);
        asked.push(await call.isAllowed(permission));
        return ok;
      },
    });
    const authenticateForm = (field: (name: string) => string | undefined) => {
      steps.push(field('policy') ?? '');
      return root;
    };
    const authenticate = () => anonymous;
    const answer = await exchange(dispatcher(form, { authenticate, authenticateForm }), { target: '/b' });
    expect([answer.text, asked]).toEqual(['done', [false, true]]);
    expect(steps).toContain('value of policy');
    expect(records[0]).toMatchObject({ accessKey: 'admin', status: 200 });

    // Nobody who signed the request becomes somebody else, and without a verifier no form is believed.
    expect((await exchange(dispatcher(form, { authenticateForm }), { target: '/b' })).text).toBe('InternalError');
    expect((await exchange(dispatcher(form, { authenticate }), { target: '/b' })).text).toBe('NotImplemented');
  });

  it('accepts any region where an operation says so, and tells the bucket of the host', async () => {
    const hints: unknown[] = [];
    const authenticate: DispatcherOptions<Deps>['authenticate'] = (_, given) => {
      hints.push(given);
      return root;
    };
    const options = { authenticate, domains: ['s3.test'] };
    await exchange(dispatcher(operation(), options), { target: '/k', headers: { host: 'b.s3.test' } });
    await exchange(dispatcher(operation({ anyRegion: true }), options), { target: '/b' });
    expect(hints).toEqual([
      { hostBucket: 'b', anyRegion: false },
      { hostBucket: '', anyRegion: true },
    ]);
  });

  it('reads the form of a service that is asked by one before it chooses the operation', async () => {
    const seen: Record<string, string>[] = [];
    const hints: unknown[] = [];
    const service: Service<Deps> = {
      deps: { name: 'deps' },
      formBytesMax: 32,
      route: ({ query }) => {
        seen.push(Object.fromEntries(query));
        return operation();
      },
      refuse: ({ code }) => ({ status: 400, headers: [], body: { kind: 'bytes', bytes: code } }),
    };
    const handler = dispatcher(operation(), {
      service,
      authenticate: (_, given) => {
        hints.push(given);
        return root;
      },
    });
    const send = (body: string, type = 'application/x-www-form-urlencoded; charset=utf-8') =>
      exchange(handler, { method: 'POST', target: '/?a=query', headers: { 'content-type': type }, body: [body] });
    expect((await send('a=form&b=x%2By+z')).text).toBe('done');
    expect((await send('b=no-form', 'text/plain')).text).toBe('done');
    expect(seen).toEqual([{ a: 'query', b: 'x+y z' }, { a: 'query' }]);
    expect(hints[0]).toEqual({
      hostBucket: '',
      anyRegion: false,
      bodySha256Hex: createHash('sha256').update('a=form&b=x%2By+z').digest('hex'),
    });
    expect(records[0]).toMatchObject({ bytesReceived: 16, operation: 'TestOperation' });
    // At the bound, past it, broken, and cut off.
    expect((await send('a='.padEnd(32, 'x'))).text).toBe('done');
    expect((await send('a='.padEnd(33, 'x'))).text).toBe('EntityTooLarge');
    expect((await send('a=%zz')).text).toBe('InvalidURI');
    const cut = { method: 'POST', target: '/', body: ['a=1', 'b'], abortAfterPieces: 1 };
    expect((await exchange(handler, cut)).text).toBe('IncompleteBody');
    expect(seen).toHaveLength(3);
  });

  it('allows nothing to nobody, and everything to root', async () => {
    const answer = await exchange(dispatcher(operation(), { authenticate: () => anonymous }), { target: '/b/k' });
    expect(answer.text).toBe('AccessDenied');
    expect(steps).not.toContain('handle input of k with deps');
    expect(records[0]).toMatchObject({ accessKey: null, errorCode: 'AccessDenied' });
    expect((await exchange(dispatcher(operation()), { target: '/b/k' })).status).toBe(200);
  });

  it('wants every permission, and takes nothing but true for a yes', async () => {
    const permissions = () => [
      { action: 'one', bucket: 'b', key: 'k' },
      { action: 'two', bucket: 'b', key: 'k' },
    ];
    const second = dispatcher(operation({ permissions }), { isAllowed: (_, { action }) => action === 'one' });
    expect((await exchange(second, { target: '/b/k' })).text).toBe('AccessDenied');
    const vague = dispatcher(operation(), { isAllowed: () => 'yes' as unknown as boolean });
    expect((await exchange(vague, { target: '/b/k' })).text).toBe('AccessDenied');
  });

  it('lets the operation ask for more', async () => {
    const spec = operation({
      handle: async (_, call) => {
        steps.push(String(await call.isAllowed({ action: 's3:Other', bucket: 'x', key: 'y' })));
        return ok;
      },
    });
    await exchange(dispatcher(spec, { isAllowed: (_, { action }) => action !== 's3:Other' }), { target: '/b/k' });
    expect(steps).toContain('false');
  });
});

describe('errors', () => {
  it.each([
    [
      'thrown',
      () => {
        throw new Error('secret of the drives');
      },
    ],
    ['rejected', () => Promise.reject(new Error('secret of the drives'))],
    [
      'tripped',
      () => {
        throw new InvariantError('secret of the drives');
      },
    ],
  ])('that nobody foresaw (%s) say nothing to the client and all to the log', async (_, handle) => {
    const answer = await exchange(dispatcher(operation({ handle })), { target: '/b/k' });
    expect([answer.status, answer.text]).toEqual([500, 'InternalError']);
    expect(lines.join()).toContain('secret of the drives');
    expect(lines.join()).toContain('00000000DEADBEEF');
    expect(records[0]).toMatchObject({ status: 500, errorCode: 'InternalError', operation: 'TestOperation' });
  });

  it('that the client caused are not logged', async () => {
    const handle = () => Promise.reject(new Refusal('NoSuchKey'));
    expect((await exchange(dispatcher(operation({ handle })), { target: '/b/k' })).text).toBe('NoSuchKey');
    const unknown = () => Promise.reject(new Refusal('NotImplemented'));
    expect((await exchange(dispatcher(operation({ handle: unknown })), { target: '/b/k' })).status).toBe(501);
    expect(lines).toEqual([]);
  });

  it('in the target are answered before anything is asked', async () => {
    expect((await exchange(dispatcher(operation()), { target: '/b/%00' })).text).toBe('InvalidURI');
    expect((await exchange(dispatcher(operation()), { target: `/b/${'k'.repeat(1025)}` })).text).toBe(
      'KeyTooLongError',
    );
    expect(steps).toEqual([]);
    expect(records).toHaveLength(2);
    expect(records[0]).toMatchObject({ operation: null, errorCode: 'InvalidURI' });
    expect(begun).toEqual([]);
  });
});

describe('records', () => {
  it('say what happened, once per request', async () => {
    const spec = operation({
      async handle(_, call) {
        await call.payload.collect(100);
        nowMs += 30;
        return ok;
      },
    });
    await exchange(dispatcher(spec), {
      method: 'PUT',
      target: '/b/k?X-Amz-Signature=secret',
      body: ['12', '345'],
      headers: { 'user-agent': 'tester' },
    });
    expect(records).toEqual([
      {
        requestId: '00000000DEADBEEF',
        operation: 'TestOperation',
        bucket: 'b',
        method: 'PUT',
        rawPath: '/b/k',
        status: 200,
        errorCode: null,
        bytesReceived: 5,
        bytesSent: 4,
        durationMs: 30,
        timeToFirstByteMs: 30,
        remoteAddress: '127.0.0.1',
        accessKey: 'admin',
        account: 'admin',
        claims: new Map(),
        userAgent: 'tester',
      },
    ]);
    // Told before it is observed.
    expect(begun).toEqual(['TestOperation b 0']);
  });

  it('wait for the end of a stream, and count what was sent', async () => {
    let closeCount = 0;
    const pieces = ['abc', 'de'].map((text) => ({ bytes: Buffer.from(text), release: () => {} }));
    const source = {
      next: () => Promise.resolve(pieces.shift() ?? null),
      close: () => {
        closeCount += 1;
      },
    };
    const spec = operation({
      handle: () => ({ status: 200, headers: [], body: { kind: 'stream', length: 5, source } }),
    });
    const response = await dispatcher(spec)(exchangeRequest({ target: '/b/k' }));
    expect(records).toEqual([]);
    nowMs += 50;
    expect((await readResponse(response)).text).toBe('abcde');
    expect(closeCount).toBe(1);
    expect(records).toMatchObject([{ bytesSent: 5, durationMs: 50, timeToFirstByteMs: 0 }]);
  });
});

describe('documents', () => {
  const collecting = (bytesMax: number) =>
    operation({
      async handle(_, call) {
        const { bytes } = await call.payload.collect(bytesMax);
        return { status: 200, headers: [], body: { kind: 'bytes', bytes } };
      },
    });

  it('arrive whole, up to their bound', async () => {
    const shape = { method: 'PUT', target: '/b/k', body: ['12', '34'] };
    expect((await exchange(dispatcher(collecting(4)), shape)).text).toBe('1234');
    expect((await exchange(dispatcher(collecting(3)), shape)).text).toBe('EntityTooLarge');
    const chunked = { ...shape, declaredBytes: null };
    expect((await exchange(dispatcher(collecting(4)), chunked)).text).toBe('1234');
    expect((await exchange(dispatcher(collecting(3)), chunked)).text).toBe('EntityTooLarge');
    expect((await exchange(dispatcher(collecting(0)), { method: 'PUT', target: '/b/k' })).text).toBe('');
  });

  it('share one budget, and give it back with the answer', async () => {
    const handler = dispatcher(collecting(100 * 1024 * 1024));
    const half = Buffer.alloc(10 * 1024 * 1024);
    const large = { method: 'PUT', target: '/b/k', body: [half, half] };
    // Each counts twice: three at once do not fit into 64 MiB, two do.
    const all = await Promise.all([large, large, large].map((shape) => exchange(handler, shape)));
    expect(all.map(({ text }) => (text.length > 100 ? 'taken' : text)).sort()).toEqual([
      'ServerBusy',
      'taken',
      'taken',
    ]);
    expect((await exchange(handler, large)).status).toBe(200);
  });

  it('end with the client', async () => {
    const answer = await exchange(dispatcher(collecting(100)), {
      method: 'PUT',
      target: '/b/k',
      body: ['1', '2', '3'],
      abortAfterPieces: 1,
    });
    expect(answer.text).toBe('IncompleteBody');
    expect(records).toMatchObject([{ status: 499 }]);
  });
});
