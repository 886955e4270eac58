/** `identity_ldap`: one directory (LDAP, Active Directory) whose people sign in here. */
import { durationKey, parsedKey, switchKey, textKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';

export interface IdentityLdapSettings {
  readonly serverAddress: string;
  readonly srvRecordName: '' | 'ldap' | 'ldaps' | 'on';
  readonly isInsecure: boolean;
  readonly hasStartTls: boolean;
  readonly skipsVerify: boolean;
  readonly lookupBindDn: string;
  readonly lookupBindPassword: string;
  readonly userBases: string;
  readonly userFilter: string;
  readonly userAttributes: string;
  readonly groupBases: string;
  readonly groupFilter: string;
  readonly followsNested: boolean;
  readonly syncMs: number;
}

const srvNames = ['', 'ldap', 'ldaps', 'on'] as const;

export const identityLdapSubsystem = defineSubsystem({
  name: 'identity_ldap',
  description: 'enable LDAP SSO support',
  takesEffect: 'at the next start',
  enabledBy: ['server_addr'],
  keys: {
    server_addr: textKey('AD/LDAP server address e.g. "myldap.com" or "myldapserver.com:636"', { isRequired: true }),
    srv_record_name: parsedKey(
      'string',
      'DNS SRV record name for LDAP service, if given, must be one of "ldap", "ldaps" or "on"',
      {
        parse: (text) => srvNames.find((name) => name === text.toLowerCase()),
        expects: 'one of "ldap", "ldaps" and "on"',
      },
    ),
    user_dn_search_base_dn: textKey('";" separated list of user search base DNs e.g. "dc=myldapserver,dc=com"'),
    user_dn_search_filter: textKey('search filter to lookup user DN, with %s for the login name'),
    user_dn_attributes: textKey('"," separated list of user DN attributes e.g. "uid,cn,mail,sshPublicKey"', {
      type: 'csv',
    }),
    group_search_filter: textKey(
      'search filter for groups e.g. "(&(objectclass=groupOfNames)(member=%d))", with %d for the DN of the user',
    ),
    group_search_base_dn: textKey('";" separated list of group search base DNs e.g. "dc=myldapserver,dc=com"'),
    group_search_nested: switchKey("set to 'on' to ask for the groups of groups one by one", 'off'),
    tls_skip_verify: switchKey("trust server TLS without verification, defaults to 'off' (verify)", 'off'),
    server_insecure: switchKey("allow plain text connection to AD/LDAP server, defaults to 'off'", 'off'),
    server_starttls: switchKey("use StartTLS connection to AD/LDAP server, defaults to 'off'", 'off'),
    lookup_bind_dn: textKey('DN for LDAP read-only service account used to perform DN and group lookups'),
    lookup_bind_password: textKey('password for LDAP read-only service account', { isSecret: true }),
    sync_interval: durationKey('time between looking whether users left the directory or changed groups', {
      initial: '1h',
      minMs: 1_000,
      maxMs: 24 * 3_600_000,
    }),
  },
  absentKeys: [
    'sts_expiry',
    'username_format',
    'username_search_filter',
    'username_search_base_dn',
    'group_name_attribute',
  ],
  read: (values): IdentityLdapSettings => ({
    serverAddress: values.server_addr,
    srvRecordName: values.srv_record_name,
    isInsecure: values.server_insecure,
    hasStartTls: values.server_starttls,
    skipsVerify: values.tls_skip_verify,
    lookupBindDn: values.lookup_bind_dn,
    lookupBindPassword: values.lookup_bind_password,
    userBases: values.user_dn_search_base_dn,
    userFilter: values.user_dn_search_filter,
    userAttributes: values.user_dn_attributes,
    groupBases: values.group_search_base_dn,
    groupFilter: values.group_search_filter,
    followsNested: values.group_search_nested,
    syncMs: values.sync_interval,
  }),
});
