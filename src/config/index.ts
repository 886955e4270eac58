/**
 * config: flags, environment and files to one validated, frozen object that prints itself without secrets.
 * Every mistake of the operator is a StartupError: one line of cause, one of remedy.
 */
export { loadConfig, type Config, type ConfigInput, type Flags, type LoadedConfig } from './config.js';
export { Settings, readSettings, type Setting } from './environment.js';
export { type Environment } from './environment-file.js';
export { expandDrives } from './drives.js';
export { chooseSetSize } from './set-size.js';
export { expandEllipses } from './ellipses.js';
export { Secret } from './secret.js';
export { parseSize, parseSwitch, splitWords } from './words.js';
export { type RootCredentials } from './credentials.js';
export { type TlsFiles } from './certificates.js';
export {
  ServerSettings,
  type ServerSettingsOptions,
  type SettingsChange,
  type SettingsView,
  type TargetView,
} from './server-settings.js';
export { checkEnvironment } from './effective.js';
export { decodeSettingsText, type SettingsErrorCode } from './settings-text.js';
export { type SettingsHelp } from './settings-help.js';
export { settingsPrefix, type HistoryEntry, type SettingsRecords } from './stored-settings.js';
export { defaultTarget, type SetFacts, type SettingFacts, type Subsystem } from './subsystem.js';
export { subsystems } from './subsystems/index.js';
export { apiSubsystem, type ApiSettings } from './subsystems/api.js';
export { identitySubsystem, type IdentitySettings } from './subsystems/identity.js';
export { identityLdapSubsystem, type IdentityLdapSettings } from './subsystems/identity-ldap.js';
export { azureMigration, openIdSetUpName, openIdSubsystem, type OpenIdTarget } from './subsystems/identity-openid.js';
export { checkIdentityTogether, claimBasedOpenId } from './subsystems/identity-rules.js';
export { regionSubsystem, siteSubsystem, type SiteSettings } from './subsystems/site.js';
export { identityPluginSubsystem, type IdentityPluginSettings } from './subsystems/identity-plugin.js';
export { identityTlsSubsystem, type IdentityTlsSettings } from './subsystems/identity-tls.js';
export { policyOpaSubsystem, policyPluginSubsystem, type PolicyPluginSettings } from './subsystems/policy-plugin.js';
export { parityIn, storageClassSubsystem, type StorageClassSettings } from './subsystems/storage-class.js';
export { healSubsystem, scannerSubsystem, type PaceSettings, type ScannerSettings } from './subsystems/upkeep.js';
export { auditWebhookSubsystem, loggerWebhookSubsystem, type WebhookSettings } from './subsystems/webhooks.js';
