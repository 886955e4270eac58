/** What a TLS connection of node:http knows of its peer's certificate. */
import type { Socket } from 'node:net';
import { TLSSocket, type DetailedPeerCertificate } from 'node:tls';
import type { PeerCertificate } from '../base/index.js';

/** Far above what is accepted, so that a chain that goes in circles ends. */
const chainMax = 64;

/** Null: a connection without TLS, or a client that showed none. */
export function peerCertificateOf(socket: Socket): PeerCertificate | null {
  if (!(socket instanceof TLSSocket)) return null;
  // The newer getPeerX509Certificate forgets the chain once it was called.
  const leaf: Partial<DetailedPeerCertificate> = socket.getPeerCertificate(true);
  if (leaf.raw === undefined) return null;
  const distrust = socket.authorized ? '' : describe(socket.authorizationError);
  return { raw: leaf.raw, intermediateCount: intermediatesOf(leaf), distrust };
}

/** Of the chain as far as it fits together; what a client sends beside it is not looked at. */
function intermediatesOf(leaf: Partial<DetailedPeerCertificate>): number {
  let count = 0;
  let current = leaf;
  while (count < chainMax) {
    const next: Partial<DetailedPeerCertificate> | undefined = current.issuerCertificate;
    if (next === undefined || next === current || isSelfIssued(next)) break;
    count++;
    current = next;
  }
  return count;
}

function isSelfIssued({ issuerCertificate, fingerprint256 }: Partial<DetailedPeerCertificate>): boolean {
  return issuerCertificate !== undefined && issuerCertificate.fingerprint256 === fingerprint256;
}

/** A code of OpenSSL, such as `UNABLE_TO_GET_ISSUER_CERT_LOCALLY`: it holds nothing that the client sent. */
function describe(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'it could not be verified';
}
