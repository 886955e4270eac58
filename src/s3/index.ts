/**
 * s3: the S3 protocol. The operation table, one file per operation, XML documents, the error table.
 */
export { createS3Service } from './service.js';
export type { DigestAlgorithm, S3Deps } from './deps.js';
export { errorResponse, type ErrorContext } from './error-response.js';
export { s3Error, type S3ErrorCode } from './errors.js';
