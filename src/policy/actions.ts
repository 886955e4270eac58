/**
 * Every action there is, with what it acts on and which condition keys it accepts beside the common ones.
 * Documents name actions in exactly this spelling.
 */
import { commonConditionKeys } from './condition-keys.js';
import { matchSegments } from './glob.js';
import { compilePattern } from './template.js';

export type ActionFamily = 's3' | 'admin' | 'sts' | 'kms';

/** `none`: resources have no meaning for it. */
export type ActionScope = 'service' | 'bucket' | 'object' | 'key' | 'none';

export interface ActionInfo {
  readonly name: string;
  readonly family: ActionFamily;
  readonly scope: ActionScope;
  /** As documents spell them; `s3:ExistingObjectTag` stands for every tag. Without the common ones. */
  readonly conditionKeys: readonly string[];
}

const encryption = [
  's3:x-amz-server-side-encryption',
  's3:x-amz-server-side-encryption-customer-algorithm',
  's3:x-amz-server-side-encryption-aws-kms-key-id',
];
const version = ['s3:versionid'];
const existing = [...version, 's3:ExistingObjectTag'];
const requestTags = ['s3:RequestObjectTag', 's3:RequestObjectTagKeys'];
const listing = ['s3:prefix', 's3:delimiter', 's3:max-keys'];
const lock = ['s3:object-lock-mode', 's3:object-lock-retain-until-date'];
const remaining = ['s3:object-lock-remaining-retention-days'];
const hold = ['s3:object-lock-legal-hold'];
const writing = [
  ...encryption,
  ...version,
  ...lock,
  ...hold,
  ...requestTags,
  's3:x-amz-copy-source',
  's3:x-amz-metadata-directive',
  's3:x-amz-storage-class',
];

/** By scope; `Name: keys`, an empty list for the common keys alone. */
const s3Actions: Readonly<Record<'service' | 'bucket' | 'object', Readonly<Record<string, readonly string[]>>>> = {
  service: { ListAllMyBuckets: [] },
  bucket: {
    CreateBucket: [],
    DeleteBucket: [],
    DeleteBucketPolicy: [],
    DeleteBucketWebsite: [],
    ForceDeleteBucket: [],
    GetAccelerateConfiguration: [],
    GetBucketAcl: [],
    GetBucketCORS: [],
    GetBucketLocation: [],
    GetBucketLogging: [],
    GetBucketNotification: [],
    GetBucketObjectLockConfiguration: [],
    GetBucketOwnershipControls: [],
    GetBucketPolicy: [],
    GetBucketPolicyStatus: [],
    GetBucketPublicAccessBlock: [],
    GetBucketRequestPayment: [],
    GetBucketTagging: [],
    GetBucketVersioning: [],
    GetBucketWebsite: [],
    GetEncryptionConfiguration: [],
    GetLifecycleConfiguration: [],
    GetReplicationConfiguration: [],
    HeadBucket: [],
    ListBucket: listing,
    ListBucketMultipartUploads: [],
    ListBucketVersions: listing,
    ListenBucketNotification: [],
    ListenNotification: [],
    PutAccelerateConfiguration: [],
    PutBucketAcl: [],
    PutBucketCORS: [],
    PutBucketLogging: [],
    PutBucketNotification: [],
    PutBucketObjectLockConfiguration: [],
    PutBucketOwnershipControls: [],
    PutBucketPolicy: [],
    PutBucketPublicAccessBlock: [],
    PutBucketRequestPayment: [],
    PutBucketTagging: requestTags,
    PutBucketVersioning: [],
    PutBucketWebsite: [],
    PutEncryptionConfiguration: [],
    PutLifecycleConfiguration: [],
    PutReplicationConfiguration: [],
  },
  object: {
    AbortMultipartUpload: [],
    BypassGovernanceRetention: [...version, ...remaining, ...lock, ...hold, ...requestTags],
    DeleteObject: version,
    DeleteObjectTagging: existing,
    DeleteObjectVersion: version,
    DeleteObjectVersionTagging: existing,
    GetObject: [...encryption, ...existing],
    GetObjectAcl: existing,
    GetObjectAttributes: [...encryption, ...existing],
    GetObjectLegalHold: version,
    GetObjectRetention: [...encryption, ...version],
    GetObjectTagging: existing,
    GetObjectVersion: [...encryption, ...existing],
    GetObjectVersionAcl: existing,
    GetObjectVersionAttributes: [...encryption, ...existing],
    GetObjectVersionForReplication: existing,
    GetObjectVersionTagging: existing,
    ListMultipartUploadParts: [],
    PutObject: writing,
    PutObjectAcl: existing,
    PutObjectFanOut: writing,
    PutObjectLegalHold: [...encryption, ...version, ...hold],
    PutObjectRetention: [...encryption, ...version, ...lock, ...remaining],
    PutObjectTagging: [...existing, ...requestTags],
    PutObjectVersionAcl: existing,
    PutObjectVersionTagging: [...existing, ...requestTags],
    ReplicateDelete: existing,
    ReplicateObject: existing,
    ReplicateTags: existing,
    ResetBucketReplicationState: [],
    RestoreObject: [],
  },
};

const adminActions = `
  AddUserToGroup AttachUserOrGroupPolicy BandwidthMonitor CancelBatchJob ChangeMyPassword ClusterInfo ConfigUpdate
  ConsoleLog CreatePolicy CreateServiceAccount CreateUser DataUsageInfo Decommission DeletePolicy DeleteUser
  DescribeBatchJob DisableGroup DisableUser DriveInfo DriveList EnableGroup EnableUser ExportIAM ForceUnlock
  GenerateBatchJob GetGroup GetPolicy GetUser ImportIAM InspectData KMSCreateKey KMSKeyStatus LicenseInfo ListBatchJobs
  ListGroups ListServiceAccounts ListTemporaryAccounts ListTier ListUserPolicies ListUsers NodeInfo NodeList OBDInfo
  PoolInfo PoolList Profiling Prometheus ReadAPILogs ReadAuditLogs ReadErrorLogs Rebalance RemoveServiceAccount
  RemoveUserFromGroup ServerInfo ServerTrace ServerUpdate ServiceCordon ServiceFreeze ServiceRestart ServiceStop SetInfo
  SetTier SiteReplicationAdd SiteReplicationDisable SiteReplicationInfo SiteReplicationOperation
  SiteReplicationRemove SiteReplicationResync StartBatchJob StorageInfo TopLocksInfo UpdatePolicyAssociation
  UpdateServiceAccount`;

/** Administration of one bucket: a statement that names buckets counts for these buckets only. */
const bucketAdminActions = `
  ExportBucketMetadata GetBucketQuota GetBucketTarget Heal ImportBucketMetadata InventoryControl ReplicationDiff
  SetBucketQuota SetBucketTarget`;

const stsActions = `
  AssumeRole AssumeRoleLDAPIdentity AssumeRoleWithClientCertificate AssumeRoleWithClientGrants
  AssumeRoleWithCustomToken AssumeRoleWithLDAPIdentity AssumeRoleWithWebIdentity`;

const kmsActions = `
  API AssignPolicy AuditLog CreateKey DeleteIdentity DeleteKey DeletePolicy DescribeIdentity DescribePolicy
  DescribeSelfIdentity Enable ErrorLog GetPolicy ImportKey KeyRotate KeyStatus ListIdentities ListKeys ListPolicies
  Metrics SetPolicy Status Version`;

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Actions that make credentials know for how long these are asked. */
const durationActions: ReadonlySet<string> = new Set(['CreateServiceAccount', 'UpdateServiceAccount']);

function simpleActions(family: ActionFamily, scope: ActionScope, names: string): ActionInfo[] {
  return words(names).map((name) => ({
    name: `${family}:${name}`,
    family,
    scope,
    conditionKeys:
      family === 'sts' ? ['sts:DurationSeconds'] : durationActions.has(name) ? ['svc:DurationSeconds'] : [],
  }));
}

/** Sorted within each family. */
export const allActions: readonly ActionInfo[] = [
  ...Object.entries(s3Actions)
    .flatMap(([scope, actions]) =>
      Object.entries(actions).map(([name, conditionKeys]): ActionInfo => ({
        name: `s3:${name}`,
        family: 's3',
        scope: scope as keyof typeof s3Actions,
        conditionKeys,
      })),
    )
    .sort((one, other) => (one.name < other.name ? -1 : 1)),
  ...[...simpleActions('admin', 'none', adminActions), ...simpleActions('admin', 'bucket', bucketAdminActions)].sort(
    (one, other) => (one.name < other.name ? -1 : 1),
  ),
  ...simpleActions('sts', 'none', stsActions),
  ...simpleActions('kms', 'key', kmsActions),
];

const byName: ReadonlyMap<string, ActionInfo> = new Map(allActions.map((action) => [action.name, action]));

export function findAction(name: string): ActionInfo | null {
  return byName.get(name) ?? null;
}

/** `null`: the one pattern that stands for every action. */
export function familyOfPattern(pattern: string): ActionFamily | 'any' | null {
  if (/^\*+$/.test(pattern)) return 'any';
  const prefix = pattern.slice(0, Math.max(0, pattern.indexOf(':')));
  return prefix === 's3' || prefix === 'admin' || prefix === 'sts' || prefix === 'kms' ? prefix : null;
}

/** The actions that a pattern stands for; variables are not substituted in actions. */
export function expandAction(pattern: string): readonly ActionInfo[] {
  const exact = byName.get(pattern);
  if (exact !== undefined) return [exact];
  if (!/[*?]/.test(pattern)) return [];
  const { literalSegments } = compilePattern(pattern);
  return allActions.filter((action) => matchSegments(literalSegments, action.name));
}

/** The keys of one action, common ones included; for documentation and forms. */
export function conditionKeysOf(action: ActionInfo): readonly string[] {
  return [...commonConditionKeys, ...action.conditionKeys];
}
