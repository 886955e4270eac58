/** AssumeRoleWithCustomToken: for whom an identity plugin vouches. */
import { stsError } from './errors.js';
import { externalAction } from './external-action.js';

export const assumeRoleWithCustomToken = externalAction({
  name: 'AssumeRoleWithCustomToken',
  provider: 'plugin',
  required: [['Token'], ['RoleArn']],
  fixedDuration: 'never',
  takesPolicy: false,
  notSetUp: () => stsError('STSNotInitialized', "STS API 'AssumeRoleWithCustomToken' is disabled"),
  after: ({ subject }) => [['AssumedUser', subject]],
});
