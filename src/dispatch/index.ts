/**
 * dispatch: the one pipeline parse → authenticate → authorize → act.
 */
export type { Authorized, OperationSpec, ParsedCall, Permission } from './operation.js';
