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
  handle: async (deps, call) => {
    const { iam, objects } = deps;
    const { isRoot, identity, session } = iam.policiesOf(call.principal, null);
    const own = isRoot ? [iam.policy('consoleAdmin')?.policy] : session.length > 0 ? session : identity;
    const statements = own.flatMap((policy) => {
      const document = policy === undefined ? null : (documentOf(policy) as { Statement?: unknown });
      return Array.isArray(document?.Statement) ? (document.Statement as unknown[]) : [];
    });
    const buckets = objects.listBuckets();
    const access = await Promise.all(buckets.map(({ name }) => accessTo(call, name)));
    return jsonAnswer({
      AccountName: accountOf(call),
      Server: backendView(deps.state, []),
      Policy: { Version: '2012-10-17', Statement: statements },
      Buckets: buckets.flatMap(({ name, createdMs }, index) => {
        const own = access[index];
        if (own === undefined || (!own.read && !own.write)) return [];
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
            access: own,
          },
        ];
      }),
    });
  },
});

/** As other servers of this API judge it: any of what reading, and what writing, begins with. */
async function accessTo(call: AdminCall, bucket: string): Promise<{ read: boolean; write: boolean }> {
  const may = (action: string, key: string) => call.isAllowed({ action: `s3:${action}`, bucket, key });
  return {
    read: (await may('ListBucket', '')) || (await may('GetBucketLocation', '')) || (await may('GetObject', '*')),
    write: await may('PutObject', '*'),
  };
}

export const accountInfoRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'accountinfo', operation: accountInfo },
];
