/** AssumeRoleWithLDAPIdentity: for whoever signs in to a directory. */
import { assumedRoleUser } from './answer.js';
import { stsError } from './errors.js';
import { externalAction } from './external-action.js';

export const assumeRoleWithLdapIdentity = externalAction({
  name: 'AssumeRoleWithLDAPIdentity',
  provider: 'ldap',
  required: [['LDAPUsername'], ['LDAPPassword']],
  fixedDuration: 'always',
  takesPolicy: true,
  notSetUp: () => stsError('STSNotInitialized', "STS API 'AssumeRoleWithLDAPIdentity' is disabled"),
  before: [assumedRoleUser],
});
