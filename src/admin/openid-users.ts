/** Accounts that OpenID providers vouch for, as lists of access keys name them. */
import { openIdSubsystem } from '../config/index.js';
import type { AccessKeyInfo } from '../identity/index.js';
import type { AdminDeps } from './deps.js';

/** By the claims that the provider's settings name. */
export interface OpenIdUser {
  readonly configName: string;
  readonly userID: string;
  readonly userIDClaim: string;
  readonly displayName: string;
  readonly displayNameClaim: string;
}

export function openIdUserOf({ settings }: Pick<AdminDeps, 'settings'>, key: AccessKeyInfo): OpenIdUser {
  const { userIdClaim = 'sub', userReadableClaim = '' } = settings.targets(openIdSubsystem).get(key.provider) ?? {};
  const text = (claim: string): string => {
    const value = key.claims.get(claim);
    return value === undefined ? '' : String(value);
  };
  return {
    configName: key.provider,
    userID: text(userIdClaim),
    userIDClaim: userIdClaim,
    displayName: text(userReadableClaim),
    displayNameClaim: userReadableClaim,
  };
}

interface Listed {
  readonly account: string;
  readonly user: OpenIdUser;
  readonly keys: readonly AccessKeyInfo[];
}

/** One for each account and provider that has keys or sessions. */
export function openIdAccounts(deps: AdminDeps): readonly Listed[] {
  return deps.iam.externalAccounts('openid').flatMap(({ account, provider }) => {
    const keys = deps.iam.accessKeysOf(account).filter((key) => key.provider === provider);
    const [first] = keys;
    return first === undefined ? [] : [{ account, user: openIdUserOf(deps, first), keys }];
  });
}

/** The accounts that a name means: the account itself, or its id at a provider. */
export function openIdAccountsNamed(deps: AdminDeps, name: string): readonly string[] {
  const found = openIdAccounts(deps).filter(({ account, user }) => account === name || user.userID === name);
  return [...new Set(found.map(({ account }) => account))];
}
