/**
 * The versioning of a bucket: its document, as S3 and MinIO spell it, and what it says about a key. One
 * spelling is stored; the reader is for that one, and for what other servers export.
 */
import { limits } from '../base/index.js';
import type { BucketVersioning } from './object-layer.js';

/** How a write to a key is kept. */
export type WriteMode = 'unversioned' | 'enabled' | 'suspended';

export const neverVersioned: BucketVersioning = { status: null, excludedPrefixes: [], excludesFolders: false };

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';
const documentCharsMax = 64 * 1024;

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const characters: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
};

export function formatVersioning({ status, excludedPrefixes, excludesFolders }: BucketVersioning): string {
  const prefixes = excludedPrefixes.map((prefix) => {
    const text = prefix.replace(/[&<>"]/g, (character) => entities[character] ?? character);
    return `<ExcludedPrefixes><Prefix>${text}</Prefix></ExcludedPrefixes>`;
  });
  return [
    `<VersioningConfiguration xmlns="${namespace}">`,
    status === null ? '' : `<Status>${status}</Status>`,
    ...prefixes,
    excludesFolders ? '<ExcludeFolders>true</ExcludeFolders>' : '',
    '</VersioningConfiguration>',
  ].join('');
}

/** Null for what is not such a document. */
export function parseVersioning(text: string): BucketVersioning | null {
  if (text.length > documentCharsMax) return null;
  const root =
    /^\s*(?:<\?xml[^>]*\?>\s*)?<VersioningConfiguration(?:\s[^>]*)?(?:\/>|>([\s\S]*)<\/VersioningConfiguration>)\s*$/;
  const match = root.exec(text);
  if (match === null) return null;
  const element =
    /\s*(?:<Status>(Enabled|Suspended)<\/Status>|<ExcludedPrefixes>\s*<Prefix>([^<]*)<\/Prefix>\s*<\/ExcludedPrefixes>|<ExcludeFolders>(true|false)<\/ExcludeFolders>|<M[Ff][Aa]Delete>Disabled<\/M[Ff][Aa]Delete>)\s*/y;
  const body = match[1] ?? '';
  let status: BucketVersioning['status'] = null;
  let excludesFolders = false;
  const excludedPrefixes: string[] = [];
  while (element.lastIndex < body.length) {
    const found = element.exec(body);
    if (found === null) return null;
    const [, statusText, prefix, folders] = found;
    if (statusText !== undefined) status = statusText as 'Enabled' | 'Suspended';
    if (prefix !== undefined) {
      excludedPrefixes.push(prefix.replace(/&(?:amp|lt|gt|quot|apos);/g, (entity) => characters[entity] ?? entity));
    }
    if (folders !== undefined) excludesFolders = folders === 'true';
  }
  if (excludedPrefixes.length > limits.excludedPrefixesMax) return null;
  return { status, excludedPrefixes, excludesFolders };
}

export function writeMode({ status, excludedPrefixes, excludesFolders }: BucketVersioning, key: string): WriteMode {
  if (status === null) return 'unversioned';
  if (status === 'Suspended') return 'suspended';
  const isExcluded =
    (excludesFolders && key.endsWith('/')) || excludedPrefixes.some((pattern) => startsWithPattern(key, pattern));
  return isExcluded ? 'suspended' : 'enabled';
}

/** Whether the key begins with something that the pattern matches. Linear: what follows a `*` is taken at its first place. */
function startsWithPattern(key: string, pattern: string): boolean {
  const [head = '', ...pieces] = pattern.split('*');
  if (!key.startsWith(head)) return false;
  let at = head.length;
  for (const piece of pieces) {
    const found = key.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return true;
}
