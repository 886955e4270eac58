/** AssumeRoleWithClientGrants: the same as with a web identity, as programs of before there was that ask for it. */
import { assumedRoleUser } from './answer.js';
import { stsError } from './errors.js';
import { externalAction } from './external-action.js';

export const assumeRoleWithClientGrants = externalAction({
  name: 'AssumeRoleWithClientGrants',
  provider: 'openid',
  required: [['Token', 'WebIdentityToken']],
  fixedDuration: 'when-asked',
  takesPolicy: true,
  notSetUp: () => stsError('InvalidParameterValue', 'No OpenID provider is set up.'),
  before: [assumedRoleUser],
  after: ({ subject }) => [['SubjectFromToken', subject]],
});
