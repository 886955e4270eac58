import type { Principal } from '../../src/identity/index.js';

/** The root account under a name of the test's own. */
export const rootPrincipal = (accessKey: string): Principal => ({
  kind: 'root',
  accessKey,
  account: accessKey,
  source: 'root',
  claims: new Map(),
  groups: [],
});
