/** Which way of authentication a request uses. Exactly one, or none. */
import { Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import type { QueryPair } from './uri.js';

export type Mechanism =
  | { readonly kind: 'anonymous' }
  /** The text behind the name of the algorithm. */
  | { readonly kind: 'header-v4'; readonly components: string }
  | { readonly kind: 'presigned-v4' }
  /** The text behind `AWS`. */
  | { readonly kind: 'header-v2'; readonly components: string }
  | { readonly kind: 'presigned-v2' };

const algorithm = 'AWS4-HMAC-SHA256';
/** Of an Authorization header as clients write it. */
export const algorithmStart = `${algorithm} `;
const ecdsaAlgorithm = 'AWS4-ECDSA-P256-SHA256';
/** SigV2. */
const algorithmV2 = 'AWS';

export function unsupportedMechanism(): Refusal<'InvalidRequest'> {
  return new Refusal(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  );
}

/** Parameters that belong to a signature, and to nothing else, by version of the protocol. */
const presignedV4Names = new Set(['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature']);
const presignedV2Names = new Set(['AWSAccessKeyId', 'Signature']);

/** Null: the parameter is of no signature. */
function presignedVersion([name]: QueryPair): 2 | 4 | null {
  if (presignedV4Names.has(name)) return 4;
  return presignedV2Names.has(name) ? 2 : null;
}

export function isOfPresigned(pair: QueryPair): boolean {
  return presignedVersion(pair) !== null;
}

export function detectMechanism(request: ExchangeRequest, pairs: readonly QueryPair[]): Mechanism {
  let isPresignedV4 = false;
  let isPresignedV2 = false;
  for (const pair of pairs) {
    const version = presignedVersion(pair);
    if (version === 4) isPresignedV4 = true;
    else if (version === 2) isPresignedV2 = true;
  }
  const authorization = request.headers.get('authorization')?.trim() ?? '';
  if (Number(authorization !== '') + Number(isPresignedV4) + Number(isPresignedV2) > 1) {
    throw new Refusal(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string ' +
        'parameter or the Authorization header should be specified',
      { ArgumentName: 'Authorization' },
    );
  }
  if (isPresignedV2) return { kind: 'presigned-v2' };
  if (isPresignedV4) return { kind: 'presigned-v4' };
  if (authorization === '') return { kind: 'anonymous' };
  return parseScheme(authorization);
}

function parseScheme(authorization: string): Mechanism {
  const space = authorization.search(/\s/);
  const scheme = space === -1 ? authorization : authorization.slice(0, space);
  if (scheme === algorithm) {
    return { kind: 'header-v4', components: space === -1 ? '' : authorization.slice(space + 1) };
  }
  if (scheme === ecdsaAlgorithm) {
    throw new Refusal('NotImplemented', `Signatures of ${ecdsaAlgorithm} are not implemented.`);
  }
  if (scheme === algorithmV2) {
    return { kind: 'header-v2', components: space === -1 ? '' : authorization.slice(space + 1) };
  }
  if (scheme.startsWith('AWS4-')) throw unsupportedMechanism();
  // The value stays out of the answer: it may be a token meant for somebody else.
  throw new Refusal('InvalidArgument', 'Unsupported Authorization Type', { ArgumentName: 'Authorization' });
}
