import { notSetUp, type BuildProvider } from './provider-parts.js';

/** There are no settings that would set it up. */
export const buildOpenId: BuildProvider = () => notSetUp;
