/** What the signer is and may: `GET accountinfo`. */
import { accountOf } from './account.js';
import { jsonAnswer } from './answer.js';
import { backendView } from './info.js';
import { adminOperation, anySigner, type AdminCall, type AdminRoute } from './operation.js';
import { documentOf } from './policies.js';
import { sizeRanges } from './size-ranges.js';
import { timeText } from './time.js';

const accountInfo = adminOperation({
  name: 'AccountInfo',
  access: anySigner,
  handle: (deps, call) => {
    const { iam, objects } = deps;
    const { isRoot, identity, session } = iam.policiesOf(call.principal, null);
    const own = isRoot ? [iam.policy('consoleAdmin')?.policy] : session.length > 0 ? session : identity;
    const statements = own.flatMap((policy) => {
      const document = policy === undefined ? null : (documentOf(policy) as { Statement?: unknown });
      return Array.isArray(document?.Statement) ? (document.Statement as unknown[]) : [];
    });
    return jsonAnswer({
      AccountName: accountOf(call),
      Server: backendView(deps.state, []),
      Policy: { Version: '2012-10-17', Statement: statements },
      Buckets: objects.listBuckets().flatMap(({ name, createdMs }) => {
        const access = accessTo(call, name);
        if (!access.read && !access.write) return [];
        const usage = deps.state.bucketUsage(name);
        return [
          {
            name,
            size: usage.bytes,
            objects: usage.objects,
            objectHistogram: sizeRanges(usage.sizes),
            objectsVersionsHistogram: null,
            details: null,
            prefixUsage: null,
            created: timeText(createdMs),
            access,
          },
        ];
      }),
    });
  },
});

/** As other servers of this API judge it: any of what reading, and what writing, begins with. */
function accessTo(call: AdminCall, bucket: string): { read: boolean; write: boolean } {
  const may = (action: string, key: string) => call.isAllowed({ action: `s3:${action}`, bucket, key });
  return {
    read: may('ListBucket', '') || may('GetBucketLocation', '') || may('GetObject', '*'),
    write: may('PutObject', '*'),
  };
}

export const accountInfoRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'accountinfo', operation: accountInfo },
];
