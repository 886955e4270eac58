/**
 * Set-ups of identity providers: `mc idp openid` and `mc idp ldap`. They are settings like others, under names of their
 * own; what is changed counts from the next start.
 */
import {
  azureMigration,
  decodeSettingsText,
  defaultTarget,
  identityLdapSubsystem,
  openIdSubsystem,
  type TargetView,
} from '../config/index.js';
import type { ExchangeResponse } from '../exchange/index.js';
import { openIdRoleArn } from '../identity/index.js';
import { emptyAnswer, sealedJson } from './answer.js';
import { sealedBody } from './body.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { adminOperation, type AdminCall, type AdminRoute } from './operation.js';

const access = ['ConfigUpdate'];

interface IdpPlace {
  readonly type: 'openid' | 'ldap';
  readonly subsystem: string;
  readonly target: string;
}

const addConfig = adminOperation({
  name: 'AddIdentityProviderConfig',
  access,
  handle: async (deps, call) => {
    const place = placeOf(call);
    if (found(deps, place) !== null) throw adminError('XMinioAdminConfigIDPCfgNameAlreadyExists');
    return set(deps, call, place);
  },
});

const updateConfig = adminOperation({
  name: 'UpdateIdentityProviderConfig',
  access,
  handle: async (deps, call) => {
    const place = placeOf(call);
    required(deps, place);
    return set(deps, call, place);
  },
});

const deleteConfig = adminOperation({
  name: 'DeleteIdentityProviderCfg',
  access,
  handle: async (deps, call) => {
    const place = placeOf(call);
    if (!required(deps, place).isStored) {
      throw adminError('XMinioAdminConfigEnvOverridden', 'It is set by environment variables: remove them there.');
    }
    await deps.settings.reset(wordOf(place));
    return emptyAnswer();
  },
});

const listConfigs = adminOperation({
  name: 'ListIdentityProviderCfg',
  access,
  handle: (deps, call) => {
    const { type, subsystem } = typeOf(call);
    const items = deps.settings.views(subsystem).map((view) => {
      const roleARN = roleArnOf(deps, type, view);
      const enabled = view.isEnabled && !isOutdated(deps, type, view);
      return { type, name: view.target, enabled, ...(roleARN !== '' && { roleARN }) };
    });
    return sealedJson(deps, call, items);
  },
});

const getConfig = adminOperation({
  name: 'GetIdentityProviderCfg',
  access,
  handle: (deps, call) => {
    const place = placeOf(call);
    const view = required(deps, place);
    const pairs = view.pairs.filter(({ isSecret, isStored, isFromEnvironment }) => {
      return !isSecret && (isStored || isFromEnvironment);
    });
    const info = pairs.map(({ key, value, isStored, isFromEnvironment }) => {
      return { key, value, isCfg: isStored, isEnv: isFromEnvironment };
    });
    const isOff = !view.isEnabled || isOutdated(deps, place.type, view);
    if (!info.some(({ key }) => key === 'enable')) {
      info.push({ key: 'enable', value: isOff ? 'off' : 'on', isCfg: false, isEnv: false });
    }
    if (isOutdated(deps, place.type, view)) {
      const value = `This provider is off: azure_use_group_id is set. ${azureMigration}`;
      info.push({ key: 'migration', value, isCfg: false, isEnv: false });
    }
    const roleArn = roleArnOf(deps, place.type, view);
    if (roleArn !== '') info.push({ key: 'roleARN', value: roleArn, isCfg: false, isEnv: false });
    info.sort((left, right) => (left.key < right.key ? -1 : 1));
    return sealedJson(deps, call, { type: place.type, name: place.target, info });
  },
});

/** Set up for what is no more: see `azureMigration`. */
function isOutdated({ settings }: AdminDeps, type: IdpPlace['type'], { target }: TargetView): boolean {
  return type === 'openid' && settings.upcoming(openIdSubsystem).get(target)?.isAzureOutdated === true;
}

function typeOf(call: AdminCall): Pick<IdpPlace, 'type' | 'subsystem'> {
  const type = call.input.path[1];
  if (type !== 'openid' && type !== 'ldap') throw adminError('XMinioAdminConfigInvalidIDPType');
  return { type, subsystem: `identity_${type}` };
}

function placeOf(call: AdminCall): IdpPlace {
  const { type, subsystem } = typeOf(call);
  const target = call.input.path[2] ?? '';
  if (type === 'ldap' && target !== defaultTarget) throw adminError('XMinioAdminConfigLDAPNonDefaultConfigName');
  return { type, subsystem, target };
}

function wordOf({ subsystem, target }: IdpPlace): string {
  return target === defaultTarget ? subsystem : `${subsystem}:${target}`;
}

/** Null: nothing is set under the name. */
function found({ settings }: AdminDeps, { subsystem, target }: IdpPlace): TargetView | null {
  const view = settings.views(subsystem).find((one) => one.target === target);
  return view?.pairs.some(({ isStored, isFromEnvironment }) => isStored || isFromEnvironment) === true ? view : null;
}

function required(deps: AdminDeps, place: IdpPlace): TargetView {
  const view = found(deps, place);
  if (view === null) throw adminError('XMinioAdminConfigIDPCfgNameDoesNotExist');
  return view;
}

async function set(deps: AdminDeps, call: AdminCall, place: IdpPlace): Promise<ExchangeResponse> {
  const text = decodeSettingsText(await sealedBody(deps, call)).trim();
  // A second line could set anything.
  if (/[\r\n]/.test(text)) throw adminError('XMinioConfigError', 'What is set is one line of KEY=VALUE.');
  const words = `${wordOf(place)} ${text}`;
  if (place.type === 'ldap') await requireDirectoryOf(deps, words);
  await deps.settings.set(words);
  return emptyAnswer();
}

/** A directory that cannot be asked would keep everybody out from the next start on: better told now. */
async function requireDirectoryOf({ settings, checkLdap }: AdminDeps, words: string): Promise<void> {
  const next = settings.preview(words, identityLdapSubsystem).get(defaultTarget);
  const wrong = next === undefined ? null : await checkLdap(next);
  if (wrong !== null) throw adminError('XMinioAdminConfigLDAPValidation', wrong);
}

function roleArnOf({ settings, namedRegion }: AdminDeps, type: IdpPlace['type'], { target }: TargetView): string {
  const openId = type === 'openid' ? settings.upcoming(openIdSubsystem).get(target) : undefined;
  return openId === undefined ? '' : openIdRoleArn(openId, namedRegion);
}

const path = 'idp-config/{type}/{name}';

export const idpConfigRoutes: readonly AdminRoute[] = [
  { method: 'PUT', path, operation: addConfig },
  { method: 'POST', path, operation: updateConfig },
  { method: 'DELETE', path, operation: deleteConfig },
  { method: 'GET', path, operation: getConfig },
  { method: 'GET', path: 'idp-config/{type}', operation: listConfigs },
];
