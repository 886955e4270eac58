/**
 * Checks a small body that is held as a whole against what its request's signature says about it:
 * its SHA-256, or the chain of chunk signatures and the signed trailer.
 * Large bodies never pass here: their pass on the workers does the same while the bytes are in cache.
 */
import { Refusal } from '../base/index.js';
import { kernels } from '../native/index.js';
import type { PayloadProtection } from './signature.js';

export interface ReceivedDocument {
  readonly bytes: Uint8Array;
  /** Ends of the signed chunks within `bytes`, in order; the final empty chunk repeats the last end. */
  readonly chunkEnds: readonly number[];
  /** 32 raw bytes each. */
  readonly chunkSignatures: readonly Uint8Array[];
  readonly signedTrailer: { readonly block: Uint8Array; readonly signature: Uint8Array } | null;
}

const emptySha256Hex = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Throws XAmzContentSHA256Mismatch or SignatureDoesNotMatch. */
export function verifyDocument(protection: PayloadProtection, document: ReceivedDocument): void {
  if (protection.kind === 'sha256') {
    if (kernels.sha256Hex(document.bytes) !== protection.hex) throw new Refusal('XAmzContentSHA256Mismatch');
    return;
  }
  if (protection.kind !== 'signed-chunks') return;
  const { signingKey, amzDate, scope } = protection;
  let previous = protection.seedSignature;
  let start = 0;
  document.chunkEnds.forEach((end, index) => {
    const chunkHex = kernels.sha256Hex(document.bytes.subarray(start, end));
    const stringToSign = `AWS4-HMAC-SHA256-PAYLOAD\n${amzDate}\n${scope}\n${previous}\n${emptySha256Hex}\n${chunkHex}`;
    previous = expectSignature(signingKey, stringToSign, document.chunkSignatures[index]);
    start = end;
  });
  // Bytes after the last signature would be bytes that nobody vouches for.
  if (start !== document.bytes.length || document.chunkEnds.length === 0) throw new Refusal('SignatureDoesNotMatch');
  if (!protection.hasTrailer) return;
  if (document.signedTrailer === null) throw new Refusal('SignatureDoesNotMatch');
  const trailerHex = kernels.sha256Hex(document.signedTrailer.block);
  const stringToSign = `AWS4-HMAC-SHA256-TRAILER\n${amzDate}\n${scope}\n${previous}\n${trailerHex}`;
  expectSignature(signingKey, stringToSign, document.signedTrailer.signature);
}

function expectSignature(signingKey: Uint8Array, stringToSign: string, received: Uint8Array | undefined): string {
  const expected = kernels.sign(signingKey, stringToSign);
  const receivedHex = received === undefined ? '' : Buffer.from(received).toString('hex');
  if (!kernels.constantTimeEqual(expected, receivedHex)) throw new Refusal('SignatureDoesNotMatch');
  return expected;
}
