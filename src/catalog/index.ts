/**
 * catalog: the ordered index of the whole server, behind one interface, rebuildable from the logs.
 */
export type { Catalog, CatalogBatch, CatalogEntry, RangeOptions, Turn } from './catalog.js';
export { folderTrouble, freeBytesOf, type FolderTrouble } from './named-folder.js';
export { inOrderOfUse, indexFolderOf, removeOtherIndexes } from './index-place.js';
export {
  IndexDamaged,
  openExistingCatalog,
  openRunCatalog,
  removeRunCatalog,
  type IndexPlace,
  type RunCatalogOptions,
} from './run-catalog.js';
