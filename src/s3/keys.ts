/** Names of buckets. Keys need no rule of their own: what is not legal is refused when the path is decoded. Pure. */
import { s3Error } from './errors.js';

const nameShape = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const addressShape = /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/;
/** Taken by S3 for access points and the like: clients treat such names specially. */
const reservedPrefixes = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const reservedSuffixes = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];
/** Paths of the server's own interfaces. */
const reservedNames = new Set(['minio', 'granary', '.minio.sys']);

/** True for names that a new bucket may have. */
export function isBucketName(name: string): boolean {
  if (!nameShape.test(name) || addressShape.test(name)) return false;
  // No empty label, and none that begins or ends with a hyphen.
  if (name.includes('..') || name.includes('.-') || name.includes('-.')) return false;
  if (reservedPrefixes.some((prefix) => name.startsWith(prefix))) return false;
  return !reservedSuffixes.some((suffix) => name.endsWith(suffix));
}

/** For CreateBucket. Throws AllAccessDisabled, InvalidBucketName. */
export function checkNewBucketName(name: string): void {
  if (reservedNames.has(name)) throw s3Error('AllAccessDisabled');
  if (!isBucketName(name)) throw s3Error('InvalidBucketName');
}
