/** Access keys: `mc admin accesskey` and `mc admin user svcacct`; changes. What is read is in `access-key-views.ts`. */
import type { AccountSource, DirectoryAccount, Principal } from '../identity/index.js';
import type { Policy } from '../policy/index.js';
import { descriptionField, expiryField, keyStatusField, nameField, policyField } from './access-key-input.js';
import { accountOf } from './account.js';
import { emptyAnswer, sealedJson } from './answer.js';
import { sealedObject, textField } from './body.js';
import type { AdminDeps } from './deps.js';
import { askDirectory, directoryUser, requireDirectory } from './ldap-accounts.js';
import { adminError } from './errors.js';
import { openIdAccountsNamed } from './openid-users.js';
import { adminOperation, anySigner, isNotDenied, mayAdmin, type AdminCall, type AdminRoute } from './operation.js';
import { expiryText } from './time.js';

const addAccessKey = adminOperation({
  name: 'AddServiceAccount',
  // For whom it is is in the body, which only the signer's secret opens: decided in `requireMayCreate`.
  access: anySigner,
  handle: async (deps, call) => {
    // Nothing but a denial is known yet; whoever is denied even this is not worth a key derivation.
    if (!(await isNotDenied(call, 'CreateServiceAccount'))) throw adminError('AccessDenied');
    return createAccessKey(deps, call, await sealedObject(deps, call), parentOf);
  },
});

/** As the request says; `parentOf` tells whose it becomes, and is asked once the signer may. */
export async function createAccessKey(
  deps: AdminDeps,
  call: AdminCall,
  body: Readonly<Record<string, unknown>>,
  resolveParent: typeof parentOf,
) {
  const target = textField(body, 'targetUser');
  const accessKey = textField(body, 'accessKey');
  const secretKey = textField(body, 'secretKey');
  const expiresMs = expiryField(body, 'expiration', deps.clock.nowMs());
  await requireMayCreate(call, isOwnName(call, target), lifetime(deps, expiresMs));
  const parent = await resolveParent(deps, call, target);
  checkKeys(deps, accessKey, secretKey, parent.account);
  const created = await deps.iam.createAccessKey({
    parent: parent.account,
    parentSource: parent.source,
    accessKey,
    secretKey,
    name: nameField(body, 'name'),
    description: descriptionField(body, 'description') || descriptionField(body, 'comment'),
    policy: restrictedBy(deps, call, policyField(body, 'policy') ?? null),
    expiresMs,
    ...inherited(deps, call.principal, parent),
  });
  return sealedJson(deps, call, {
    credentials: {
      accessKey: created.accessKey,
      secretKey: created.secretKey,
      expiration: expiryText(created.expiresMs),
    },
  });
}

const updateAccessKey = adminOperation({
  name: 'UpdateServiceAccount',
  // The owner of a key is no exception (CVE-2024-24747).
  access: ['UpdateServiceAccount'],
  handle: async (deps, call) => {
    const accessKey = call.input.query('accessKey');
    const body = await sealedObject(deps, call);
    requireAccessKey(deps, accessKey);
    if (isRestrictedSelf(deps, call, accessKey)) throw adminError('AccessDenied');
    const secretKey = textField(body, 'newSecretKey');
    const name = nameField(body, 'newName');
    const description = descriptionField(body, 'newDescription');
    const status = keyStatusField(body, 'newStatus');
    const expiresMs = expiryField(body, 'newExpiration', deps.clock.nowMs());
    // Asked before without it; a policy may forbid this one.
    if (!(await mayAdmin(call, 'UpdateServiceAccount', lifetime(deps, expiresMs)))) throw adminError('AccessDenied');
    const policy = policyField(body, 'newPolicy');
    if (secretKey !== '') checkSecret(secretKey);
    await deps.iam.updateAccessKey(accessKey, {
      ...(secretKey !== '' && { secretKey }),
      ...(name !== '' && { name }),
      ...(description !== '' && { description }),
      ...(status !== undefined && { status }),
      ...(textField(body, 'newExpiration') !== '' && { expiresMs }),
      // Absent keeps what is embedded: a new description must not widen a key.
      ...(policy !== undefined && { policy }),
    });
    return emptyAnswer(204);
  },
});

const removeAccessKey = adminOperation({
  name: 'DeleteServiceAccount',
  access: anySigner,
  handle: async (deps, call) => {
    const accessKey = call.input.query('accessKey');
    const found = deps.iam.accessKey(accessKey);
    const isOwn =
      found !== null && found.parent === accountOf(call) && (await isNotDenied(call, 'RemoveServiceAccount'));
    // Whose key it is, or whether there is one, is not told to those who may not know.
    if (found?.kind !== 'service-account' || !(isOwn || (await mayAdmin(call, 'RemoveServiceAccount')))) {
      throw adminError('XMinioInvalidIAMCredentials', 'The access key does not exist.', 404);
    }
    await deps.iam.removeAccessKey(accessKey);
    return emptyAnswer(204);
  },
});

const revokeTokens = adminOperation({
  name: 'RevokeTokens',
  access: (_deps, call) => {
    const action = 'RemoveServiceAccount';
    return isOwnName(call, call.input.query('user')) ? isNotDenied(call, action) : mayAdmin(call, action);
  },
  handle: async (deps, call) => {
    const provider = call.input.path[1];
    if (provider === 'openid') return revokeOfOpenId(deps, call);
    if (provider === 'ldap') return revokeOfDirectory(deps, call);
    if (provider !== 'builtin') throw adminError('NotImplemented');
    const asked = call.input.query('user');
    const tag = revokeTypeOf(deps, call, asked);
    const user = isOwnName(call, asked) ? accountOf(call) : asked;
    // Clients ask here for their own account, wherever it comes from.
    if (!isOwnName(call, asked) && !isServedHere(deps, user)) throw adminError('XMinioAdminNoSuchUser');
    await deps.iam.revokeSessions(user, tag);
    return emptyAnswer(204);
  },
});

/** By the account, one of its keys, or its id at the provider. */
async function revokeOfOpenId(deps: AdminDeps, call: AdminCall) {
  const asked = call.input.query('user');
  const tag = revokeTypeOf(deps, call, asked);
  const key = deps.iam.accessKey(isOwnName(call, asked) ? signerOf(call) : asked);
  const accounts = key?.parentSource === 'openid' ? [key.parent] : openIdAccountsNamed(deps, asked);
  if (accounts.length === 0) throw adminError('XMinioAdminNoSuchUser');
  for (const account of accounts) await deps.iam.revokeSessions(account, tag);
  return emptyAnswer(204);
}

function signerOf({ principal }: AdminCall): string {
  return principal.kind === 'anonymous' ? '' : principal.accessKey;
}

async function revokeOfDirectory(deps: AdminDeps, call: AdminCall) {
  requireDirectory(deps);
  const asked = call.input.query('user');
  const tag = revokeTypeOf(deps, call, asked);
  const user = isOwnName(call, asked) ? accountOf(call) : await directoryUser(deps, asked);
  await deps.iam.revokeSessions(user, tag);
  return emptyAnswer(204);
}

/** Of this server, or of a provider that has no name in the path of this call. */
function isServedHere({ iam, rootAccessKey }: AdminDeps, account: string): boolean {
  if (account === rootAccessKey || iam.user(account) !== null) return true;
  return iam
    .accessKeysOf(account)
    .some(({ parentSource }) => parentSource === 'plugin' || parentSource === 'certificate');
}

/** Empty, the key that signs and its account all mean the signer's own. */
export function isOwnName(call: AdminCall, name: string): boolean {
  if (name === '' || name === accountOf(call)) return true;
  return call.principal.kind !== 'anonymous' && name === call.principal.accessKey;
}

/** Null: whatever the tag. A temporary credential that names neither ends what shares its own. */
function revokeTypeOf(deps: AdminDeps, { input, principal }: AdminCall, user: string): string | null {
  const tag = input.query('tokenRevokeType');
  const isFull = input.flag('fullRevoke');
  if (isFull && tag !== '') throw adminError('InvalidRequest', 'fullRevoke and a tokenRevokeType exclude each other.');
  if (isFull) return null;
  if (tag !== '') return tag;
  if (user !== '') throw adminError('InvalidRequest', 'Either fullRevoke or one tokenRevokeType must be given.');
  const own = principal.kind === 'temporary' ? deps.iam.accessKey(principal.accessKey)?.revokeType : '';
  if (own === undefined || own === '') throw adminError('InvalidArgument', 'The credential has no tokenRevokeType.');
  return own;
}

export interface Parent {
  readonly account: string;
  readonly source: AccountSource;
  readonly isOwn: boolean;
  /** Of an account that a directory knows. */
  readonly directory?: DirectoryAccount;
}

/** Derived credentials never own further ones: those hang from the account itself. */
async function parentOf(deps: AdminDeps, call: AdminCall, target: string): Promise<Parent> {
  const { principal } = call;
  if (principal.kind === 'anonymous') throw adminError('AccessDenied');
  if (target === '' || target === principal.accessKey || target === principal.account) {
    return { account: principal.account, source: principal.source, isOwn: true };
  }
  if (target === deps.rootAccessKey) return { account: target, source: 'root', isOwn: false };
  if (deps.ldap !== null) return parentInDirectory(deps, target);
  return { account: target, source: 'internal', isOwn: false };
}

/** By login name or DN. */
export async function parentInDirectory(deps: AdminDeps, target: string): Promise<Parent> {
  const found = await askDirectory(deps, (directory) => directory.user(target));
  if (found === null) throw adminError('XMinioAdminNoSuchUser', 'The directory has no such user.');
  return { account: found.dn, source: 'ldap', isOwn: false, directory: found };
}

/** For how long a key is asked, as policies see it. */
function lifetime({ clock }: AdminDeps, expiresMs: number | null): Readonly<Record<string, readonly string[]>> {
  if (expiresMs === null) return {};
  return { 'svc:durationseconds': [String(Math.ceil((expiresMs - clock.nowMs()) / 1000))] };
}

async function requireMayCreate(call: AdminCall, isOwn: boolean, values: ReturnType<typeof lifetime>): Promise<void> {
  const may = isOwn ? isNotDenied : mayAdmin;
  const isGranted = await may(call, 'CreateServiceAccount', values);
  if (!isGranted) throw adminError('AccessDenied');
}

function checkKeys(deps: AdminDeps, accessKey: string, secretKey: string, parent: string): void {
  if (accessKey === '' && secretKey === '') return;
  if (accessKey === '') throw adminError('XMinioAdminNoAccessKey');
  if (secretKey === '') throw adminError('XMinioAdminNoSecretKey');
  if (accessKey !== accessKey.trim()) throw adminError('XMinioInvalidResource');
  if (accessKey === deps.rootAccessKey || accessKey === parent) throw adminError('XMinioInvalidIAMCredentials');
  if (/[=,]/.test(accessKey) || accessKey.length < 3 || accessKey.length > 20) {
    throw adminError('XMinioAdminInvalidAccessKey', 'The access key has 3 to 20 characters, without "=" and ",".');
  }
  if (deps.iam.accessKey(accessKey) !== null || deps.iam.user(accessKey) !== null) {
    throw adminError('XMinioInvalidIAMCredentials', 'The access key is taken.');
  }
  checkSecret(secretKey);
}

function checkSecret(secretKey: string): void {
  if (secretKey.length < 8 || secretKey.length > 40) {
    throw adminError('XMinioAdminInvalidSecretKey', 'The secret key has 8 to 40 characters.');
  }
}

function requireAccessKey(deps: AdminDeps, accessKey: string): void {
  if (deps.iam.accessKey(accessKey)?.kind === 'service-account') return;
  throw adminError('XMinioInvalidIAMCredentials', 'The access key does not exist.', 404);
}

/** The policy that holds the signer down, if one does. */
function ownRestriction(deps: AdminDeps, { principal }: AdminCall): readonly Policy[] {
  return deps.iam.policiesOf(principal, null).session;
}

function isRestrictedSelf(deps: AdminDeps, call: AdminCall, accessKey: string): boolean {
  return (
    call.principal.kind !== 'anonymous' &&
    call.principal.accessKey === accessKey &&
    ownRestriction(deps, call).length > 0
  );
}

/**
 * What a restricted signer creates is no wider than itself: it gets the signer's policy, and another one
 * cannot be asked for beside it (two policies do not fit into one document that means both).
 */
function restrictedBy(deps: AdminDeps, call: AdminCall, asked: Policy | null): Policy | null {
  const own = ownRestriction(deps, call);
  if (own.length === 0) return asked;
  const [only] = own;
  if (own.length > 1 || only === undefined || (asked !== null && asked.text !== only.text)) {
    throw adminError('AccessDenied', 'A restricted credential can only create access keys with its own policy.');
  }
  return only;
}

/** What its creator has from elsewhere: the key keeps it when the session is over. */
function inherited({ iam }: AdminDeps, principal: Principal, { isOwn, directory }: Parent) {
  if (directory !== undefined) return { claims: directory.claims, groups: directory.groups, provider: '_' };
  if (!isOwn || principal.kind === 'anonymous') return { claims: new Map<string, never>(), groups: [] };
  const own = iam.accessKey(principal.accessKey);
  return {
    // When the session ends says nothing about a key.
    claims: new Map([...principal.claims].filter(([name]) => name !== 'exp')),
    groups: principal.groups,
    ...(own !== null && { policyNames: own.policyNames, roleArn: own.roleArn, provider: own.provider }),
  };
}

export const accessKeyRoutes: readonly AdminRoute[] = [
  { method: 'PUT', path: 'add-service-account', operation: addAccessKey },
  { method: 'POST', path: 'update-service-account', query: ['accessKey'], operation: updateAccessKey },
  { method: 'DELETE', path: 'delete-service-account', query: ['accessKey'], operation: removeAccessKey },
  { method: 'POST', path: 'revoke-tokens/{provider}', operation: revokeTokens },
];
