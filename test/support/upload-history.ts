/**
 * Clients that begin multipart uploads together, put and replace parts, list, complete and abort them, everything that
 * they were told, and whether one order explains it: of each upload, which has a key of its own.
 */
import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { SdkHistory } from './sdk-history.js';
import type { StormHistoryOptions, Subject } from './storm-history.js';

export interface UploadHistoryOptions extends StormHistoryOptions {
  readonly bucket: string;
  /** Uploads in use at a time. */
  readonly uploads: number;
}

interface UploadState {
  /** ETags by number; null: completed or aborted. */
  readonly parts: ReadonlyMap<number, string> | null;
  /** Of the object. */
  readonly completed: string | null;
}

/** Its name is that of its key. */
interface Upload extends Subject<UploadState> {
  readonly uploadId: string;
  /** Of parts, seen lately. */
  readonly etags: Map<number, string>;
  requests: number;
}

const partBytes = [30, 30, 300, 200_000];
const partNumbers = [1, 9];
/** Then another one takes its place. */
const requestsOfOne = 30;
const isGone = ({ parts }: UploadState): boolean => parts === null;
const md5Hex = (body: Uint8Array): string => createHash('md5').update(body).digest('hex');
const unquoted = (etag: string | undefined): string => etag?.replaceAll('"', '') ?? '';

export class UploadHistory extends SdkHistory<UploadState, Upload> {
  #inUse: readonly Upload[] = [];
  #begun = 0;
  #bodies = 0;

  constructor(private readonly options: UploadHistoryOptions) {
    super(options);
  }

  protected beginOf(): UploadState {
    return { parts: new Map(), completed: null };
  }

  protected describe({ parts, completed }: UploadState): string {
    return `${parts === null ? 'gone' : listed([...parts])} ${completed ?? ''}`;
  }

  async readAll(): Promise<void> {
    await this.#listUploads();
    for (const upload of this.subjects) {
      await this.#listParts(upload);
      await this.#head(upload);
    }
  }

  protected once(): Promise<boolean> {
    this.#inUse = this.#inUse.filter(({ requests }) => requests < requestsOfOne);
    if (this.#inUse.length < this.options.uploads) return this.#beginOne();
    const upload = this.pick(this.#inUse);
    upload.requests++;
    const choice = this.options.random();
    if (choice < 0.5) return this.#putPart(upload);
    if (choice < 0.6) return this.#listParts(upload);
    if (choice < 0.65) return this.#head(upload);
    if (choice < 0.72) return this.#listUploads();
    if (choice < 0.94) return this.#complete(upload);
    return this.#abort(upload);
  }

  #beginOne(): Promise<boolean> {
    const name = `upload-${this.#begun++}`;
    const begin = async (s3: S3Client): Promise<void> => {
      const create = new CreateMultipartUploadCommand({ Bucket: this.options.bucket, Key: name });
      const { UploadId: uploadId = '' } = await s3.send(create);
      const upload = { name, uploadId, steps: [], etags: new Map<number, string>(), requests: 0 };
      this.subjects.push(upload);
      this.#inUse = [...this.#inUse, upload];
    };
    // Of one whose id nobody got nothing can be said.
    return this.askOfAll('begin', begin, () => null);
  }

  #putPart(upload: Upload): Promise<boolean> {
    const PartNumber = this.pick(partNumbers);
    const body = Buffer.alloc(this.pick(partBytes));
    body.write(`part ${this.#bodies++}`);
    const etag = md5Hex(body);
    const put = async (s3: S3Client): Promise<void> => {
      const { ETag } = await s3.send(new UploadPartCommand({ ...this.#at(upload), PartNumber, Body: body }));
      if (unquoted(ETag) !== etag) this.violation(`${upload.name}: part ${PartNumber} has the ETag ${ETag}`);
      upload.etags.set(PartNumber, etag);
    };
    return this.ask(upload, `part ${PartNumber} ${etag}`, put, {
      isRead: false,
      done: () => (state) => {
        if (state.parts === null) return null;
        return { ...state, parts: new Map([...state.parts, [PartNumber, etag]]) };
      },
      refusals: { NoSuchUpload: isGone },
    });
  }

  #listParts(upload: Upload): Promise<boolean> {
    const list = async (s3: S3Client): Promise<string> => {
      const { Parts = [] } = await s3.send(new ListPartsCommand(this.#at(upload)));
      return listed(Parts.map(({ PartNumber = 0, ETag }) => [PartNumber, unquoted(ETag)]));
    };
    return this.ask(upload, 'parts', list, {
      isRead: true,
      done: (found) => (state) => (state.parts !== null && listed([...state.parts]) === found ? state : null),
      refusals: { NoSuchUpload: isGone },
    });
  }

  #head(upload: Upload): Promise<boolean> {
    const head = async (s3: S3Client): Promise<string> => {
      const { ETag } = await s3.send(new HeadObjectCommand({ Bucket: this.options.bucket, Key: upload.name }));
      return unquoted(ETag);
    };
    return this.ask(upload, 'head', head, {
      isRead: true,
      done: (etag) => (state) => (state.completed === etag ? state : null),
      refusals: { NotFound: ({ completed }) => completed === null },
    });
  }

  #listUploads(): Promise<boolean> {
    const list = (s3: S3Client) => s3.send(new ListMultipartUploadsCommand({ Bucket: this.options.bucket }));
    return this.askOfAll('uploads', list, ({ Uploads = [], IsTruncated }, { uploadId }) => {
      if (IsTruncated === true) return null;
      const isListed = Uploads.some(({ UploadId }) => UploadId === uploadId);
      return (state) => (isGone(state) === isListed ? null : state);
    });
  }

  /** With one part, which may have been replaced meanwhile; what was completed may be completed again. */
  #complete(upload: Upload): Promise<boolean> {
    const PartNumber = this.pick(partNumbers);
    const etag = upload.etags.get(PartNumber) ?? md5Hex(Buffer.from('none'));
    const whole = `${md5Hex(Buffer.from(etag, 'hex'))}-1`;
    const complete = async (s3: S3Client): Promise<string> => {
      const MultipartUpload = { Parts: [{ PartNumber, ETag: etag }] };
      const { ETag } = await s3.send(new CompleteMultipartUploadCommand({ ...this.#at(upload), MultipartUpload }));
      return unquoted(ETag);
    };
    return this.ask(upload, `complete ${PartNumber} ${etag}`, complete, {
      isRead: false,
      done: (found) => (state) => {
        if (state.completed !== null) return found === null || found === state.completed ? state : null;
        if (state.parts?.get(PartNumber) !== etag || (found !== null && found !== whole)) return null;
        return { parts: null, completed: whole };
      },
      refusals: {
        NoSuchUpload: ({ parts, completed }) => parts === null && completed === null,
        InvalidPart: ({ parts }) => parts !== null && parts.get(PartNumber) !== etag,
      },
    });
  }

  #abort(upload: Upload): Promise<boolean> {
    return this.ask(upload, 'abort', (s3) => s3.send(new AbortMultipartUploadCommand(this.#at(upload))), {
      isRead: false,
      done: () => (state) => (state.parts === null ? null : { ...state, parts: null }),
      refusals: { NoSuchUpload: isGone },
    });
  }

  #at({ name: Key, uploadId }: Upload): { Bucket: string; Key: string; UploadId: string } {
    return { Bucket: this.options.bucket, Key, UploadId: uploadId };
  }
}

function listed(parts: readonly (readonly [number, string])[]): string {
  return [...parts]
    .sort(([a], [b]) => a - b)
    .map(([number, etag]) => `${number}=${etag}`)
    .join();
}
