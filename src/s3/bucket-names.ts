/** The names that a new bucket may have. Pure. */
import { s3Error } from './errors.js';

const nameCharsMin = 3;
const nameCharsMax = 63;

/** Lower-case letters, digits and hyphens in labels between dots; no label starts or ends with a hyphen. */
const labels = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const ipv4Shape = /^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$/;
/** What AWS keeps for itself, so that a bucket can move between stores. */
const reservedPrefixes = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const reservedSuffixes = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];
/** Paths that the server itself answers. */
const reservedNames = new Set(['minio', 'granary']);

/** Throws InvalidBucketName, AllAccessDisabled. */
export function checkNewBucketName(name: string): void {
  if (reservedNames.has(name) || name === '.minio.sys') throw s3Error('AllAccessDisabled');
  const isLegal =
    name.length >= nameCharsMin &&
    name.length <= nameCharsMax &&
    labels.test(name) &&
    !ipv4Shape.test(name) &&
    !reservedPrefixes.some((prefix) => name.startsWith(prefix)) &&
    !reservedSuffixes.some((suffix) => name.endsWith(suffix));
  if (!isLegal) throw s3Error('InvalidBucketName');
}
