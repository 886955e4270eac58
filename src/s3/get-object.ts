import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { ObjectInMemory, ObjectSnapshot } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { sharedObjectHeaders } from './object-headers.js';
import {
  checkReadCall,
  hideAbsence,
  isPlainRead,
  parseRead,
  planRead,
  readPermissions,
  type ReadInput,
} from './read-plan.js';

export const getObject: OperationSpec<ReadInput, S3Deps> = {
  name: 'GetObject',
  parse: parseRead,
  permissions: readPermissions,
  handle: get,
};

/** At once: what the index knows is answered in the call that asks, the bytes follow as the client takes them. */
function get(deps: S3Deps, call: Authorized<ReadInput>): ExchangeResponse | Promise<ExchangeResponse> {
  checkReadCall(call);
  const { bucket, key, input } = call;
  const { versionId, partNumber } = input;
  const known = versionId === '' && partNumber === null ? deps.objects.inMemory(bucket, key) : null;
  if (known !== null) return answerNow(known, input);
  let snapshot: ObjectSnapshot;
  try {
    snapshot = deps.objects.open(bucket, key, versionId);
  } catch (error) {
    return hideAbsence(call, error);
  }
  return answer(snapshot, input);
}

function answerNow({ info, bytes }: ObjectInMemory, input: ReadInput): ExchangeResponse {
  if (isPlainRead(input)) {
    return { status: 200, headers: [], shared: sharedObjectHeaders(info), body: { kind: 'bytes', bytes } };
  }
  const { status, headers, startByte, endByte } = planRead(info, input, null);
  if (status === 304) return { status, headers, body: { kind: 'empty' } };
  const isWhole = endByte - startByte === bytes.length;
  return { status, headers, body: { kind: 'bytes', bytes: isWhole ? bytes : bytes.subarray(startByte, endByte) } };
}

function answer(snapshot: ObjectSnapshot, input: ReadInput): ExchangeResponse {
  let isHandedOver = false;
  try {
    const { status, headers, startByte, endByte } = planRead(snapshot.info, input, (number) => snapshot.part(number));
    if (status === 304) return { status, headers, body: { kind: 'empty' } };
    if (startByte === endByte) return { status, headers, body: { kind: 'bytes', bytes: '' } };
    const source = snapshot.read(startByte, endByte);
    isHandedOver = true;
    return { status, headers, body: { kind: 'stream', length: endByte - startByte, source } };
  } finally {
    if (!isHandedOver) snapshot.close();
  }
}
