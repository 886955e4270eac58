/**
 * native: the typed face of the addon, and nothing else.
 */
export { kernels, Digest, streamStateBytes, type ChunkSigning, type DigestName, type Kernels } from './kernels.js';
export { io, IoFlag, IoKind, type IoNative, type IoQueue, type IoRequest, type IoResult } from './io.js';
export { processNative, type ProcessNative } from './process.js';
export { keyDerivation, type KeyDerivation } from './argon2.js';
export {
  deletionsPerPause,
  indexStores,
  isNoAnswer,
  isShortage,
  onlyDeleted,
  type IndexFigures,
  type IndexStore,
  type IndexStores,
} from './index-store.js';
