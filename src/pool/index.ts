/**
 * pool: slabs of shared memory, and the only Piscina code.
 */
export { SlabArena } from './arena.js';
export { GrowingMemory } from './kept-memory.js';
export { ComputePool, type ComputePoolOptions } from './compute-pool.js';
