import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { ObjectSnapshot } from '../object/index.js';
import type { S3Deps } from './deps.js';
import { checkReadCall, hideAbsence, parseRead, planRead, readPermissions, type ReadInput } from './read-plan.js';

export const getObject: OperationSpec<ReadInput, S3Deps> = {
  name: 'GetObject',
  parse: parseRead,
  permissions: readPermissions,
  handle: get,
};

/** At once: what the index knows is answered in the call that asks, the bytes follow as the client takes them. */
function get(deps: S3Deps, call: Authorized<ReadInput>): ExchangeResponse | Promise<ExchangeResponse> {
  checkReadCall(call);
  let snapshot: ObjectSnapshot;
  try {
    snapshot = deps.objects.open(call.bucket, call.key, call.input.versionId);
  } catch (error) {
    return hideAbsence(call, error);
  }
  return answer(snapshot, call.input);
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
