/**
 * http: the wire. Turns requests into exchanges and answers into bytes, with TLS, back-pressure both ways,
 * bounds on time and memory, and a clean end. The only room that knows uWebSockets.js; beside it stands
 * the same front over node:http, for platforms without its binary and as the reference in tests.
 */
export { createHttpFront } from './uws-front.js';
export { createNodeHttpFront } from './node-front.js';
export type { FrontBounds, FrontLog, HttpFront, HttpFrontOptions } from './front.js';
