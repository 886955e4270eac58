/** AssumeRoleWithCertificate: for the certificate that a client connects with. */
import { stsError } from './errors.js';
import { externalAction } from './external-action.js';

export const assumeRoleWithCertificate = externalAction({
  name: 'AssumeRoleWithCertificate',
  provider: 'certificate',
  policyAction: 'AssumeRoleWithClientCertificate',
  required: [],
  fixedDuration: 'always',
  takesPolicy: false,
  durationError: 'MissingParameter',
  notSetUp: () => stsError('STSNotInitialized', "STS API 'AssumeRoleWithCertificate' is disabled"),
});
