import type { Principal } from '../identity/index.js';
import type { Permission } from './operation.js';

/** The one decision (I5). No answer but true allows (I6). */
export type IsAllowed = (principal: Principal, permission: Permission) => boolean;

/** The root account may do everything, nobody else anything. */
export const rootOnly: IsAllowed = (principal) => principal.kind === 'root';
