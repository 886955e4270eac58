/**
 * signature: SigV4 in headers, presigned, streaming chunks; SigV2 in headers and presigned; form policies. Pure.
 */
export type * from './signature.js';
export { AwsChunkedDecoder, type ChunkedEnd, type ChunkedOptions, type ChunkedSink } from './aws-chunked.js';
export { createFormVerifier, type FormKernels } from './form.js';
export { verifyDocument, type ReceivedDocument } from './document.js';
export { decodePath, parseQuery, type QueryPair } from './uri.js';
export { createSignatureVerifier, type SignatureKernels } from './verifier.js';
export { isHeaderOfV2Url } from './v2.js';
