/** The documents of buckets as one archive: `mc admin cluster bucket export` and `import`. */
import { limits, Refusal } from '../base/index.js';
import type { BucketDocumentKind } from '../object/index.js';
import { jsonAnswer } from './answer.js';
import { plainBody } from './body.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { adminOperation, type AdminRoute } from './operation.js';
import { readZip, writeZip, type ZipMember } from './zip.js';

/** File in the archive, and the name under which the client reads how its import went. */
const documents: readonly { kind: BucketDocumentKind; file: string; reported: string }[] = [
  { kind: 'policy', file: 'policy.json', reported: 'policy' },
  { kind: 'versioning', file: 'versioning.xml', reported: 'versioning' },
  { kind: 'object-lock', file: 'object-lock.xml', reported: 'olock' },
  { kind: 'tagging', file: 'tagging.xml', reported: 'tagging' },
  { kind: 'lifecycle', file: 'lifecycle.xml', reported: 'lifecycle' },
  { kind: 'notification', file: 'notification.xml', reported: 'notification' },
  { kind: 'encryption', file: 'bucket-encryption.xml', reported: 'sse' },
  { kind: 'quota', file: 'quota.json', reported: 'quota' },
  { kind: 'cors', file: 'cors.xml', reported: 'cors' },
];

const exportBuckets = adminOperation({
  name: 'ExportBucketMetadata',
  access: ['ExportBucketMetadata'],
  handle: async (deps, call) => {
    const asked = call.input.query('bucket');
    const buckets = asked === '' ? deps.objects.listBuckets().map(({ name }) => name) : [asked];
    const members: ZipMember[] = [];
    for (const bucket of buckets) {
      for (const { kind, file } of documents) {
        const document = deps.documents.bucketDocument(bucket, kind);
        if (document !== null) members.push({ name: `${bucket}/${file}`, bytes: Buffer.from(document.text) });
      }
    }
    const bytes = await writeZip(members);
    return { status: 200, headers: [['Content-Type', 'application/zip']], body: { kind: 'bytes', bytes } };
  },
});

interface MetaStatus {
  readonly isSet: boolean;
  readonly error?: string;
}

const importBuckets = adminOperation({
  name: 'ImportBucketMetadata',
  access: ['ImportBucketMetadata'],
  handle: async (deps, call) => {
    const only = call.input.query('bucket');
    const archive = await plainBody(call, limits.adminArchiveBytesMax);
    const buckets: Record<string, Record<string, MetaStatus | string>> = {};
    for (const { name, bytes } of await readZip(archive, limits.adminArchive)) {
      const [bucket = '', file = '', ...rest] = name.split('/');
      const known = rest.length === 0 ? documents.find((document) => document.file === file) : undefined;
      if (known === undefined || (only !== '' && bucket !== only)) continue;
      const status = (buckets[bucket] ??= await createMissing(deps, bucket));
      if (typeof status['error'] === 'string') continue;
      status[known.reported] = await importOne(deps, bucket, known.kind, bytes);
    }
    return jsonAnswer({ buckets });
  },
});

async function createMissing({ objects, region }: AdminDeps, bucket: string): Promise<Record<string, string>> {
  try {
    if (!objects.listBuckets().some(({ name }) => name === bucket)) {
      if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || bucket === 'minio') {
        throw adminError('InvalidArgument', 'The name is not one of a bucket.');
      }
      await objects.createBucket(bucket, { region });
    }
    return {};
  } catch (error) {
    return { error: reasonOf(error) };
  }
}

async function importOne(
  deps: AdminDeps,
  bucket: string,
  kind: BucketDocumentKind,
  bytes: Uint8Array,
): Promise<MetaStatus> {
  try {
    const text = deps.checkDocument(bucket, kind, Buffer.from(bytes).toString('utf8'));
    await deps.documents.setBucketDocument(bucket, kind, text);
    return { isSet: true };
  } catch (error) {
    return { isSet: false, error: reasonOf(error) };
  }
}

/** Refusals are for the client; anything else is ours, and fails the request. */
function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  throw error;
}

export const bucketArchiveRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'export-bucket-metadata', operation: exportBuckets },
  { method: 'PUT', path: 'import-bucket-metadata', operation: importBuckets },
];
