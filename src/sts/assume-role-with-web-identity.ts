/** AssumeRoleWithWebIdentity: for whom an OpenID provider vouches. */
import { assumedRoleUser } from './answer.js';
import { stsError } from './errors.js';
import { externalAction } from './external-action.js';

export const assumeRoleWithWebIdentity = externalAction({
  name: 'AssumeRoleWithWebIdentity',
  provider: 'openid',
  required: [['WebIdentityToken', 'Token']],
  fixedDuration: 'when-asked',
  takesPolicy: true,
  notSetUp: () => stsError('InvalidParameterValue', 'No OpenID provider is set up.'),
  before: [assumedRoleUser],
  after: ({ subject }) => [['SubjectFromWebIdentityToken', subject]],
});
