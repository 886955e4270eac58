/** Every subsystem that has an effect, in the order of help and export. */
import type { Subsystem } from '../subsystem.js';
import { apiSubsystem } from './api.js';
import { identityLdapSubsystem } from './identity-ldap.js';
import { openIdSubsystem } from './identity-openid.js';
import { identitySubsystem } from './identity.js';
import { identityPluginSubsystem } from './identity-plugin.js';
import { identityTlsSubsystem } from './identity-tls.js';
import { policyOpaSubsystem, policyPluginSubsystem } from './policy-plugin.js';
import { regionSubsystem, siteSubsystem } from './site.js';
import { storageClassSubsystem } from './storage-class.js';
import { healSubsystem, scannerSubsystem } from './upkeep.js';
import { auditWebhookSubsystem, loggerWebhookSubsystem } from './webhooks.js';

export const subsystems: readonly Subsystem[] = [
  siteSubsystem,
  regionSubsystem,
  apiSubsystem,
  scannerSubsystem,
  identitySubsystem,
  openIdSubsystem,
  identityLdapSubsystem,
  identityTlsSubsystem,
  identityPluginSubsystem,
  policyPluginSubsystem,
  policyOpaSubsystem,
  loggerWebhookSubsystem,
  auditWebhookSubsystem,
  storageClassSubsystem,
  healSubsystem,
];
