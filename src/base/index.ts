/**
 * base: what every room stands on. No I/O, no state.
 */
export { invariant, unreachable, InvariantError } from './invariant.js';
export { Refusal, StartupError } from './refusal.js';
export { escapeXml } from './escape-xml.js';
export { httpDate } from './http-date.js';
export { KiB, MiB, GiB, TiB, divCeil, alignUp } from './units.js';
export { Roster, type RosterMember } from './roster.js';
export { systemClock, type Clock } from './clock.js';
export { ForwardSteps } from './forward-steps.js';
export { Deadline } from './deadline.js';
export * as limits from './limits.js';
export type { PeerCertificate } from './peer-certificate.js';
export type { Piece, PieceSource } from './piece.js';
export type { KeptMemory, KeptSlab, Segments, Slab, SlabAllocator, SlabPurpose } from './slab.js';
