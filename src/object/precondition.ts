import { Refusal } from '../base/index.js';
import type { ObjectErrorCode, WritePrecondition } from './object-layer.js';

/** Decides a write on the current version of its key; throws PreconditionFailed or NoSuchKey. */
export function checkPrecondition(
  precondition: WritePrecondition | null,
  currentEtag: string | null,
  key: string,
): void {
  if (precondition === null) return;
  const { ifMatch, ifNoneMatch } = precondition;
  const matches = (tags: readonly string[]): boolean =>
    currentEtag !== null && (tags.includes('*') || tags.includes(currentEtag));
  if (ifMatch !== undefined && !matches(ifMatch)) {
    if (currentEtag === null) throw new Refusal<ObjectErrorCode>('NoSuchKey', undefined, { Key: key });
    throw new Refusal<ObjectErrorCode>('PreconditionFailed', undefined, { Condition: 'If-Match' });
  }
  if (ifNoneMatch !== undefined && matches(ifNoneMatch)) {
    throw new Refusal<ObjectErrorCode>('PreconditionFailed', undefined, { Condition: 'If-None-Match' });
  }
}
