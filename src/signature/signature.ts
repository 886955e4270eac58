/**
 * What the signature room says about a request. Pure: no clock, no store, no I/O.
 */
import type { Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';

/** S3 error codes that verification answers with. */
export type SignatureErrorCode =
  | 'AccessDenied'
  | 'AuthorizationHeaderMalformed'
  | 'AuthorizationQueryParametersError'
  | 'CredentialMalformed'
  | 'IncompleteBody'
  | 'InvalidAccessKeyId'
  | 'InvalidArgument'
  | 'InvalidChunkSizeError'
  | 'InvalidRequest'
  | 'InvalidTokenId'
  | 'InvalidURI'
  | 'MalformedTrailerError'
  | 'MissingSecurityHeader'
  | 'NotImplemented'
  | 'RequestTimeTooSkewed'
  | 'SignatureDoesNotMatch'
  | 'XAmzContentSHA256Mismatch';

export type SignatureRefusal = Refusal<SignatureErrorCode>;

/** How the body is protected. */
export type PayloadProtection =
  | { readonly kind: 'unsigned' }
  /** x-amz-content-sha256 with 64 hex digits: the body must hash to this. */
  | { readonly kind: 'sha256'; readonly hex: string }
  /** aws-chunked with a signature for every chunk, and for the trailer when `hasTrailer`. */
  | {
      readonly kind: 'signed-chunks';
      readonly hasTrailer: boolean;
      readonly signingKey: Uint8Array;
      readonly amzDate: string;
      readonly scope: string;
      readonly seedSignature: string;
    }
  /** aws-chunked without signatures, with a trailer. */
  | { readonly kind: 'unsigned-chunks' };

/** A credential as the store behind `lookup` holds it. */
export interface SigningCredential {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Set for temporary credentials: the request must carry this very token. */
  readonly sessionToken: string | null;
}

export type Authentication =
  | { readonly kind: 'anonymous'; readonly payload: PayloadProtection }
  | {
      /** `form-…`: of the policy in a form upload. */
      readonly kind: 'header-v4' | 'presigned-v4' | 'form-v4' | 'header-v2' | 'presigned-v2' | 'form-v2';
      readonly accessKey: string;
      /** Region of the scope; empty with SigV2, which has none. */
      readonly region: string;
      /** Milliseconds since the epoch: for s3:signatureAge. Null where a request of SigV2 does not say. */
      readonly signedAtMs: number | null;
      readonly payload: PayloadProtection;
    };

export interface VerifyOptions {
  readonly service: 's3' | 'sts';
  /** Empty: any region is accepted. */
  readonly region: string;
  readonly nowMs: number;
  /** Null: unknown access key, InvalidAccessKeyId. */
  readonly lookup: (accessKey: string) => SigningCredential | null;
  /**
   * SHA-256 of the body in hex, where it was read beforehand (STS): what must be signed, be it said in
   * x-amz-content-sha256 or not. Without it, absent means the digest of an empty body.
   */
  readonly bodySha256Hex?: string | undefined;
  /**
   * The bucket that the Host header names (virtual-host style); empty or absent in path style.
   * SigV2 signs it in front of the path.
   */
  readonly hostBucket?: string;
}

/** Verifies whichever mechanism the request uses; throws SignatureRefusal. */
export type VerifySignature = (request: ExchangeRequest, options: VerifyOptions) => Authentication;

/**
 * Verifies the policy of a form upload; `field` gives the value of a field by lower-case name. Anonymous when
 * the form has neither policy nor signature. What the policy allows is not looked at. Throws SignatureRefusal.
 */
export type VerifyForm = (field: (name: string) => string | undefined, options: VerifyOptions) => Authentication;
