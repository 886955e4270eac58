import { identityTlsSubsystem } from '../../config/index.js';
import { CertificateIdentity } from '../../identity/index.js';
import { isPolicyPluginSet } from '../policy-plugin.js';
import { notSetUp, type BuildProvider, type ProviderContext } from './provider-parts.js';

export const buildCertificate: BuildProvider = (context) => {
  const { settings, iam, clock } = context;
  const { isEnabled, skipsVerification } = settings.read(identityTlsSubsystem);
  if (!isEnabled) return notSetUp;
  return {
    ...notSetUp,
    provider: new CertificateIdentity({
      skipsVerification,
      hasPolicy: (name) => iam.policy(name) !== null,
      arePoliciesElsewhere: isPolicyPluginSet(settings),
      clock,
    }),
    warnings: warningsOf(context, skipsVerification),
  };
};

function warningsOf({ isTls, authorities }: ProviderContext, skipsVerification: boolean): string[] {
  const warnings: string[] = [];
  if (!isTls) warnings.push('identity_tls is on, but this server speaks plain HTTP: no client can show a certificate.');
  if (skipsVerification) {
    warnings.push(
      'identity_tls skip_verify is on: client certificates are NOT verified, and anybody gets the rights of any policy, consoleAdmin included. For tests only.',
    );
  } else if (isTls && authorities.length === 0) {
    warnings.push(
      'identity_tls is on, but the CAs folder of the certs folder is empty: no client certificate is trusted.',
    );
  }
  return warnings;
}
