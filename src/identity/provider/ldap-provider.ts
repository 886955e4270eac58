/**
 * AssumeRoleWithLDAPIdentity: a login name and a password, checked by the directory. Whoever fails learns nothing
 * else: an unknown name, a name that means two entries, a locked account and a wrong password have one answer, which
 * takes as long, and too many failures are refused before the directory is asked (CVE-2026-33419).
 */
import { limits, Refusal, type Clock } from '../../base/index.js';
import type { ExternalIdentity, IdentityErrorCode, IdentityProof, IdentityProvider } from '../external-identity.js';
import type { ClaimValue } from '../principal.js';
import type { LdapAttempts } from './ldap-attempts.js';
import type { DirectoryUser, LdapDirectory } from './ldap-directory.js';
import { DirectoryFault } from './ldap-fault.js';
import { FailurePace } from './ldap-pace.js';

export interface LdapProviderOptions {
  readonly directory: Pick<LdapDirectory, 'findUser' | 'groupsOf' | 'isPasswordOf' | 'settings'>;
  readonly attempts: LdapAttempts;
  /** Whether a policy that exists is attached to the user or to one of the groups. */
  readonly hasPolicy: (userDn: string, groups: readonly string[]) => boolean;
  readonly clock: Clock;
  /** For what an operator should know; never a password. */
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly pace?: FailurePace;
}

const loginBytesMax = 256;
/** Directories bound theirs as well: a hash of megabytes would be work for nothing. */
const passwordBytesMax = 1024;
const wrong = 'The user name or the password is not right.';

export class LdapProvider implements IdentityProvider {
  readonly #options: LdapProviderOptions;
  readonly #pace: FailurePace;

  constructor(options: LdapProviderOptions) {
    this.#options = options;
    this.#pace = options.pace ?? new FailurePace(options.clock);
  }

  async identify({ parameters, durationSeconds, remoteAddress }: IdentityProof): Promise<ExternalIdentity> {
    const login = parameters.get('LDAPUsername') ?? '';
    const password = parameters.get('LDAPPassword') ?? '';
    // Before any bind: directories let everybody in who names no password (RFC 4513 section 5.1.2).
    if (login.trim() === '' || password === '') {
      throw refusal('MissingParameter', 'LDAPUsername and LDAPPassword cannot be empty');
    }
    if (Buffer.byteLength(login) > loginBytesMax || /[\p{Cc}\p{Cs}]/u.test(login)) {
      throw refusal('InvalidParameterValue', `LDAPUsername has ${loginBytesMax} bytes at most, no control characters`);
    }
    if (Buffer.byteLength(password) > passwordBytesMax) {
      throw refusal('InvalidParameterValue', `LDAPPassword has ${passwordBytesMax} bytes at most`);
    }
    const user = await this.#signIn(login, password, remoteAddress);
    const groups = await this.#orFault(() => this.#options.directory.groupsOf(login, user.actualDn));
    if (!this.#options.hasPolicy(user.dn.text, groups)) {
      throw refusal(
        'InvalidParameterValue',
        `expecting a policy to be set for user "${user.actualDn}" or one of their groups: ` +
          `[${groups.slice(0, 8).join('; ')}${groups.length > 8 ? '; …' : ''}] - rejecting this request`,
      );
    }
    const seconds = durationSeconds ?? limits.sessionSeconds.usual;
    return {
      account: user.dn.text,
      source: 'ldap',
      subject: '',
      policyNames: [],
      groups,
      claims: ldapClaims(user, login),
      roleArn: '',
      provider: '_',
      expiresMs: this.#options.clock.nowMs() + seconds * 1000,
    };
  }

  /** Rejects unless the directory takes the password. */
  async #signIn(login: string, password: string, remoteAddress: string): Promise<DirectoryUser> {
    const attempt = this.#options.attempts.begin(login, remoteAddress);
    if (attempt === null) {
      this.#options.log('too many failed logins to the directory', { login: 'limited', remoteAddress });
      throw refusal('Throttling', 'Too many failed logins. Try again in a minute.');
    }
    const startedMs = this.#options.clock.monotonicMs();
    let user: DirectoryUser | null;
    let isRight: boolean;
    try {
      user = await this.#orFault(() => this.#options.directory.findUser(login));
      // Nobody has this name: the directory is asked all the same, as long as it takes.
      isRight = await this.#orFault(() =>
        this.#options.directory.isPasswordOf(user?.actualDn ?? this.#nobody(), password),
      );
    } catch (error) {
      attempt.didNotFail();
      throw error;
    }
    if (user !== null && isRight) {
      attempt.didNotFail();
      return user;
    }
    await this.#pace.failed(startedMs, user !== null);
    throw refusal('AccessDenied', wrong);
  }

  /** A DN that no entry has. */
  #nobody(): string {
    return `cn=granary-nobody,${this.#options.directory.settings.userBases[0]?.text ?? 'dc=invalid'}`;
  }

  /** What is wrong with the directory is the operator's to read, and nobody is let in meanwhile. */
  async #orFault<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof DirectoryFault)) throw error;
      this.#options.log('the directory cannot be asked', { kind: error.kind, cause: error.message });
      if (error.kind === 'busy') throw refusal('ServiceUnavailable', 'The directory is busy. Try again.');
      throw refusal('InternalError', 'The directory cannot be asked at the moment. Try again later.');
    }
  }
}

/** As other servers of this API name them in session tokens: policies see `ldap:user`, `ldap:username`, `ldap:mail`. */
export function ldapClaims(user: DirectoryUser, login: string): ReadonlyMap<string, ClaimValue> {
  return new Map<string, ClaimValue>([
    ['ldapUser', user.dn.text],
    ['ldapActualUser', user.actualDn],
    ...(login === '' ? [] : [['ldapUsername', login] as const]),
    ...[...user.attributes].map(([name, values]) => [`ldapAttrib_${name}`, values] as const),
  ]);
}

function refusal(code: IdentityErrorCode, message: string): Refusal<IdentityErrorCode> {
  return new Refusal(code, message);
}
