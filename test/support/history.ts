/**
 * Clients that use a few keys together, everything that they were told, and whether one order explains it. Requests are
 * anonymous and sent as they stand over node:http; the bucket's policy has to allow them.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import {
  describeKey,
  emptyKey,
  type KeyState,
  type Step,
  type StoredVersion,
  type WriteMode,
} from './linearizability.js';
import { StormHistory, type StormHistoryOptions, type Subject } from './storm-history.js';

/** `toggled`: enabled and suspended in turn. */
export type Mode = WriteMode | 'toggled';

export interface HistoryOptions extends StormHistoryOptions {
  readonly keys: number;
  /** By bucket. */
  readonly buckets: Readonly<Record<string, Mode>>;
  /** Of bodies, each as likely as it is often here. */
  readonly sizes?: readonly number[];
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body has the length that the headers say. */
  readonly isWhole: boolean;
  readonly headMs: number;
}

/** What a write makes of its key. */
interface Written {
  readonly token: string;
  readonly etag: string;
}

/** `etag`: null of a delete marker, absent where nobody was told. */
interface Made {
  readonly token: string;
  readonly etag?: string | null;
}

interface Key extends Subject<KeyState> {
  readonly bucket: string;
  readonly mode: Mode;
  /** In its bucket. */
  readonly key: string;
  /** Seen lately, for conditions and reads of versions. */
  etags: string[];
  versionIds: string[];
  /** Ids that answers had of versions whose writers are known. */
  readonly ids: Set<string>;
  /** Ids that listings had, with the ETag; null: of a marker. */
  readonly listed: Map<string, string | null>;
}

/** A version that has been there. */
interface Creation {
  readonly versionId: string;
  readonly order: number;
  /** Nobody was told that he had written it. */
  readonly isStranger: boolean;
  readonly etag: string | null;
}

interface ListedVersion {
  readonly versionId: string;
  readonly etag: string | null;
  readonly isLatest: boolean;
}

interface VersionPlace {
  readonly key: string;
  readonly versionId: string;
}

const nullId = 'null';
/** Of a page of versions; null: what the server takes. */
const versionPages = [null, null, null, 1, 2, 3, 7];
const versionPagesMax = 24;
const defaultSizes = [0, 300, 300, 300, 5_000, 5_000, 5_000, 200_000, 200_000, 3_000_000];
const hintsMax = 12;
const hotShare = 0.6;
const hotMs = 400;
const partBytesMin = 5 << 20;
/** Too few drives or too little memory just now: what becomes of a write is open. */
const isBusy = ({ status }: Answer): boolean => status === 500 || status === 503;
/** No room: it has not happened, and never will. */
const isRefusedForRoom = ({ status }: Answer): boolean => status === 507;

export class History extends StormHistory<KeyState, Key> {
  #agent = new Agent({ keepAlive: true });
  #url = '';
  #tokens = 0;
  /** Content by ETag: what it was made from. */
  readonly #bodies = new Map<string, { readonly token: string; readonly bytes: number }>();
  /** By token: the id that its version turned out to have, and when it was written. */
  readonly #ids = new Map<string, string>();
  readonly #seconds = new Map<string, number>();
  /** Made when everything is known. */
  readonly #creationsOf = new Map<Key, ReadonlyMap<number, Creation>>();
  /** Open steps, and what each would make. */
  readonly #unanswered: { readonly key: Key; readonly step: Step; readonly made: Made }[] = [];

  constructor(private readonly options: HistoryOptions) {
    super(options);
    for (const [bucket, mode] of Object.entries(options.buckets)) {
      for (let index = 0; index < options.keys; index++) {
        const key = `key-${index}`;
        const known = { etags: [], versionIds: [], ids: new Set<string>(), listed: new Map<string, string | null>() };
        this.subjects.push({ name: `${bucket}/${key}`, bucket, mode, key, steps: [], ...known });
      }
    }
  }

  protected beginOf({ mode }: Key): KeyState {
    return { ...emptyKey, mode: mode === 'toggled' ? 'enabled' : mode };
  }

  protected describe(state: KeyState): string {
    return describeKey(state);
  }

  connect(url: string): void {
    this.#agent.destroy();
    this.#agent = new Agent({ keepAlive: true, maxSockets: this.options.connections });
    this.#url = url;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Every key as everybody sees it, when nothing is under way. */
  async readAll(): Promise<void> {
    for (const key of this.subjects) {
      await this.#read(key, 'GET');
      await this.#list(key);
      if (key.mode !== 'unversioned') await this.#listVersions(key, null);
    }
  }

  override complaint(): string | null {
    this.#creationsOf.clear();
    for (const { key, step, made } of this.#unanswered) {
      const creations = [...this.#creations(key).values()];
      step.isSeen =
        this.#seconds.has(made.token) || creations.some(({ isStranger, etag }) => isStranger && etag === made.etag);
    }
    return super.complaint();
  }

  // ---- requests ----

  #pick<T>(values: readonly T[]): T | undefined {
    return values[this.below(values.length)];
  }

  /** Mostly the one that the others are at, too: for some time, then another. */
  #someKey(): Key {
    const hot = this.subjects[Math.floor(performance.now() / hotMs) % this.subjects.length];
    const key = this.options.random() < hotShare ? hot : this.#pick(this.subjects);
    if (key === undefined) throw new Error('there are no keys');
    return key;
  }

  protected once(): Promise<boolean> {
    const key = this.#someKey();
    const choice = this.options.random();
    const isVersioned = key.mode !== 'unversioned';
    if (choice < 0.17) return this.#put(key, 'any');
    if (choice < 0.26) return this.#put(key, 'absent');
    if (choice < 0.32) return this.#put(key, 'match');
    if (choice < 0.45) return this.#read(key, 'GET');
    if (choice < 0.52) return this.#read(key, 'range');
    if (choice < 0.57) return this.#read(key, 'match');
    if (choice < 0.63) return this.#read(key, 'HEAD');
    if (choice < 0.69) return this.#delete(key, this.options.random() < 0.3);
    if (choice < 0.72) return this.#deleteSome(key);
    if (choice < 0.78) return this.#copy(key);
    if (choice < 0.83) return this.#multipart(key);
    if (choice < 0.89) return this.#list(key);
    if (!isVersioned) return this.#read(key, 'GET');
    if (choice < 0.91) return key.mode === 'toggled' ? this.#toggle(key) : this.#listVersions(key);
    if (choice < 0.93) return this.#listVersions(key);
    if (choice < 0.95) return this.#readVersion(key);
    return this.#deleteVersion(key);
  }

  async #put(key: Key, condition: 'any' | 'absent' | 'match'): Promise<boolean> {
    const { written, body } = this.#newBody(this.#size());
    const ifMatch = condition === 'match' ? this.#pick(key.etags) : undefined;
    const headers = {
      'x-amz-meta-token': written.token,
      ...(condition === 'absent' ? { 'if-none-match': '*' } : {}),
      ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
    };
    const name = `PUT ${body.length}${condition === 'absent' ? ' if absent' : ifMatch === undefined ? '' : ' if match'}`;
    const isAllowed = writeCondition(condition === 'absent', ifMatch);
    return this.#write(key, name, { written, isAllowed, ifMatch }, () => this.#send('PUT', key, '', headers, body));
  }

  /** Any request that makes a version. */
  async #write(
    key: Key,
    name: string,
    write: { written: Written; isAllowed: (etag: string | null) => boolean; ifMatch: string | undefined },
    send: () => Promise<Answer | null>,
  ): Promise<boolean> {
    const { written, isAllowed } = write;
    const { token, etag } = written;
    const callMs = performance.now();
    const answer = await send().catch(() => undefined);
    if (answer === null) return false;
    if (answer !== undefined && isRefusedForRoom(answer)) return true;
    const what = `${name} ${token} ${etag}`;
    const put = (state: KeyState): KeyState | null =>
      isAllowed(etagOf(state)) ? this.#withVersion(key, state, { token, etag }) : null;
    if (answer === undefined || isBusy(answer)) {
      const open = `${what}: ${answer?.status ?? 'cut off'}`;
      this.#add(key, { what: open, callMs, answerMs: Infinity, isOpen: true, isRead: false, apply: put }, written);
      return answer !== undefined;
    }
    const answerMs = answer.headMs;
    if (answer.status === 200) {
      const found = unquoted(answer.headers.etag) ?? etagOfXml(answer.body);
      if (found !== etag) this.violation(`${what} answers the ETag ${String(found)}`);
      this.#noteVersion(key, token, header(answer, 'x-amz-version-id'));
      this.#hint(key, etag, this.#ids.get(token));
      this.#add(key, {
        what: `${what}: 200 ${this.#ids.get(token) ?? ''}`,
        callMs,
        answerMs,
        isOpen: false,
        isRead: false,
        apply: put,
      });
      return true;
    }
    if (answer.status !== 412 && answer.status !== 404) this.#unexpected(what, answer);
    const isMissing = answer.status === 404;
    const refuse = (state: KeyState): KeyState | null => {
      const current = etagOf(state);
      if (write.ifMatch !== undefined && (current === null) !== isMissing) return null;
      return isAllowed(current) ? null : state;
    };
    this.#add(key, { what: `${what}: ${answer.status}`, callMs, answerMs, isOpen: false, isRead: true, apply: refuse });
    return true;
  }

  async #copy(key: Key): Promise<boolean> {
    const token = this.#newToken();
    const headers = {
      'x-amz-copy-source': `/${key.name}`,
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-token': token,
    };
    const callMs = performance.now();
    const answer = await this.#send('PUT', key, '', headers, Buffer.alloc(0)).catch(() => undefined);
    if (answer === null) return false;
    if (answer !== undefined && isRefusedForRoom(answer)) return true;
    const isOpen = answer === undefined || isBusy(answer);
    const answerMs = isOpen ? Infinity : answer.headMs;
    const what = `COPY ${token}: ${answer?.status ?? 'cut off'}`;
    if (answer?.status === 404) {
      // What was there to be copied was gone at some moment.
      const apply = (state: KeyState): KeyState | null => (etagOf(state) === null ? state : null);
      this.#add(key, { what, callMs, answerMs, isOpen, isRead: true, apply });
      return true;
    }
    const found = answer?.status === 200 ? etagOfXml(answer.body) : null;
    if (!isOpen && found === null) this.#unexpected(what, answer);
    if (answer?.status === 200) this.#noteVersion(key, token, header(answer, 'x-amz-version-id'));
    // It reads at one moment and writes at a later one.
    const index = key.steps.length;
    const read = (state: KeyState): KeyState | null => {
      const etag = etagOf(state);
      if (etag === null || (found !== null && found !== etag)) return null;
      return { ...state, copied: new Map([...state.copied, [index, etag]]) };
    };
    const write = (state: KeyState): KeyState | null => {
      const etag = state.copied.get(index);
      if (etag === undefined) return null;
      const copied = new Map(state.copied);
      copied.delete(index);
      return this.#withVersion(key, { ...state, copied }, { token, etag });
    };
    const detail = `${what} ${found ?? ''} ${this.#ids.get(token) ?? ''}`;
    const made = { token };
    this.#add(key, { what: `${detail} (read)`, callMs, answerMs, isOpen, isRead: !isOpen, apply: read }, made);
    this.#add(key, { what: `${detail} (write)`, callMs, answerMs, isOpen, isRead: false, apply: write }, made);
    return answer !== undefined;
  }

  async #multipart(key: Key): Promise<boolean> {
    const token = this.#newToken();
    const created = await this.#send('POST', key, 'uploads', { 'x-amz-meta-token': token }, empty).catch(
      () => undefined,
    );
    if (created === null) return false;
    const uploadId = /<UploadId>([^<]+)</.exec(created?.body.toString() ?? '')?.[1];
    if (uploadId === undefined) return created !== undefined;
    const lastBytes = this.#size();
    const body = this.#bytesOf(token, lastBytes + (this.options.random() < 0.2 ? partBytesMin : 0));
    const bodies = [body.subarray(0, body.length - lastBytes), body.subarray(body.length - lastBytes)];
    const parts = body.length === lastBytes ? [body] : bodies;
    const partEtags = parts.map(md5Hex);
    for (const [index, part] of parts.entries()) {
      const query = `partNumber=${index + 1}&uploadId=${uploadId}`;
      const stored = await this.#send('PUT', key, query, {}, part).catch(() => undefined);
      if (stored?.status !== 200) return stored !== null;
    }
    const etag = `${md5Hex(Buffer.from(partEtags.join(''), 'hex'))}-${parts.length}`;
    this.#bodies.set(etag, { token, bytes: body.length });
    const isAbsent = this.options.random() < 0.3;
    const text = partEtags.map((one, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${one}</ETag></Part>`);
    const xml = Buffer.from(`<CompleteMultipartUpload>${text.join('')}</CompleteMultipartUpload>`);
    const headers: Record<string, string> = isAbsent ? { 'if-none-match': '*' } : {};
    const written = { token, etag };
    const name = `COMPLETE ${body.length}${isAbsent ? ' if absent' : ''}`;
    const write = { written, isAllowed: writeCondition(isAbsent, undefined), ifMatch: undefined };
    return this.#write(key, name, write, () => this.#send('POST', key, `uploadId=${uploadId}`, headers, xml));
  }

  async #delete(key: Key, isConditional: boolean): Promise<boolean> {
    const ifMatch = isConditional ? this.#pick(key.etags) : undefined;
    const callMs = performance.now();
    const headers: Record<string, string> = ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` };
    const answer = await this.#send('DELETE', key, '', headers, empty).catch(() => undefined);
    if (answer === null) return false;
    if (answer !== undefined && isRefusedForRoom(answer)) return true;
    const token = this.#newToken();
    const isAllowed = writeCondition(false, ifMatch);
    const isOpen = answer === undefined || isBusy(answer);
    const what = `DELETE ${ifMatch ?? ''} ${token}: ${answer?.status ?? 'cut off'}`;
    if (isOpen) {
      this.#addRemoval(key, { what, callMs, answerMs: Infinity, isOpen }, token, isAllowed);
      return answer !== undefined;
    }
    const answerMs = answer.headMs;
    if (answer.status === 204) {
      const isMarker = answer.headers['x-amz-delete-marker'] === 'true';
      this.#noteMarker(key, what, token, { isMarker, versionId: header(answer, 'x-amz-version-id') });
      this.#addRemoval(key, { what, callMs, answerMs, isOpen }, token, isAllowed);
      return true;
    }
    if (ifMatch === undefined || (answer.status !== 412 && answer.status !== 404)) this.#unexpected(what, answer);
    const isMissing = answer.status === 404;
    const refuse = (state: KeyState): KeyState | null =>
      (etagOf(state) === null) === isMissing && !isAllowed(etagOf(state)) ? state : null;
    this.#add(key, { what, callMs, answerMs, isOpen, isRead: true, apply: refuse });
    return true;
  }

  /** DeleteObjects: each of its keys by itself. */
  async #deleteSome({ bucket }: Key): Promise<boolean> {
    const keys = this.#keysIn(bucket).filter(() => this.options.random() < 0.7);
    const text = keys.map(({ key }) => `<Object><Key>${key}</Key></Object>`).join('');
    if (text === '') return true;
    const body = Buffer.from(`<Delete>${text}</Delete>`);
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
    const callMs = performance.now();
    const answer = await this.#sendTo('POST', `/${bucket}`, 'delete', headers, body).catch(() => undefined);
    if (answer === null) return false;
    const isAnswered = answer !== undefined && !isBusy(answer) && answer.isWhole;
    if (isAnswered && answer.status !== 200) this.#unexpected('DELETE some', answer);
    const results = isAnswered ? answer.body.toString() : '';
    const found = new Map<string, { readonly isDone: boolean; readonly entry: string }>();
    for (const [, kind, entry = ''] of results.matchAll(/<(Deleted|Error)>(.*?)<\/\1>/gs)) {
      const name = element(entry, 'Key');
      if (found.has(name)) this.violation(`DELETE some has ${name} twice`);
      found.set(name, { isDone: kind === 'Deleted', entry });
    }
    for (const key of keys) {
      const { isDone, entry } = found.get(key.key) ?? { isDone: false, entry: '' };
      found.delete(key.key);
      const code = element(entry, 'Code');
      if (code === 'XMinioStorageFull') continue;
      const token = this.#newToken();
      const what = `DELETE some ${token}: ${isDone ? 'done' : code}`;
      const isOpen = !isDone;
      if (isAnswered && !isDone && !code.startsWith('SlowDown')) this.#unexpected(what, answer);
      if (isDone) {
        const isMarker = element(entry, 'DeleteMarker') === 'true';
        this.#noteMarker(key, what, token, { isMarker, versionId: element(entry, 'DeleteMarkerVersionId') });
      }
      const answerMs = answer === undefined || isOpen ? Infinity : answer.headMs;
      this.#addRemoval(key, { what, callMs, answerMs, isOpen }, token, () => true);
    }
    for (const name of found.keys()) this.violation(`DELETE some has ${name}, which was not asked for`);
    return answer !== undefined;
  }

  /** Of a delete without a version that was answered. */
  #noteMarker(
    key: Key,
    what: string,
    token: string,
    { isMarker, versionId }: { readonly isMarker: boolean; readonly versionId: string | undefined },
  ): void {
    if (isMarker !== (key.mode !== 'unversioned')) this.violation(`${what}: a delete marker: ${isMarker}`);
    if (!isMarker) return;
    this.#noteVersion(key, token, versionId);
    this.#hint(key, null, this.#ids.get(token));
  }

  #addRemoval(
    key: Key,
    step: Pick<Step, 'what' | 'callMs' | 'answerMs' | 'isOpen'>,
    token: string,
    isAllowed: (etag: string | null) => boolean,
  ): void {
    const apply = (state: KeyState): KeyState | null => {
      if (!isAllowed(etagOf(state))) return null;
      if (state.mode !== 'unversioned') return this.#withVersion(key, state, { token, etag: null });
      return state.versions.length === 0 ? state : { ...state, versions: [] };
    };
    const what = `${step.what} ${this.#ids.get(token) ?? ''}`;
    const made = key.mode === 'unversioned' ? { token } : { token, etag: null };
    this.#add(key, { ...step, what, isRead: false, apply }, made);
  }

  async #toggle({ bucket }: Key): Promise<boolean> {
    const mode = this.options.random() < 0.5 ? 'enabled' : 'suspended';
    const status = mode === 'enabled' ? 'Enabled' : 'Suspended';
    const xml = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
    const callMs = performance.now();
    const answer = await this.#sendTo('PUT', `/${bucket}`, 'versioning', {}, Buffer.from(xml)).catch(() => undefined);
    if (answer === null) return false;
    if (answer !== undefined && isRefusedForRoom(answer)) return true;
    const isOpen = answer === undefined || isBusy(answer);
    const what = `VERSIONING ${status}: ${answer?.status ?? 'cut off'}`;
    if (!isOpen && answer.status !== 200) this.#unexpected(what, answer);
    const answerMs = isOpen ? Infinity : answer.headMs;
    const apply = (state: KeyState): KeyState => ({ ...state, mode });
    for (const key of this.#keysIn(bucket)) {
      this.#add(key, { what, callMs, answerMs, isOpen, isRead: false, apply });
    }
    return answer !== undefined;
  }

  async #deleteVersion(key: Key): Promise<boolean> {
    const versionId = this.#pick(key.versionIds);
    if (versionId === undefined) return true;
    const callMs = performance.now();
    const answer = await this.#send('DELETE', key, `versionId=${versionId}`, {}, empty).catch(() => undefined);
    if (answer === null) return false;
    if (answer !== undefined && isRefusedForRoom(answer)) return true;
    const isOpen = answer === undefined || isBusy(answer);
    const what = `DELETE ${versionId}: ${answer?.status ?? 'cut off'} ${String(answer?.headers['x-amz-delete-marker'])}`;
    if (!isOpen && answer.status !== 204) this.#unexpected(what, answer);
    const isMarker = answer?.headers['x-amz-delete-marker'] === 'true';
    const apply = (state: KeyState): KeyState | null => {
      const ended = state.versions.find((version) => version.versionId === versionId);
      if (!isOpen && isMarker !== (ended?.etag === null)) return null;
      if (ended === undefined) return state;
      return { ...state, versions: state.versions.filter((version) => version !== ended) };
    };
    this.#add(key, { what, callMs, answerMs: isOpen ? Infinity : answer.headMs, isOpen, isRead: false, apply });
    return answer !== undefined;
  }

  async #read(key: Key, kind: 'GET' | 'HEAD' | 'range' | 'match'): Promise<boolean> {
    const ifMatch = kind === 'match' ? this.#pick(key.etags) : undefined;
    const range = kind === 'range' ? { start: this.below(6_000), end: this.below(400_000) } : undefined;
    if (range !== undefined) range.end += range.start;
    const headers: Record<string, string> = {
      ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
      ...(range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` }),
    };
    const callMs = performance.now();
    const answer = await this.#send(kind === 'HEAD' ? 'HEAD' : 'GET', key, '', headers, empty).catch(() => undefined);
    if (answer === null) return false;
    if (answer === undefined || isBusy(answer)) return true;
    const what = `${kind} ${ifMatch ?? ''}: ${describe(answer)}`;
    const { status } = answer;
    const add = (apply: Step['apply']): void => {
      this.#add(key, { what, callMs, answerMs: answer.headMs, isOpen: false, isRead: true, apply });
    };
    if (status === 404) {
      const isMarker = answer.headers['x-amz-delete-marker'] === 'true';
      const markerId = header(answer, 'x-amz-version-id') ?? nullId;
      add(({ versions, ...rest }) => {
        const [top] = versions;
        const isSeen = top === undefined ? !isMarker : isMarker && top.etag === null && top.versionId === markerId;
        return isSeen ? same(versions, rest) : null;
      });
    } else if (status === 412) {
      add((state) => (etagOf(state) !== null && etagOf(state) !== ifMatch ? state : null));
    } else if (status === 416) {
      const start = range?.start ?? 0;
      add((state) => ((this.#bodies.get(etagOf(state) ?? '')?.bytes ?? Infinity) <= start ? state : null));
    } else if (status === 200 || status === 206) {
      const seen = this.#judge(key, what, answer, kind === 'HEAD' ? null : (range ?? { start: 0, end: Infinity }));
      if (ifMatch !== undefined && seen.etag !== ifMatch) this.violation(`${what} does not match`);
      add((state) => (isSame(state.versions[0], seen) ? state : null));
      this.#hint(key, seen.etag, seen.versionId === nullId ? undefined : seen.versionId);
    } else {
      this.#unexpected(what, answer);
    }
    return true;
  }

  async #readVersion(key: Key): Promise<boolean> {
    const versionId = this.#pick(key.versionIds);
    if (versionId === undefined) return true;
    const isHead = this.options.random() < 0.3;
    const callMs = performance.now();
    const query = `versionId=${versionId}`;
    const answer = await this.#send(isHead ? 'HEAD' : 'GET', key, query, {}, empty).catch(() => undefined);
    if (answer === null) return false;
    if (answer === undefined || isBusy(answer)) return true;
    const what = `${isHead ? 'HEAD' : 'GET'} ${versionId}: ${describe(answer)}`;
    const add = (apply: (version: StoredVersion | undefined) => boolean): void => {
      this.#add(key, {
        what,
        callMs,
        answerMs: answer.headMs,
        isOpen: false,
        isRead: true,
        apply: (state) => (apply(state.versions.find((version) => version.versionId === versionId)) ? state : null),
      });
    };
    if (answer.status === 404) add((version) => version === undefined);
    else if (answer.status === 405) add((version) => version?.etag === null);
    else if (answer.status === 200) {
      const seen = this.#judge(key, what, answer, isHead ? null : { start: 0, end: Infinity });
      if (seen.versionId !== versionId) this.violation(`${what} is another version`);
      add((version) => isSame(version, seen));
    } else this.#unexpected(what, answer);
    return true;
  }

  /** In one page, or one key at a time. */
  async #list({ bucket }: Key): Promise<boolean> {
    const prefix = this.options.random() < 0.5 ? 'key-' : '';
    const query = `list-type=2&prefix=${prefix}${this.options.random() < 0.5 ? '&max-keys=1' : ''}`;
    let token = '';
    let after = '';
    do {
      const callMs = performance.now();
      const from = token === '' ? '' : `&continuation-token=${encodeURIComponent(token)}`;
      const answer = await this.#listPage('LIST', bucket, query + from);
      if (typeof answer === 'boolean') return answer;
      const text = answer.body.toString();
      token = element(text, 'NextContinuationToken');
      if ((element(text, 'IsTruncated') === 'true') !== (token !== '')) this.#unexpected('LIST', answer);
      after = this.#notePage(bucket, text, { after, isLast: token === '' }, { callMs, answerMs: answer.headMs });
    } while (token !== '');
    return true;
  }

  /** Without one there is nothing to judge: whether anybody answered. */
  async #listPage(what: string, bucket: string, query: string): Promise<Answer | boolean> {
    const answer = await this.#sendTo('GET', `/${bucket}`, query, {}, empty).catch(() => undefined);
    if (answer === null) return false;
    if (answer === undefined || isBusy(answer) || !answer.isWhole) return true;
    if (answer.status === 200) return answer;
    this.#unexpected(what, answer);
    return true;
  }

  /** Of keys behind `after`; answers the last one of the page. */
  #notePage(
    bucket: string,
    text: string,
    { after, isLast }: { readonly after: string; readonly isLast: boolean },
    times: Pick<Step, 'callMs' | 'answerMs'>,
  ): string {
    const found = new Map<string, string>();
    let last = after;
    for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      const name = element(entry, 'Key');
      if (name <= last) this.violation(`LIST has ${name} behind ${last}`);
      last = name;
      found.set(name, entry);
    }
    for (const key of this.#keysIn(bucket)) {
      const entry = found.get(key.key);
      found.delete(key.key);
      if (entry === undefined) {
        if (key.key <= after || (key.key > last && !isLast)) continue;
        const apply = (state: KeyState): KeyState | null => (etagOf(state) === null ? state : null);
        this.#add(key, { what: 'LIST: absent', ...times, isOpen: false, isRead: true, apply });
        continue;
      }
      const etag = unquoted(element(entry, 'ETag')) ?? '';
      const seconds = Math.floor(Date.parse(element(entry, 'LastModified')) / 1000);
      const what = `LIST: ${etag} ${element(entry, 'LastModified')}`;
      if (this.#bodies.get(etag)?.bytes !== Number(element(entry, 'Size'))) this.violation(`${what} has another size`);
      const apply = (state: KeyState): KeyState | null => {
        const [top] = state.versions;
        const known = top === undefined ? undefined : this.#seconds.get(top.token);
        return top?.etag === etag && (known === undefined || known === seconds) ? state : null;
      };
      this.#add(key, { what, ...times, isOpen: false, isRead: true, apply });
    }
    for (const name of found.keys()) this.violation(`LIST has ${name}, which nobody wrote`);
    return last;
  }

  /** In one page, or a few versions at a time. */
  async #listVersions({ bucket }: Key, countMax = this.#pick(versionPages) ?? null): Promise<boolean> {
    let marker: VersionPlace | null = null;
    for (let pages = 0; pages < versionPagesMax; pages++) {
      const from: string = marker === null ? '' : `&key-marker=${marker.key}&version-id-marker=${marker.versionId}`;
      const query = `versions${countMax === null ? '' : `&max-keys=${countMax}`}${from}`;
      const callMs = performance.now();
      const answer = await this.#listPage('LIST versions', bucket, query);
      if (typeof answer === 'boolean') return answer;
      const text = answer.body.toString();
      const end: VersionPlace | null =
        element(text, 'IsTruncated') === 'true'
          ? { key: element(text, 'NextKeyMarker'), versionId: element(text, 'NextVersionIdMarker') }
          : null;
      this.#noteVersionPage(bucket, text, { after: marker, end }, { callMs, answerMs: answer.headMs });
      if (end === null) return true;
      marker = end;
    }
    return true;
  }

  /** Of versions behind `after`, from the first one when null; up to `end`, its last one, or to the last of all. */
  #noteVersionPage(
    bucket: string,
    text: string,
    { after, end }: { readonly after: VersionPlace | null; readonly end: VersionPlace | null },
    times: Pick<Step, 'callMs' | 'answerMs'>,
  ): void {
    const found = new Map<string, ListedVersion[]>();
    let count = 0;
    for (const [, kind, entry = ''] of text.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)) {
      const versions = found.get(element(entry, 'Key')) ?? [];
      found.set(element(entry, 'Key'), versions);
      const etag = kind === 'Version' ? (unquoted(element(entry, 'ETag')) ?? '') : null;
      versions.push({ versionId: element(entry, 'VersionId'), etag, isLatest: element(entry, 'IsLatest') === 'true' });
      count++;
      if (etag !== null && this.#bodies.get(etag)?.bytes !== Number(element(entry, 'Size')))
        this.violation(`LIST versions: ${entry} has another size`);
    }
    if (end !== null && count === 0) this.violation('LIST versions: an empty page has another behind it');
    for (const key of this.#keysIn(bucket)) {
      const versions = found.get(key.key) ?? [];
      found.delete(key.key);
      for (const { versionId, etag } of versions) key.listed.set(versionId, etag);
      const isOutside = (after !== null && key.key < after.key) || (end !== null && key.key > end.key);
      if (isOutside) {
        if (versions.length > 0) this.violation(`LIST versions: ${key.key} is out of its order`);
        continue;
      }
      const isBegun = key.key !== after?.key;
      // Of the others nobody knows which of the unanswered requests made them: they are left alone.
      const known = new Set([nullId, ...this.#ids.values()]);
      const ids = versions.flatMap(({ versionId }) => (known.has(versionId) ? [versionId] : []));
      if (isBegun) key.versionIds = ids.slice(0, hintsMax);
      const part = { after: isBegun ? null : after.versionId, isEnded: key.key !== end?.key, versions };
      const listed = versions.map(({ versionId, etag }) => `${versionId} ${etag}`).join();
      const what = `LIST versions${isBegun ? '' : ` behind ${after.versionId}`}: ${listed}${part.isEnded ? '' : ' …'}`;
      const apply = (state: KeyState): KeyState | null => (isPartOf(state, part) ? state : null);
      this.#add(key, { what, ...times, isOpen: false, isRead: true, apply });
    }
    for (const name of found.keys()) this.violation(`LIST versions has ${name}, which nobody wrote`);
  }

  // ---- what is known ----

  #keysIn(bucket: string): Key[] {
    return this.subjects.filter((one) => one.bucket === bucket);
  }

  #add(key: Key, step: Step, made?: Made): void {
    this.add(key, step);
    if (step.isOpen && made !== undefined) this.#unanswered.push({ key, step, made });
  }

  #unexpected(what: string, answer: Answer | undefined): void {
    this.violation(`${what}: an answer that nobody expects: ${answer?.body.toString().slice(0, 300) ?? ''}`);
  }

  #hint(key: Key, etag: string | null, versionId: string | undefined): void {
    if (etag !== null) key.etags = [etag, ...key.etags].slice(0, 3);
    if (versionId !== undefined) key.versionIds = [versionId, ...key.versionIds].slice(0, hintsMax);
  }

  /** `versionId`: as the answer has it; a write without versioning says none. */
  #noteVersion(key: Key, token: string, versionId: string | undefined): void {
    const id = versionId ?? nullId;
    this.#ids.set(token, id);
    if (id !== nullId) key.ids.add(id);
    const isWrong = key.mode !== 'toggled' && (id === nullId) !== (key.mode !== 'enabled');
    if (isWrong) this.violation(`${key.name}: version ${id}`);
  }

  #withVersion(key: Key, state: KeyState, { token, etag }: { token: string; etag: string | null }): KeyState | null {
    const seconds = this.#seconds.get(token);
    if (seconds !== undefined && seconds < state.modifiedSeconds) return null;
    const modifiedSeconds = seconds ?? state.modifiedSeconds;
    const id = this.#ids.get(token);
    if (id !== undefined && (id === nullId) !== (state.mode !== 'enabled')) return null;
    if (state.mode !== 'enabled') {
      const kept = state.versions.filter(({ versionId }) => versionId !== nullId);
      return { ...state, modifiedSeconds, versions: [{ versionId: nullId, etag, token }, ...kept] };
    }
    // Versions are made in the order of their ids: of those that have been there none may be passed over. One that no
    // listing had has never been there, since it stays until it is deleted by its id.
    const next = this.#creations(key).get(state.order);
    if (next === undefined) return null;
    const isIt = id === undefined ? next.isStranger && next.etag === etag : next.versionId === id;
    if (!isIt) return null;
    const { order, versionId } = next;
    return { ...state, order, modifiedSeconds, versions: [{ versionId, etag, token }, ...state.versions] };
  }

  /** By the order of the version that was made before, or 0. */
  #creations(key: Key): ReadonlyMap<number, Creation> {
    const known = this.#creationsOf.get(key);
    if (known !== undefined) return known;
    const versionIds = [...new Set([...key.ids, ...key.listed.keys()])].filter((id) => id !== nullId);
    const creations = versionIds.map((versionId) => {
      const isStranger = !key.ids.has(versionId);
      return { versionId, order: orderOf(versionId), isStranger, etag: key.listed.get(versionId) ?? null };
    });
    creations.sort((one, other) => one.order - other.order);
    const found = new Map(creations.map((creation, index) => [creations[index - 1]?.order ?? 0, creation]));
    this.#creationsOf.set(key, found);
    return found;
  }

  /** What an answer to a read says; its parts have to belong together. `range`: of the body; null when there is none. */
  #judge(key: Key, what: string, answer: Answer, range: { start: number; end: number } | null): StoredVersion {
    const etag = unquoted(answer.headers.etag) ?? '';
    const token = header(answer, 'x-amz-meta-token') ?? '';
    const versionId = header(answer, 'x-amz-version-id') ?? nullId;
    const seconds = Date.parse(answer.headers['last-modified'] ?? '') / 1000;
    const known = this.#bodies.get(etag);
    if (known === undefined) {
      this.violation(`${what}: the ETag is of no body that was sent`);
      return { versionId, etag, token };
    }
    const knownId = this.#ids.get(token) ?? versionId;
    this.#ids.set(token, knownId);
    if (knownId !== nullId) key.ids.add(knownId);
    if (knownId !== versionId) this.violation(`${what}: version ${versionId} instead of ${knownId}`);
    const knownSeconds = this.#seconds.get(token) ?? seconds;
    this.#seconds.set(token, knownSeconds);
    if (knownSeconds !== seconds)
      this.violation(`${what}: ${key.name} was modified at ${knownSeconds}, not ${seconds}`);
    const length = Number(answer.headers['content-length']);
    const end = Math.min(range === null ? Infinity : range.end + 1, known.bytes);
    const start = range?.start ?? 0;
    if (length !== end - start) this.violation(`${what}: length ${length} instead of ${end - start}`);
    if (range === null) return { versionId, etag, token };
    const wanted = this.#bytesOf(known.token, known.bytes).subarray(start, end);
    const isRight = answer.isWhole
      ? answer.body.equals(wanted)
      : answer.body.equals(wanted.subarray(0, answer.body.length));
    if (!isRight) this.violation(`${what}: the body is not the one of the ETag`);
    const total = /\/(\d+)$/.exec(answer.headers['content-range'] ?? '')?.[1];
    if (answer.status === 206 && Number(total) !== known.bytes) this.violation(`${what}: ${String(total)} bytes`);
    return { versionId, etag, token };
  }

  // ---- bodies ----

  #newToken(): string {
    return `t${(this.#tokens++).toString().padStart(6, '0')}`;
  }

  #size(): number {
    return this.#pick(this.options.sizes ?? defaultSizes) ?? 0;
  }

  #bytesOf(token: string, bytes: number): Buffer {
    const key = createHash('md5').update(token).digest();
    return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
  }

  #newBody(bytes: number): { written: Written; body: Buffer } {
    const token = this.#newToken();
    const body = this.#bytesOf(token, bytes);
    const etag = md5Hex(body);
    this.#bodies.set(etag, { token, bytes });
    return { written: { token, etag }, body };
  }

  // ---- the wire ----

  #send(
    method: string,
    key: Key,
    query: string,
    headers: Record<string, string>,
    body: Buffer,
  ): Promise<Answer | null> {
    return this.#sendTo(method, `/${key.name}`, query, headers, body);
  }

  /** Null: nobody listens. Rejects when the answer's head did not come. */
  #sendTo(
    method: string,
    path: string,
    query: string,
    headers: Record<string, string>,
    body: Buffer,
  ): Promise<Answer | null> {
    const { hostname, port } = new URL(this.#url);
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          hostname,
          port,
          method,
          path: query === '' ? path : `${path}?${query}`,
          agent: this.#agent,
          headers: { ...headers, ...(method === 'GET' || method === 'HEAD' ? {} : { 'content-length': body.length }) },
        },
        (response) => {
          const headMs = performance.now();
          const pieces: Buffer[] = [];
          const finish = (isWhole: boolean): void => {
            const { statusCode: status = 0, headers: found } = response;
            this.count(`${method} ${status}`);
            if (status === 500) this.violation(`${method} ${path}?${query}: ${Buffer.concat(pieces).toString()}`);
            resolve({ status, headers: found, body: Buffer.concat(pieces), isWhole, headMs });
          };
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () => {
            finish(response.complete);
          });
          response.on('error', () => {
            finish(false);
          });
        },
      );
      sent.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') resolve(null);
        else reject(error);
      });
      sent.end(body);
    });
  }
}

const empty = Buffer.alloc(0);

const md5Hex = (body: Uint8Array): string => createHash('md5').update(body).digest('hex');

const same = (versions: KeyState['versions'], rest: Omit<KeyState, 'versions'>): KeyState => ({ versions, ...rest });

function etagOf({ versions }: KeyState): string | null {
  return versions[0]?.etag ?? null;
}

/** Whether a key's versions have these behind one of them, and no more of them when they are said to be the last. */
function isPartOf(
  { versions: all }: KeyState,
  {
    after,
    isEnded,
    versions,
  }: { readonly after: string | null; readonly isEnded: boolean; readonly versions: readonly ListedVersion[] },
): boolean {
  const marker = after === null ? -1 : all.findIndex(({ versionId }) => versionId === after);
  // It has gone: where it was is known to the server, and not here.
  if (after !== null && marker < 0) return true;
  const start = marker + 1;
  if (isEnded && all.length !== start + versions.length) return false;
  return versions.every((seen, index) => {
    const version = all[start + index];
    if (version?.versionId !== seen.versionId || version.etag !== seen.etag) return false;
    return seen.isLatest === (start + index === 0);
  });
}

function isSame(version: StoredVersion | undefined, seen: StoredVersion): boolean {
  return version?.etag === seen.etag && version.token === seen.token && version.versionId === seen.versionId;
}

function writeCondition(isIfAbsent: boolean, ifMatch: string | undefined): (etag: string | null) => boolean {
  return (etag) => (isIfAbsent ? etag === null : ifMatch === undefined || etag === ifMatch);
}

/** The last 56 bits of an id say which version came first: that is the server's own way, which clients need not know. */
function orderOf(versionId: string): number {
  return parseInt(versionId.slice(21).replace('-', ''), 16);
}

function unquoted(text: string | undefined): string | undefined {
  return text?.replaceAll(/"|&quot;|&#34;/g, '');
}

function header({ headers }: Answer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function element(text: string, name: string): string {
  return new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(text)?.[1] ?? '';
}

function etagOfXml(body: Buffer): string | undefined {
  return unquoted(element(body.toString(), 'ETag'));
}

function describe({ status, headers, isWhole }: Answer): string {
  const said = [headers.etag, headers['x-amz-meta-token'], headers['x-amz-version-id'], headers['last-modified']];
  return `${status} ${said.map(String).join(' ')}${isWhole ? '' : ' (cut off)'}`;
}
