/** Access keys and sessions of accounts that OpenID providers vouch for: `mc idp openid accesskey ls`. */
import { defaultTarget, openIdSubsystem } from '../config/index.js';
import { listed, listTypeOf } from './access-key-views.js';
import { accountOf } from './account.js';
import { sealedJson } from './answer.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { openIdAccounts } from './openid-users.js';
import { adminOperation, isNotDenied, mayAdmin, type AdminCall, type AdminRoute } from './operation.js';

const listBulk = adminOperation({
  name: 'ListAccessKeysOpenIDBulk',
  access: async (_deps, call) => {
    if (call.input.flag('all')) return (await mayAdmin(call, 'ListUsers')) && mayAdmin(call, 'ListServiceAccounts');
    const isOwn = call.input.queries('users').every((user) => user === '' || user === accountOf(call));
    return isOwn ? isNotDenied(call, 'ListServiceAccounts') : mayAdmin(call, 'ListServiceAccounts');
  },
  handle: (deps, call) => {
    const type = listTypeOf(call);
    const users = call.input.queries('users').filter((user) => user !== '');
    const isAll = call.input.flag('all');
    if (isAll && users.length > 0) throw adminError('InvalidRequest', 'Either users or all can be given.');
    const names = configNames(deps, call);
    const asked = new Set(users.length > 0 ? users : [accountOf(call)]);
    const byConfig = new Map<string, object[]>(names.map((name) => [name, []]));
    for (const { account, user, keys } of openIdAccounts(deps)) {
      if (!isAll && !asked.has(account) && !asked.has(user.userID)) continue;
      const serviceAccounts = listed(keys, 'service-account', type === 'all' || type === 'svcacc-only');
      const stsKeys = listed(keys, 'temporary', type === 'all' || type === 'sts-only');
      if ((type === 'sts-only' || type === 'svcacc-only') && serviceAccounts === null && stsKeys === null) continue;
      byConfig.get(user.configName)?.push({
        ...{ minioAccessKey: account, ID: user.userID, readableName: user.displayName },
        ...{ serviceAccounts, stsKeys },
      });
    }
    return sealedJson(
      deps,
      call,
      [...byConfig].map(([configName, found]) => ({ configName, users: found })),
    );
  },
});

function configNames({ settings, iam }: AdminDeps, call: AdminCall): readonly string[] {
  const known = [...settings.targets(openIdSubsystem).keys()];
  if (call.input.flag('allConfigs')) {
    // One that was taken out of the settings may have left keys behind.
    return [...new Set([...known, ...iam.externalAccounts('openid').map(({ provider }) => provider)])].sort();
  }
  const name = call.input.query('configName') || defaultTarget;
  if (!known.includes(name)) throw adminError('XMinioAdminNoSuchConfigTarget');
  return [name];
}

export const openIdAccessKeyRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'idp/openid/list-access-keys-bulk', query: ['listType'], operation: listBulk },
];
