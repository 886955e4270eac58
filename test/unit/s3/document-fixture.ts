/** Runs one operation through the real pipeline, on the object layer in memory, with a body from memory. */
import { Refusal, type Clock } from '../../../src/base/index.js';
import { createDispatcher, type OperationSpec, type Permission } from '../../../src/dispatch/index.js';
import { HeaderMap, headersOf, type BodySource, type ExchangeRequest } from '../../../src/exchange/index.js';
import type { ChecksumAlgorithm, ObjectInfo, ObjectMetadata, PartInfo } from '../../../src/object/index.js';
import type { S3Deps } from '../../../src/s3/deps.js';
import { errorResponse } from '../../../src/s3/error-response.js';
import { memoryDigest } from '../../support/memory-digests.js';
import { MemoryObjectLayer } from '../../support/memory-object-layer.js';
import { rootPrincipal } from '../../support/principals.js';

export const startMs = Date.UTC(2026, 10, 24, 2, 40, 0, 7);

export interface Answer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

export interface Sent {
  readonly method?: string;
  /** Path and query as on the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly isAnonymous?: boolean;
  readonly isAllowed?: (permission: Permission) => boolean;
  readonly isAborted?: () => boolean;
}

export class DocumentFixture {
  readonly clock: Clock & { ms: number } = {
    ms: startMs,
    nowMs: () => this.clock.ms,
    monotonicMs: () => this.clock.ms,
  };
  readonly objects = new MemoryObjectLayer({ clock: this.clock });
  readonly deps: S3Deps;
  /** What was logged as our own fault. */
  readonly faults: unknown[] = [];

  constructor(overrides: Partial<S3Deps> = {}) {
    this.deps = {
      objects: this.objects,
      documents: this.objects,
      region: 'us-east-1',
      clock: this.clock,
      ownerId: 'f'.repeat(64),
      ownerDisplayName: 'granary',
      hostId: 'host',
      digest: memoryDigest,
      ...overrides,
    };
  }

  async send<Input>(operation: OperationSpec<Input, S3Deps>, sent: Sent): Promise<Answer> {
    const ignore = () => {};
    const dispatch = createDispatcher<S3Deps>({
      service: {
        deps: this.deps,
        route: () => operation,
        refuse: (refusal, { request, bucket, key }) =>
          errorResponse(refusal, { request, bucket, key, region: this.deps.region, hostId: this.deps.hostId }),
      },
      authenticate: () => ({
        principal: sent.isAnonymous === true ? { kind: 'anonymous' } : rootPrincipal('key'),
        authentication: { kind: 'anonymous', payload: { kind: 'unsigned' } },
      }),
      isAllowed: (_principal, permission) => sent.isAllowed?.(permission) ?? sent.isAnonymous !== true,
      observer: { observe: ignore },
      log: this.#log(),
      clock: this.clock,
      region: this.deps.region,
      hostId: this.deps.hostId,
      domains: [],
    });
    const response = await dispatch(requestOf(sent));
    const { body } = response;
    return {
      status: response.status,
      headers: new Map(headersOf(response).map(([name, value]) => [name.toLowerCase(), value])),
      text: body.kind === 'bytes' ? Buffer.from(body.bytes).toString('utf8') : '',
    };
  }

  async bucket(name = 'bucket'): Promise<void> {
    await this.objects.createBucket(name, { region: '' });
  }

  async put(key: string, content = key, bucket = 'bucket'): Promise<ObjectInfo> {
    const upload = this.objects.openUpload(uploadOptions(bucket, key, content));
    upload.write(Buffer.from(content), 0, Buffer.byteLength(content));
    await upload.finish();
    return upload.commitObject({ metadata: plainMetadata, checksum: null, precondition: null });
  }

  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    content: Buffer,
    algorithm: ChecksumAlgorithm | null = null,
  ): Promise<PartInfo> {
    const upload = this.objects.openUpload({ ...uploadOptions('bucket', key, ''), bytes: content.length });
    upload.write(content, 0, content.length);
    await upload.finish();
    const checksum = algorithm === null ? null : fullChecksum(algorithm, content);
    return upload.commitPart({ uploadId, partNumber, checksum });
  }

  #log(): Parameters<typeof createDispatcher>[0]['log'] {
    const log = {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (_message: string, fields?: unknown) => this.faults.push(fields),
      child: () => log,
    };
    return log as unknown as Parameters<typeof createDispatcher>[0]['log'];
  }
}

export const plainMetadata: ObjectMetadata = { headers: {}, storageClass: 'STANDARD' };

export function fullChecksum(algorithm: ChecksumAlgorithm, content: Uint8Array) {
  const name = algorithm.toLowerCase() as Lowercase<ChecksumAlgorithm>;
  return {
    algorithm,
    type: 'FULL_OBJECT' as const,
    value: Buffer.from(memoryDigest(name, content)).toString('base64'),
  };
}

export function md5Base64(text: string | Uint8Array): string {
  return Buffer.from(memoryDigest('md5', Buffer.from(text as string))).toString('base64');
}

function uploadOptions(bucket: string, key: string, content: string) {
  return {
    bucket,
    key,
    bytes: Buffer.byteLength(content),
    sha256: false,
    checksum: null,
    signedStream: null,
    storageClass: 'STANDARD',
  };
}

function requestOf(sent: Sent): ExchangeRequest {
  const [rawPath = '', rawQuery = ''] = sent.target.split(/\?(.*)/s);
  const bytes = Buffer.from((sent.body ?? '') as string);
  const body: BodySource = {
    declaredBytes: bytes.length,
    consume(sink) {
      // In two pieces, later: as a socket would bring them.
      setImmediate(() => {
        const half = bytes.length >> 1;
        if (half > 0) sink.chunk(bytes.subarray(0, half), false);
        sink.chunk(bytes.subarray(half), true);
      });
    },
    pause: () => {},
    resume: () => {},
  };
  return {
    id: '0123456789ABCDEF',
    method: sent.method ?? 'GET',
    rawPath,
    rawQuery,
    headers: HeaderMap.from(Object.entries({ host: 'localhost:9000', ...sent.headers })),
    remoteAddress: '127.0.0.1',
    secure: false,
    body,
    isAborted: sent.isAborted ?? (() => false),
    onAborted: () => {},
  };
}

/** One element of an answer: small, strict, and not the code under test. */
export interface Element {
  readonly name: string;
  readonly attributes: string;
  text: string;
  readonly children: Element[];
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeText(text: string): string {
  return text.replace(/&([^;]*);?/g, (whole, name: string) => {
    if (!whole.endsWith(';')) throw new Error(`bare ampersand in ${text}`);
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number.parseInt(name.slice(1), 10));
    const value = entities[name];
    if (value === undefined) throw new Error(`unknown entity ${name}`);
    return value;
  });
}

export function readXml(document: string): Element {
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!document.startsWith(declaration)) throw new Error(`no declaration: ${document.slice(0, 80)}`);

  if (/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/.test(document)) throw new Error('a character that XML cannot carry');
  const top: Element = { name: '', attributes: '', text: '', children: [] };
  const open = [top];
  for (const [, close, name, attributes, text] of document
    .slice(declaration.length)
    .matchAll(/<(\/?)([A-Za-z0-9]+)([^>]*)>|([^<]+)/g)) {
    const parent = open.at(-1)!;
    if (text !== undefined) parent.text += decodeText(text);
    else if (close === '/') {
      if (parent.name !== name) throw new Error(`</${name}> closes <${parent.name}>`);
      open.pop();
    } else {
      const element: Element = { name: name!, attributes: attributes!, text: '', children: [] };
      parent.children.push(element);
      open.push(element);
    }
  }
  if (open.length !== 1 || top.children.length !== 1)
    throw new Error(`not one whole document: ${document.slice(0, 80)}`);
  return top.children[0]!;
}

/** Texts of the elements on a path below the root, `Contents/Key`. */
export function texts(root: Element, path: string): string[] {
  let elements = [root];
  for (const name of path.split('/'))
    elements = elements.flatMap(({ children }) => children.filter((child) => child.name === name));
  return elements.map(({ text }) => text);
}

/** The one text on a path; undefined when there is none. */
export function text(root: Element, path: string): string | undefined {
  const found = texts(root, path);
  if (found.length > 1) throw new Error(`${found.length} elements ${path}`);
  return found[0];
}

export function errorCode(answer: Answer): string | undefined {
  return answer.text === '' ? undefined : text(readXml(answer.text), 'Code');
}

export function refusal(code: string): Refusal {
  return new Refusal(code);
}
