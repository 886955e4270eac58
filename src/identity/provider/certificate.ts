/**
 * Client certificates as proof of identity: the common name is the name of a policy. Who holds the key was proved in
 * the TLS handshake, and whether the chain is trusted was found there; the rest of what a certificate must be is here.
 */
import { X509Certificate } from 'node:crypto';
import { limits, Refusal, type Clock, type PeerCertificate } from '../../base/index.js';
import type { ExternalIdentity, IdentityErrorCode, IdentityProof, IdentityProvider } from '../external-identity.js';

export interface CertificateIdentityOptions {
  /** Certificates of no trusted authority count as well: whoever asks names the policy. */
  readonly skipsVerification: boolean;
  readonly hasPolicy: (name: string) => boolean;
  /** Somebody else decides what accounts may: the policy need not exist here. */
  readonly arePoliciesElsewhere: boolean;
  readonly clock: Pick<Clock, 'nowMs'>;
}

const { intermediatesMax, nameBytesMax } = limits.clientCertificate;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyUsage = '2.5.29.37.0';

export class CertificateIdentity implements IdentityProvider {
  readonly #options: CertificateIdentityOptions;

  constructor(options: CertificateIdentityOptions) {
    this.#options = options;
  }

  async identify(proof: IdentityProof): Promise<ExternalIdentity> {
    return Promise.resolve(this.#identify(proof));
  }

  #identify({ secure, certificate, durationSeconds }: IdentityProof): ExternalIdentity {
    const { hasPolicy, arePoliciesElsewhere, clock } = this.#options;
    if (!secure) throw refusal('InsecureConnection', 'No TLS connection attempt');
    if (certificate == null) throw refusal('MissingParameter', 'No client certificate provided');
    const leaf = this.#check(certificate);
    const { subject, issuer } = leaf.toLegacyObject();
    const name = policyNameOf(subject.CN);
    const nowMs = clock.nowMs();
    const endsMs = Date.parse(leaf.validTo);
    if (Date.parse(leaf.validFrom) > nowMs || !(endsMs > nowMs)) {
      throw refusal('InvalidClientCertificate', 'The client certificate is not valid now.');
    }
    if (!arePoliciesElsewhere && !hasPolicy(name)) {
      throw refusal('AccessDenied', `The policy \`${name}\`, which the common name stands for, does not exist.`);
    }
    const account = `tls:${name}`;
    return {
      ...{ account, source: 'certificate', subject: '', policyNames: [name], groups: [], roleArn: '', provider: '_' },
      claims: new Map<string, string | readonly string[]>([
        ['sub', name],
        ['aud', textsOf(subject.O)],
        ['iss', textsOf(issuer.CN)[0] ?? ''],
      ]),
      expiresMs: Math.min(nowMs + (durationSeconds ?? limits.sessionSeconds.usual) * 1000, endsMs),
    };
  }

  #check({ raw, intermediateCount, distrust }: PeerCertificate): X509Certificate {
    const leaf = read(raw);
    // TLS proves the key of one certificate, the first: it must not be one that vouches for others.
    if (leaf.ca) throw refusal('MissingParameter', 'No client certificate provided, but one of an authority');
    if (intermediateCount > intermediatesMax) {
      throw refusal('TooManyIntermediateCAs', `There are ${intermediatesMax} intermediate certificates at most.`);
    }
    if (!this.#options.skipsVerification) {
      if (distrust === '') return leaf;
      throw refusal('InvalidClientCertificate', `The client certificate is not trusted: ${distrust}`);
    }
    const usages: readonly string[] = leaf.keyUsage ?? [];
    if (!usages.includes(clientAuth) && !usages.includes(anyUsage)) {
      throw refusal('MissingParameter', 'The client certificate is not one for client authentication');
    }
    return leaf;
  }
}

function read(raw: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(raw);
  } catch (error) {
    throw refusal('InvalidClientCertificate', 'The client certificate cannot be read.', error);
  }
}

/** Several common names would be several accounts; a comma in one would be several policies. */
function policyNameOf(commonName: unknown): string {
  const [name = '', ...others] = textsOf(commonName);
  if (name === '') throw refusal('MissingParameter', 'The client certificate has no common name');
  const isPlain = name === name.trim() && !/[\p{Cc}\p{Cs}/\\,]/u.test(name) && name !== '.' && name !== '..';
  if (others.length > 0 || !isPlain || Buffer.byteLength(name) > nameBytesMax) {
    throw refusal('InvalidParameterValue', 'The common name of the client certificate cannot be the name of a policy');
  }
  return name;
}

/** One value is a text, several are a list of them, none is missing. */
function textsOf(value: unknown): readonly string[] {
  return [value ?? []].flat().filter((one): one is string => typeof one === 'string');
}

function refusal(code: IdentityErrorCode, message: string, cause?: unknown): Refusal<IdentityErrorCode> {
  return new Refusal(code, message, undefined, cause);
}
