/**
 * DeleteObjects: up to 1,000 keys in one document. Each is decided for itself: one that may not be deleted, or
 * cannot be, is an entry of the answer. All deletes are submitted together, so that they share a commit batch.
 */
import { limits, Refusal } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { DeleteOutcome } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { withoutQuotes } from './entity-tag.js';
import { describeRefusal, s3Error } from './errors.js';
import { readDocument } from './request-body.js';
import { documentSchema, list, optionalText, parseXml, requiredText, XmlWriter, xmlResponse } from './xml/index.js';

/** Longer ones are an entry of the answer, up to here. */
const keyCharsMax = 4 * limits.keyBytesMax;
const valueCharsMax = 256;

const schema = documentSchema({
  root: 'Delete',
  fields: {
    Quiet: optionalText(valueCharsMax),
    Object: list(
      {
        Key: requiredText(keyCharsMax),
        VersionId: optionalText(valueCharsMax),
        ETag: optionalText(valueCharsMax),
        LastModifiedTime: optionalText(valueCharsMax),
        Size: optionalText(valueCharsMax),
      },
      limits.deleteKeysMax,
    ),
  },
  // Each object, its elements of today, and as many of tomorrow.
  elementsMax: 16 * limits.deleteKeysMax,
});

interface Target {
  readonly key: string;
  /** Empty: none was given. */
  readonly versionId: string;
  /** Empty: whatever is there. */
  readonly etag: string;
  /** A condition that we do not have: it must not be passed over. */
  readonly hasUnknownCondition: boolean;
}

interface DeleteRequest {
  readonly isQuiet: boolean;
  readonly targets: readonly Target[];
}

export const deleteObjects: OperationSpec<null, S3Deps> = {
  name: 'DeleteObjects',
  parse: () => null,
  /** Decided for each key. */
  permissions: () => [],
  async handle(deps, call) {
    const body = await readDocument(deps, call, { bytesMax: limits.deleteBodyBytesMax, integrity: 'required' });
    const { isQuiet, targets } = await parseDelete(body);
    const refusals = await Promise.all(targets.map((target) => refuse(call, target)));
    // Whoever may delete nothing learns nothing about the bucket.
    if (refusals.includes(null)) deps.objects.bucket(call.bucket);
    const outcomes = await Promise.all(
      targets.map((target, index) => deleteOne(deps, call.bucket, target, refusals[index] ?? null)),
    );
    const xml = new XmlWriter('DeleteResult');
    targets.forEach((target, index) => {
      const outcome = outcomes[index];
      if (outcome instanceof Refusal) writeError(xml, target, outcome);
      else if (!isQuiet && outcome !== undefined) writeDeleted(xml, target, outcome);
    });
    return xmlResponse(xml.end());
  },
};

async function parseDelete(body: Uint8Array): Promise<DeleteRequest> {
  const { Quiet, Object: objects } = await parseXml(body, schema);
  if (objects.length === 0) throw s3Error('MalformedXML');
  // The same object twice is one delete and one entry.
  const targets = new Map<string, Target>();
  for (const { Key: key, VersionId, ETag, LastModifiedTime, Size } of objects) {
    if (key === '') throw s3Error('MalformedXML');
    const versionId = VersionId ?? '';
    const etag = withoutQuotes(ETag ?? '');
    const hasUnknownCondition = LastModifiedTime !== null || Size !== null;
    // No key holds a NUL.
    targets.set([key, versionId, etag].join('\0'), { key, versionId, etag, hasUnknownCondition });
  }
  return { isQuiet: parseQuiet(Quiet), targets: [...targets.values()] };
}

function parseQuiet(text: string | null): boolean {
  const value = text?.trim().toLowerCase() ?? 'false';
  if (value !== 'true' && value !== 'false') throw s3Error('MalformedXML');
  return value === 'true';
}

/** What is known without looking at the bucket. */
async function refuse(
  call: Authorized<unknown>,
  { key, versionId, hasUnknownCondition }: Target,
): Promise<Refusal | null> {
  const action = versionId === '' ? 's3:DeleteObject' : 's3:DeleteObjectVersion';
  const values = { 's3:versionid': versionId === '' ? [] : [versionId] };
  if (!(await call.isAllowed({ action, bucket: call.bucket, key, values }))) return s3Error('AccessDenied');
  if (Buffer.byteLength(key) > limits.keyBytesMax) return s3Error('KeyTooLongError');
  if (hasUnknownCondition) return s3Error('NotImplemented');
  return null;
}

/** A refusal is an entry; a fault of ours fails the request, and may be repeated without harm. */
async function deleteOne(
  { objects }: S3Deps,
  bucket: string,
  target: Target,
  refusal: Refusal | null,
): Promise<Refusal | DeleteOutcome> {
  if (refusal !== null) return refusal;
  const precondition = target.etag === '' ? null : { ifMatch: [target.etag] };
  try {
    return await objects.deleteObject(bucket, target.key, target.versionId, precondition);
  } catch (error) {
    if (error instanceof Refusal && error.code !== 'InternalError') return error;
    throw error;
  }
}

function writeError(xml: XmlWriter, target: Target, refusal: Refusal): void {
  const { code, message } = describeRefusal(refusal);
  xml.open('Error');
  writeNames(xml, target).text('Code', code).text('Message', message).close();
}

function writeDeleted(xml: XmlWriter, target: Target, { versionId, isMarker }: DeleteOutcome): void {
  writeNames(xml.open('Deleted'), target);
  if (isMarker) xml.boolean('DeleteMarker', true).text('DeleteMarkerVersionId', versionId ?? '');
  xml.close();
}

function writeNames(xml: XmlWriter, { key, versionId }: Target): XmlWriter {
  xml.text('Key', key);
  return versionId === '' ? xml : xml.text('VersionId', versionId);
}
