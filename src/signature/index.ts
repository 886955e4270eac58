/**
 * signature: SigV4 in headers, presigned, streaming chunks. Pure.
 */
export type * from './signature.js';
export { verifyDocument, type ReceivedDocument } from './document.js';
