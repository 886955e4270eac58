/** What x-amz-content-sha256 says about the body. */
import { Refusal } from '../base/index.js';

export const emptySha256Hex = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
export const unsignedPayload = 'UNSIGNED-PAYLOAD';

export type PayloadClaim =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly hex: string }
  | { readonly kind: 'signed-chunks'; readonly hasTrailer: boolean }
  | { readonly kind: 'unsigned-chunks' };

const emptyPayload: PayloadClaim = { kind: 'sha256', hex: emptySha256Hex };
const sha256Text = /^[0-9a-fA-F]{64}$/;

export function parsePayloadClaim(text: string): PayloadClaim {
  switch (text) {
    case emptySha256Hex:
      return emptyPayload;
    case unsignedPayload:
      return { kind: 'unsigned' };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'unsigned-chunks' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'signed-chunks', hasTrailer: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'signed-chunks', hasTrailer: true };
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER':
      throw new Refusal('NotImplemented', 'Signatures of AWS4-ECDSA-P256-SHA256 are not implemented.');
    default:
      if (sha256Text.test(text)) return { kind: 'sha256', hex: text.toLowerCase() };
      throw new Refusal(
        'InvalidArgument',
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, ' +
          'STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
        { ArgumentName: 'x-amz-content-sha256', ArgumentValue: text.slice(0, 64) },
      );
  }
}
