/**
 * The decision when a policy plugin takes the place of the policies. It is asked about everybody who signed, root
 * included; what anonymous callers may stays with the policies of buckets. Two things it cannot undo: an account that
 * is gone or disabled may nothing, and a session policy holds its credential down.
 */
import type { Iam, PolicyQuestion } from '../identity/index.js';
import { decide, parsePolicy } from '../policy/index.js';
import { createAuthorizer, type AuthorizerOptions, type IsAllowed } from './authorize.js';
import { conditionValues } from './condition-values.js';
import { pluginConditions } from './plugin-conditions.js';

export interface PluginAuthorizerOptions extends AuthorizerOptions {
  readonly iam: Pick<Iam, 'policiesOf' | 'isBarred'>;
  readonly plugin: { decide(question: PolicyQuestion): Promise<boolean> };
}

const noValues = {};
const everything = parsePolicy(
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] },
      ...['admin:*', 'kms:*', 'sts:*'].map((Action) => ({ Effect: 'Allow', Action: [Action] })),
    ],
  }),
  'identity',
);

export function createPluginAuthorizer(options: PluginAuthorizerOptions): IsAllowed {
  const { iam, clock, plugin } = options;
  const byPolicies = createAuthorizer(options);
  return (principal, permission, context) => {
    if (principal.kind === 'anonymous') return byPolicies(principal, permission, context);
    if (iam.isBarred(principal)) return false;
    const { action, bucket, key, mode = 'allow', values: known = noValues } = permission;
    const headers = permission.headers ?? context.call.request.headers;
    const conditions = conditionValues({ ...context, headers, principal, clock, known });
    const { isRoot, session } = iam.policiesOf(principal, null);
    if (session.length > 0) {
      const request = { action, bucket, key, account: principal.account, conditions };
      const within = { isRoot: false, identity: [everything], bucket: null, session };
      if (!decide(request, within, mode)) return false;
    }
    return plugin.decide({
      ...{ account: principal.accessKey, groups: principal.groups, action, bucket, key, isOwner: isRoot },
      conditions: pluginConditions(conditions, headers, known),
      claims: principal.claims,
      isDenyOnly: mode === 'deny-only',
    });
  };
}
