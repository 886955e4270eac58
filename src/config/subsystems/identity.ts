/** `identity`: what external identity leaves of the accounts of this server. */
import { switchKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';

export interface IdentitySettings {
  /** Internal users stay beside a claim-based OpenID provider. */
  readonly isInternalKept: boolean;
}

export const identitySubsystem = defineSubsystem({
  name: 'identity',
  description: 'decide what becomes of the users of this server beside external identity',
  takesEffect: 'at the next start',
  keys: {
    internal: switchKey(
      "set to 'on' to keep users, their access keys and sessions beside a claim-based OpenID provider",
      'off',
    ),
  },
  read: ({ internal }): IdentitySettings => ({ isInternalKept: internal }),
});
