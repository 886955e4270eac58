/**
 * signature: SigV4 in headers, presigned, streaming chunks. Pure.
 */
export type * from './signature.js';
