/** Everything that a decision may depend on, as one object: for somebody outside who cannot ask for single values. */
import type { ConditionValues } from '../policy/index.js';
import type { HeaderMap } from '../exchange/index.js';

/** By the names that plugins of other servers of this API are given. */
const names: Readonly<Record<string, string>> = {
  CurrentTime: 'aws:currenttime',
  EpochTime: 'aws:epochtime',
  SecureTransport: 'aws:securetransport',
  SourceIp: 'aws:sourceip',
  UserAgent: 'aws:useragent',
  Referer: 'aws:referer',
  principaltype: 'aws:principaltype',
  userid: 'aws:userid',
  username: 'aws:username',
  groups: 'aws:groups',
  signatureversion: 's3:signatureversion',
  signatureAge: 's3:signatureage',
  authType: 's3:authtype',
  versionid: 's3:versionid',
  prefix: 's3:prefix',
  delimiter: 's3:delimiter',
  'max-keys': 's3:max-keys',
  LocationConstraint: 's3:locationconstraint',
  DurationSeconds: 'sts:durationseconds',
};
/** Secrets of the client: no business of whoever decides. */
const secret = /^x-amz-(security-token|.*customer-key)$/;

export function pluginConditions(
  values: ConditionValues,
  headers: HeaderMap,
  known: Readonly<Record<string, readonly string[]>>,
): Record<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const name of headers.names()) {
    if (!name.startsWith('x-amz-') || secret.test(name)) continue;
    found.set(canonical(name), [headers.get(name) ?? '']);
  }
  for (const [key, list] of Object.entries(known)) {
    if (list.length > 0 && !isNamed(key)) found.set(key.replace(/^[a-z0-9]+:/, ''), list);
  }
  // Last: what the server knows goes before whatever a client calls so.
  for (const [name, key] of Object.entries(names)) {
    const list = values.trusted(key) ?? values.request(key);
    if (list !== undefined && list.length > 0) found.set(name, list);
    else found.delete(name);
  }
  return Object.fromEntries(found);
}

function isNamed(key: string): boolean {
  return Object.values(names).includes(key);
}

/** `X-Amz-Copy-Source`. */
function canonical(header: string): string {
  return header.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
