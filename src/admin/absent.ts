/**
 * Operations that the API has and this server does not: refused with 501 to those who may, so that nobody
 * takes an answer for a success. Whoever builds one takes it out of here.
 */
import { adminError } from './errors.js';
import { adminOperation, type AdminRoute } from './operation.js';

type Row = readonly [method: AdminRoute['method'], path: string, action: string, why?: string];

const noLocks = 'There are no locks to show: this server orders writes by its log and holds none.';

const rows: readonly Row[] = [
  ['GET', 'top/locks', 'TopLocksInfo', noLocks],
  ['POST', 'force-unlock', 'ForceUnlock', noLocks],
  ['GET', 'scanner/status/{bucket}', 'ServerInfo', 'The scan goes through all buckets at once; ask for its status.'],
  ['PUT', 'set-bucket-quota', 'SetBucketQuota'],
  ['GET', 'get-bucket-quota', 'GetBucketQuota'],
  ['GET', 'list-remote-targets', 'GetBucketTarget'],
  ['PUT', 'set-remote-target', 'SetBucketTarget'],
  ['DELETE', 'remove-remote-target', 'SetBucketTarget'],
  ['POST', 'replication/diff', 'ReplicationDiff'],
  ['GET', 'replication/mrf', 'ReplicationDiff'],
  ['PUT', 'tier', 'SetTier'],
  ['GET', 'tier', 'ListTier'],
  ['POST', 'tier/{name}', 'SetTier'],
  ['GET', 'tier/{name}', 'ListTier'],
  ['DELETE', 'tier/{name}', 'SetTier'],
  ['GET', 'tier-stats', 'ListTier'],
  ['POST', 'start-job', 'StartBatchJob'],
  ['GET', 'list-jobs', 'ListBatchJobs'],
  ['GET', 'status-job', 'ListBatchJobs'],
  ['GET', 'describe-job', 'DescribeBatchJob'],
  ['DELETE', 'cancel-job', 'CancelBatchJob'],
  ['POST', 'speedtest', 'OBDInfo'],
  ['POST', 'speedtest/{what...}', 'OBDInfo'],
  ['POST', 'profile', 'Profiling'],
  ['POST', 'profiling/start', 'Profiling'],
  ['GET', 'profiling/download', 'Profiling'],
  ['GET', 'healthinfo', 'OBDInfo'],
  ['GET', 'obdinfo', 'OBDInfo'],
  ['GET', 'inspect-data', 'InspectData'],
  ['POST', 'inspect-data', 'InspectData'],
  ['POST', 'pools/decommission', 'Decommission'],
  ['POST', 'pools/cancel', 'Decommission'],
  ['GET', 'pools/status', 'Decommission'],
  ['GET', 'pools/list', 'Decommission'],
  ['POST', 'rebalance/start', 'Rebalance'],
  ['GET', 'rebalance/status', 'Rebalance'],
  ['POST', 'rebalance/stop', 'Rebalance'],
  ['PUT', 'site-replication/{what...}', 'SiteReplicationAdd'],
  ['GET', 'site-replication/{what...}', 'SiteReplicationInfo'],
  ['POST', 'kms/status', 'KMSKeyStatus'],
  ['POST', 'kms/key/create', 'KMSCreateKey'],
  ['GET', 'kms/key/status', 'KMSKeyStatus'],
];

export const absentRoutes: readonly AdminRoute[] = rows.map(([method, path, action, why]) => ({
  method,
  path,
  operation: adminOperation({
    name: `Absent:${action}`,
    access: [action],
    handle: () => {
      throw adminError('NotImplemented', why ?? 'This server does not have this operation.');
    },
  }),
}));
