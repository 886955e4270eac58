/** AssumeRoleWithCustomToken: for whom an identity plugin vouches. */
import { stsError } from './errors.js';
import { externalAction } from './external-action.js';

export const assumeRoleWithCustomToken = externalAction({
  name: 'AssumeRoleWithCustomToken',
  provider: 'plugin',
  // One plugin has one role: there is nothing to choose.
  required: [['Token']],
  fixedDuration: 'never',
  takesPolicy: true,
  notSetUp: () => stsError('STSNotInitialized', "STS API 'AssumeRoleWithCustomToken' is disabled"),
  after: ({ subject }) => [['AssumedUser', subject]],
});
