/**
 * The condition keys: how each is spelled, and who is asked for its value. A trusted key is asked only of what
 * the server computed or verified, so that no header or parameter of the same name can set or extend it.
 */
import type { ConditionValues } from './policy.js';

export interface ConditionKey {
  /** As documents and messages spell it: `aws:SourceIp`. */
  readonly title: string;
  /** As `ConditionValues` is asked: lower case, but for a tag's own name behind the slash. */
  readonly name: string;
  readonly isTrusted: boolean;
  /** Whether more than the first value counts. */
  readonly isList: boolean;
}

type Kind = 'trusted' | 'trusted-list' | 'request' | 'request-list';

function conditionKey(title: string, name: string, kind: Kind): ConditionKey {
  return { title, name, isTrusted: kind.startsWith('trusted'), isList: kind.endsWith('list') };
}

/** Accepted by every action. */
const common: readonly (readonly [title: string, kind: Kind])[] = [
  ['aws:CurrentTime', 'trusted'],
  ['aws:EpochTime', 'trusted'],
  ['aws:PrincipalType', 'trusted'],
  ['aws:Referer', 'request'],
  ['aws:SecureTransport', 'trusted'],
  ['aws:SourceIp', 'trusted'],
  ['aws:UserAgent', 'request'],
  ['aws:groups', 'trusted-list'],
  ['aws:userid', 'trusted'],
  ['aws:username', 'trusted'],
  ['s3:LocationConstraint', 'request'],
  ['s3:authType', 'trusted'],
  ['s3:signatureAge', 'trusted'],
  ['s3:signatureversion', 'trusted'],
  ['s3:x-amz-content-sha256', 'request'],
];

/** Accepted by the actions that name them. */
const special: readonly (readonly [title: string, kind: Kind])[] = [
  ['s3:RequestObjectTagKeys', 'request-list'],
  ['s3:delimiter', 'request'],
  ['s3:max-keys', 'request'],
  ['s3:object-lock-legal-hold', 'request'],
  ['s3:object-lock-mode', 'request'],
  ['s3:object-lock-remaining-retention-days', 'trusted'],
  ['s3:object-lock-retain-until-date', 'request'],
  ['s3:prefix', 'request'],
  ['s3:versionid', 'request'],
  ['s3:x-amz-copy-source', 'request'],
  ['s3:x-amz-metadata-directive', 'request'],
  ['s3:x-amz-server-side-encryption', 'request'],
  ['s3:x-amz-server-side-encryption-aws-kms-key-id', 'request'],
  ['s3:x-amz-server-side-encryption-customer-algorithm', 'request'],
  ['s3:x-amz-storage-class', 'request'],
  ['sts:DurationSeconds', 'trusted'],
  ['svc:DurationSeconds', 'trusted'],
];

/** Families whose name goes on behind a slash: one key for each tag. */
const tagged: readonly (readonly [title: string, kind: Kind])[] = [
  ['s3:ExistingObjectTag', 'trusted'],
  ['s3:RequestObjectTag', 'request'],
];

/** Prefixes under which every name is a key: verified claims and attributes of a directory. */
const openPrefixes = ['jwt:', 'ldap:'];

/** What tokens carry for the server's own use: it is not the account's attribute, and policies do not see it. */
const reservedNames: ReadonlySet<string> = new Set(
  [
    'accessKey',
    'exp',
    'parent',
    'policy',
    'roleArn',
    'sa-policy',
    'sessionPolicy',
    'sessionPolicy-extracted',
    'tokenRevokeType',
  ].map((name) => name.toLowerCase()),
);

/** Letters of any alphabet, digits and what claim names contain (`https://example.org/team`, `cognito:groups`). */
const openName = /^[\p{L}\p{N}_][\p{L}\p{N}_.:/@#-]{0,127}$/u;

const fixedKeys: ReadonlyMap<string, ConditionKey> = new Map(
  [...common, ...special].map(([title, kind]) => [title.toLowerCase(), conditionKey(title, title.toLowerCase(), kind)]),
);
const commonNames: ReadonlySet<string> = new Set(common.map(([title]) => title.toLowerCase()));
const taggedKeys: ReadonlyMap<string, readonly [string, Kind]> = new Map(
  tagged.map((entry) => [entry[0].toLowerCase(), entry]),
);

function taggedKey(text: string): ConditionKey | null {
  const slash = text.indexOf('/');
  const family = taggedKeys.get((slash < 0 ? text : text.slice(0, slash)).toLowerCase());
  if (family === undefined || slash < 0 || slash === text.length - 1) return null;
  const [title, kind] = family;
  const tag = text.slice(slash + 1);
  return conditionKey(`${title}/${tag}`, `${title.toLowerCase()}/${tag}`, kind);
}

function openKey(text: string): ConditionKey | null {
  const name = text.toLowerCase();
  const prefix = openPrefixes.find((start) => name.startsWith(start));
  if (prefix === undefined) return null;
  const own = name.slice(prefix.length);
  if (!openName.test(own) || reservedNames.has(own)) return null;
  return conditionKey(prefix + text.slice(prefix.length), name, 'trusted-list');
}

/** The key of this name in any case; null when there is none. */
export function findConditionKey(text: string): ConditionKey | null {
  return fixedKeys.get(text.toLowerCase()) ?? taggedKey(text) ?? openKey(text);
}

/** Whether claims or attributes of this name (without prefix) are kept from policies. */
export function isReservedClaim(name: string): boolean {
  return reservedNames.has(name.toLowerCase());
}

/** The name by which actions list the key: tags without their own name. */
export function familyOf(key: ConditionKey): string {
  const slash = key.name.indexOf('/');
  return slash > 0 && taggedKeys.has(key.name.slice(0, slash)) ? key.name.slice(0, slash) : key.name;
}

/** Accepted by every action. */
export function isCommonKey(key: ConditionKey): boolean {
  return commonNames.has(key.name) || openPrefixes.some((prefix) => key.name.startsWith(prefix));
}

/** For documentation and forms: the keys that every action accepts. */
export const commonConditionKeys: readonly string[] = [...common.map(([title]) => title), 'jwt:*', 'ldap:*'];

const onlyFirst = (values: readonly string[]): readonly string[] => (values.length > 1 ? values.slice(0, 1) : values);

/** Undefined: the key is absent. */
export function valuesOf(key: ConditionKey, from: ConditionValues): readonly string[] | undefined {
  const values = key.isTrusted ? from.trusted(key.name) : from.request(key.name);
  if (values === undefined || values.length === 0) return undefined;
  // A parameter that is sent twice must not be judged by the one and acted upon by the other.
  return key.isList ? values : onlyFirst(values);
}
