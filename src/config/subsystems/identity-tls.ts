/** `identity_tls`: client certificates as proof of identity. */
import { switchKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';

export interface IdentityTlsSettings {
  readonly isEnabled: boolean;
  readonly skipsVerification: boolean;
}

export const identityTlsSubsystem = defineSubsystem({
  name: 'identity_tls',
  description: 'enable X.509 TLS certificate SSO support',
  takesEffect: 'at the next start',
  keys: {
    enable: switchKey('accept client certificates for AssumeRoleWithCertificate', 'off'),
    skip_verify: switchKey('trust client certificates without verification. Defaults to "off" (verify)', 'off'),
  },
  read: ({ enable, skip_verify }): IdentityTlsSettings => ({ isEnabled: enable, skipsVerification: skip_verify }),
});
