import type { ExchangeResponse } from '../exchange/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import {
  checkReadCall,
  hideAbsence,
  parseRead,
  planRead,
  readPermissions,
  type ReadInput,
  type ReadPlan,
} from './read-plan.js';

export const headObject: OperationSpec<ReadInput, S3Deps> = {
  name: 'HeadObject',
  parse: parseRead,
  permissions: readPermissions,
  handle: head,
};

function head(deps: S3Deps, call: Authorized<ReadInput>): ExchangeResponse | Promise<ExchangeResponse> {
  checkReadCall(call);
  let found: ReadPlan;
  try {
    found = plan(deps, call);
  } catch (error) {
    return hideAbsence(call, error);
  }
  const { status, headers, startByte, endByte } = found;
  if (status === 304) return { status, headers, body: { kind: 'empty' } };
  return { status, headers, body: { kind: 'empty', length: endByte - startByte } };
}

function plan(deps: S3Deps, call: Authorized<ReadInput>): ReadPlan {
  const { bucket, key, input } = call;
  if (input.partNumber === null) return planRead(deps.objects.head(bucket, key, input.versionId), input, null);
  const snapshot = deps.objects.open(bucket, key, input.versionId);
  try {
    return planRead(snapshot.info, input, (number) => snapshot.part(number));
  } finally {
    snapshot.close();
  }
}
