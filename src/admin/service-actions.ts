/** `mc admin service`: restart and stop of the process, freeze and unfreeze of its S3 requests. */
import { emptyAnswer, jsonAnswer } from './answer.js';
import { adminError } from './errors.js';
import { adminOperation, mayAdmin, mayAnyOf, type AdminCall, type AdminRoute } from './operation.js';

const actionOf = {
  restart: 'ServiceRestart',
  stop: 'ServiceStop',
  freeze: 'ServiceFreeze',
  unfreeze: 'ServiceFreeze',
} as const;

type ServiceAction = keyof typeof actionOf;

const service = adminOperation({
  name: 'ServiceAction',
  access: (_deps, call) => {
    const action = asked(call);
    // An action that is not known is told to be one to those who may do any.
    return action === null ? mayAnyOf(call, Object.values(actionOf)) : mayAdmin(call, actionOf[action]);
  },
  handle: (deps, call) => {
    const action = asked(call);
    if (action === null)
      throw adminError('MalformedPOSTRequest', 'The action is none of restart, stop, freeze, unfreeze.');
    const isDryRun = call.input.flag('dry-run');
    const { endProcess } = deps.service;
    if ((action === 'restart' || action === 'stop') && endProcess === null) {
      throw adminError('NotImplemented', `This server is part of another program, which alone can ${action} it.`);
    }
    if (!isDryRun) {
      if (action === 'freeze') deps.service.freeze();
      else if (action === 'unfreeze') deps.service.unfreeze();
      else endProcess?.(action);
    }
    // The first version of this call answered nothing.
    if (call.input.query('type') !== '2') return emptyAnswer();
    return jsonAnswer({ action, dryRun: isDryRun, results: [{ host: deps.endpoint() }] });
  },
});

function asked(call: AdminCall): ServiceAction | null {
  const action = call.input.query('action');
  return Object.hasOwn(actionOf, action) ? (action as ServiceAction) : null;
}

export const serviceActionRoutes: readonly AdminRoute[] = [
  { method: 'POST', path: 'service', query: ['action'], operation: service },
];
