/**
 * A presigned URL may carry x-amz-* headers in its query: whoever follows it cannot set headers.
 * They count as headers that were not sent, since the signature covers the whole query.
 */
import { HeaderMap, type ExchangeRequest } from '../exchange/index.js';
import { isHeaderOfV2Url } from '../signature/index.js';

/** Of the signature itself, and of a body that the signer of a URL does not know. */
const notHeaders = /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256)$/;
/** Of how a body travels: only who sends it can say. */
const notOfSigner = /^x-amz-(sdk-checksum-algorithm|trailer|decoded-content-length)$/;
const bodyChecksum = /^x-amz-checksum-(?!mode$|type$|algorithm$)/;
/**
 * SDKs presign the checksum of the empty body that they hold while they sign: taken at its word, no
 * upload through such a URL could succeed. Any other value is meant: whoever signed knew the body.
 */
const emptyBodyChecksums: Readonly<Record<string, string>> = {
  'x-amz-checksum-crc32': 'AAAAAA==',
  'x-amz-checksum-crc32c': 'AAAAAA==',
  'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=',
  'x-amz-checksum-sha1': '2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
  'x-amz-checksum-sha256': '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
};

/** The same request, with headers from the query of a presigned URL where the request has none of that name. */
export function withQueryHeaders(request: ExchangeRequest, query: ReadonlyMap<string, string>): ExchangeRequest {
  // Without a signature in the query, nobody vouches for it.
  const isV2 = query.has('Signature');
  if (!isV2 && !query.has('X-Amz-Signature')) return request;
  const lifted: [string, string][] = [];
  for (const [name, value] of query) {
    const header = name.toLowerCase();
    if (!(isV2 ? isHeaderOfV2Url(header) : header.startsWith('x-amz-')) || notHeaders.test(header)) continue;
    if (notOfSigner.test(header) || (bodyChecksum.test(header) && emptyBodyChecksums[header] === value)) continue;
    if (!request.headers.has(header)) lifted.push([header, value]);
  }
  if (lifted.length === 0) return request;
  const headers = new HeaderMap();
  for (const name of request.headers.names()) headers.append(name, request.headers.get(name) ?? '');
  for (const [name, value] of lifted) headers.append(name, value);
  const { id, method, rawPath, rawQuery, remoteAddress, secure, peerCertificate, body, isAborted, onAborted } = request;
  const changed = { id, method, rawPath, rawQuery, headers, remoteAddress, secure, body, isAborted, onAborted };
  return peerCertificate === undefined ? changed : { ...changed, peerCertificate };
}
