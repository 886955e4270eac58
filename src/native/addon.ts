import { createRequire } from 'node:module';

/**
 * The one place that loads the addon. `build/Release` lies beside `src` in a checkout and beside
 * `dist` in a package, so both resolve it the same way.
 */
const load = createRequire(import.meta.url);
export const addon: unknown = load('../../build/Release/granary.node');
