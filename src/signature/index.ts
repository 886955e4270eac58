/**
 * signature: SigV4 in headers, presigned, streaming chunks. Pure.
 */
export type * from './signature.js';
export { AwsChunkedDecoder, type ChunkedEnd, type ChunkedOptions, type ChunkedSink } from './aws-chunked.js';
export { verifyDocument, type ReceivedDocument } from './document.js';
export { decodePath, parseQuery, type QueryPair } from './uri.js';
export { createSignatureVerifier, type SignatureKernels } from './verifier.js';
