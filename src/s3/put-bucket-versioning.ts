/**
 * PutBucketVersioning, with MinIO's exceptions: prefixes and folders that are written as if it were suspended.
 * Deleting with a second factor is not there, so asking for it is refused.
 */
import { limits } from '../base/index.js';
import type { OperationSpec } from '../dispatch/index.js';
import type { BucketVersioning } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { readDocument } from './request-body.js';
import { documentSchema, list, optionalText, parseXml, type Parsed } from './xml/index.js';

const wordCharsMax = 32;

const fields = {
  Status: optionalText(wordCharsMax),
  MfaDelete: optionalText(wordCharsMax),
  MFADelete: optionalText(wordCharsMax),
  ExcludedPrefixes: list({ Prefix: optionalText(limits.keyBytesMax) }, limits.excludedPrefixesMax),
  ExcludeFolders: optionalText(wordCharsMax),
} as const;

const schema = documentSchema({ root: 'VersioningConfiguration', fields, elementsMax: 100 });

export const putBucketVersioning: OperationSpec<null, S3Deps> = {
  name: 'PutBucketVersioning',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:PutBucketVersioning', bucket, key: '' }],
  async handle(deps, call) {
    const body = await readDocument(deps, call, { bytesMax: limits.configBodyBytesMax, integrity: 'optional' });
    const versioning = toVersioning(await parseXml(body, schema));
    await deps.objects.setVersioning(call.bucket, versioning);
    return { status: 200, headers: [], body: { kind: 'empty' } };
  },
};

function toVersioning(document: Parsed<typeof fields>): BucketVersioning {
  const status = document.Status?.trim();
  if (status !== 'Enabled' && status !== 'Suspended') throw s3Error('IllegalVersioningConfigurationException');
  for (const mfa of [document.MfaDelete, document.MFADelete]) {
    if ((mfa ?? 'Disabled').trim() !== 'Disabled') throw s3Error('NotImplemented', 'MFA delete is not implemented.');
  }
  const excludedPrefixes = document.ExcludedPrefixes.map(({ Prefix: prefix }) => {
    // It would exclude every key.
    if (prefix === null || prefix === '') throw s3Error('MalformedXML');
    return prefix;
  });
  const excludesFolders = parseFlag(document.ExcludeFolders);
  if (status === 'Suspended' && (excludedPrefixes.length > 0 || excludesFolders)) {
    throw s3Error('InvalidRequest', 'Prefixes and folders can be excluded only while versioning is enabled.');
  }
  return { status, excludedPrefixes, excludesFolders };
}

function parseFlag(text: string | null): boolean {
  const value = text?.trim().toLowerCase() ?? 'false';
  if (value !== 'true' && value !== 'false') throw s3Error('MalformedXML');
  return value === 'true';
}
