import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Refusal, type PeerCertificate } from '../../../src/base/index.js';
import { CertificateIdentity, type CertificateIdentityOptions } from '../../../src/identity/index.js';
import { derOf, makeAuthority, makeCertificate, type Issued } from '../../support/certificates.js';

let folder: string;
let authority: Issued;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-certificates-'));
  authority = makeAuthority(folder, 'authority');
}, 30_000);
afterAll(() => rmSync(folder, { recursive: true }));

const nowMs = Date.now() + 60_000;

function identify(
  peer: Partial<PeerCertificate> | null,
  options: Partial<CertificateIdentityOptions> & { durationSeconds?: number; secure?: boolean } = {},
) {
  const { durationSeconds = null, secure = true, ...rest } = options;
  const provider = new CertificateIdentity({
    ...{ skipsVerification: false, arePoliciesElsewhere: false, clock: { nowMs: () => nowMs } },
    hasPolicy: (name) => name === 'reading',
    ...rest,
  });
  const certificate = peer === null ? null : { raw: new Uint8Array(), intermediateCount: 0, distrust: '', ...peer };
  const where = { remoteAddress: '127.0.0.1', secure, certificate };
  return provider.identify({ parameters: new Map(), durationSeconds, ...where });
}

const rawOf = (subject: string, options: Parameters<typeof makeCertificate>[2] = {}) =>
  derOf(makeCertificate(folder, subject, { authority, ...options }));

async function refusal(outcome: Promise<unknown>): Promise<string> {
  const found = await outcome.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(found instanceof Refusal)) throw new Error(`no refusal: ${String(found)}`);
  return found.code;
}

describe('a client certificate', () => {
  it('stands for the policy that its common name is', async () => {
    const raw = rawOf('/O=Ships/O=Boats/CN=reading');
    expect(await identify({ raw })).toEqual({
      account: 'tls:reading',
      source: 'certificate',
      subject: '',
      policyNames: ['reading'],
      groups: [],
      claims: new Map<string, unknown>([
        ['sub', 'reading'],
        ['aud', ['Ships', 'Boats']],
        ['iss', 'authority'],
      ]),
      roleArn: '',
      provider: '_',
      expiresMs: nowMs + 3600_000,
    });
    expect((await identify({ raw }, { durationSeconds: 900 })).expiresMs).toBe(nowMs + 900_000);
    // It ends after a day, whatever is asked for.
    const { expiresMs } = await identify({ raw }, { durationSeconds: 864_000 });
    expect(expiresMs).toBeGreaterThan(nowMs + 80_000_000);
    expect(expiresMs).toBeLessThan(nowMs + 86_400_000);
  });

  it('needs TLS, and one to be there', async () => {
    const raw = rawOf('/CN=reading');
    expect(await refusal(identify({ raw }, { secure: false }))).toBe('InsecureConnection');
    expect(await refusal(identify(null))).toBe('MissingParameter');
    expect(await refusal(identify({ raw: Buffer.from('no certificate') }))).toBe('InvalidClientCertificate');
  });

  it('must not be of an authority, nor stand behind too many', async () => {
    expect(await refusal(identify({ raw: derOf(authority) }))).toBe('MissingParameter');
    const raw = rawOf('/CN=reading');
    expect(await identify({ raw, intermediateCount: 10 })).toMatchObject({ account: 'tls:reading' });
    expect(await refusal(identify({ raw, intermediateCount: 11 }))).toBe('TooManyIntermediateCAs');
  });

  it('must be trusted, unless nobody looks; then it must at least be for clients', async () => {
    const raw = rawOf('/CN=reading');
    const distrust = 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
    expect(await refusal(identify({ raw, distrust }))).toBe('InvalidClientCertificate');
    const skipping = { skipsVerification: true };
    expect(await identify({ raw, distrust }, skipping)).toMatchObject({ account: 'tls:reading' });
    for (const usage of ['serverAuth', '']) {
      expect(await refusal(identify({ raw: rawOf('/CN=reading', { usage }), distrust }, skipping))).toBe(
        'MissingParameter',
      );
    }
    const any = rawOf('/CN=reading', { usage: 'anyExtendedKeyUsage' });
    expect(await identify({ raw: any, distrust }, skipping)).toMatchObject({ account: 'tls:reading' });
  });

  it('counts while it is valid, whether it is verified or not', async () => {
    const raw = rawOf('/CN=reading');
    for (const atMs of [nowMs - 10 * 86_400_000, nowMs + 2 * 86_400_000]) {
      const clock = { nowMs: () => atMs };
      expect(await refusal(identify({ raw }, { clock }))).toBe('InvalidClientCertificate');
      expect(await refusal(identify({ raw }, { clock, skipsVerification: true }))).toBe('InvalidClientCertificate');
    }
  });

  it.each([
    ['/O=Ships', 'MissingParameter'],
    ['/CN=reading/CN=writing', 'InvalidParameterValue'],
    ['/CN=reading,writing', 'InvalidParameterValue'],
    ['/CN=..', 'InvalidParameterValue'],
    ['/CN=a\\/b', 'InvalidParameterValue'],
    ['/CN=a\\\\b', 'InvalidParameterValue'],
    ['/CN= reading', 'InvalidParameterValue'],
    ['/CN=Reading', 'AccessDenied'],
    ['/CN=unknown', 'AccessDenied'],
  ])('with the subject %s gets %s', async (subject, code) => {
    expect(await refusal(identify({ raw: rawOf(subject) }))).toBe(code);
  });

  it('needs no policy here when somebody else decides', async () => {
    const raw = rawOf('/CN=unknown');
    expect(await identify({ raw }, { arePoliciesElsewhere: true })).toMatchObject({ account: 'tls:unknown' });
  });
});
