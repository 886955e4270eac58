/** Credentials as the setting `api root_access` leaves them: without those of the root account while it is off. */
import type { CredentialStore } from '../identity/index.js';

export function withRootAccess(
  credentials: CredentialStore,
  rootAccessKey: string,
  isRootAllowed: () => boolean,
): CredentialStore {
  return {
    lookup(accessKey) {
      const credential = credentials.lookup(accessKey);
      if (credential === null || isRootAllowed()) return credential;
      const { principal } = credential;
      const isOfRoot =
        principal.kind !== 'anonymous' && (principal.kind === 'root' || principal.account === rootAccessKey);
      return isOfRoot ? null : credential;
    },
  };
}
