/**
 * identity: principals and credentials. One place resolves a credential to a principal (I5).
 */
export type { Credential, CredentialStore } from './identity.js';
export type * from './principal.js';
export type * from './iam.js';
export type * from './iam-store.js';
export { createRootCredentials, type RootCredentialOptions } from './root-credentials.js';
