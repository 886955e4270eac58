/**
 * sts: the security token service. Temporary credentials for accounts of this server and of others: the table
 * of actions, one file per action, the error table, its XML.
 */
export { createStsService, isStsRequest } from './service.js';
export { readAnswer, type StsOutcome } from './read-answer.js';
export type { StsDeps } from './deps.js';
