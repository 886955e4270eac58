/**
 * identity: principals and credentials. One place resolves a credential to a principal (I5).
 */
export type { Credential, CredentialStore, Principal } from './identity.js';
export { createRootCredentials, type RootCredentialOptions } from './root-credentials.js';
