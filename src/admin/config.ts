/**
 * The settings of the server: `mc admin config`. Texts are under the signer's secret key both ways; a change
 * that needs no restart says so in a header, which clients turn into a sentence.
 */
import { decodeSettingsText, type SettingsChange } from '../config/index.js';
import type { ExchangeResponse } from '../exchange/index.js';
import { emptyAnswer, jsonAnswer, sealedAnswer, sealedJson } from './answer.js';
import { sealedBody } from './body.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { adminOperation, type AdminCall, type AdminRoute } from './operation.js';
import { timeText } from './time.js';

const access = ['ConfigUpdate'];
const historyCountDefault = 10;

const getConfig = adminOperation({
  name: 'GetConfigKV',
  access,
  handle: (deps, call) => sealedAnswer(deps, call, deps.settings.get(call.input.query('key'))),
});

const setConfig = adminOperation({
  name: 'SetConfigKV',
  access,
  handle: async (deps, call) => changed(await deps.settings.set(await textOf(deps, call))),
});

const resetConfig = adminOperation({
  name: 'DelConfigKV',
  access,
  handle: async (deps, call) => changed(await deps.settings.reset(await textOf(deps, call))),
});

const helpConfig = adminOperation({
  name: 'HelpConfigKV',
  access,
  handle: (deps, call) => {
    const { input } = call;
    return jsonAnswer(deps.settings.help(input.query('subSys'), input.query('key'), call.query.has('env')));
  },
});

const exportConfig = adminOperation({
  name: 'GetConfig',
  access,
  handle: (deps, call) => sealedAnswer(deps, call, deps.settings.export()),
});

const importConfig = adminOperation({
  name: 'SetConfig',
  access,
  handle: async (deps, call) => changed(await deps.settings.import(await textOf(deps, call))),
});

const listHistory = adminOperation({
  name: 'ListConfigHistoryKV',
  access,
  handle: (deps, call) => {
    const text = call.input.query('count');
    if (!/^\d{0,9}$/.test(text)) throw adminError('XMinioAdminInvalidArgument', 'The count is not a number.');
    const count = Number(text) || historyCountDefault;
    const entries = deps.settings.history(count).map((entry) => ({
      restoreId: entry.id,
      createTime: timeText(entry.createdMs),
      data: entry.text,
    }));
    return sealedJson(deps, call, entries);
  },
});

const restoreHistory = adminOperation({
  name: 'RestoreConfigHistoryKV',
  access,
  handle: async (deps, call) => changed(await deps.settings.restore(restoreIdOf(call))),
});

const clearHistory = adminOperation({
  name: 'ClearConfigHistoryKV',
  access,
  handle: async (deps, call) => {
    await deps.settings.clearHistory(restoreIdOf(call));
    return emptyAnswer();
  },
});

async function textOf(deps: AdminDeps, call: AdminCall): Promise<string> {
  return decodeSettingsText(await sealedBody(deps, call));
}

function restoreIdOf(call: AdminCall): string {
  const id = call.input.query('restoreId');
  if (id === '') throw adminError('XMinioAdminInvalidArgument', 'No restore id is given.');
  return id;
}

function changed({ isInEffect }: SettingsChange): ExchangeResponse {
  const answer = emptyAnswer();
  return isInEffect ? { ...answer, headers: [['x-minio-config-applied', 'true']] } : answer;
}

export const configRoutes: readonly AdminRoute[] = [
  { method: 'GET', path: 'get-config-kv', query: ['key'], operation: getConfig },
  { method: 'PUT', path: 'set-config-kv', operation: setConfig },
  { method: 'DELETE', path: 'del-config-kv', operation: resetConfig },
  { method: 'GET', path: 'help-config-kv', query: ['subSys', 'key'], operation: helpConfig },
  { method: 'GET', path: 'config', operation: exportConfig },
  { method: 'PUT', path: 'config', operation: importConfig },
  { method: 'GET', path: 'list-config-history-kv', query: ['count'], operation: listHistory },
  { method: 'PUT', path: 'restore-config-history-kv', query: ['restoreId'], operation: restoreHistory },
  { method: 'DELETE', path: 'clear-config-history-kv', query: ['restoreId'], operation: clearHistory },
];
