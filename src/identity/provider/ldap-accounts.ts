/** The directory as the administration API knows it. */
import type { AccountDirectory, DirectoryAccount } from '../account-directory.js';
import type { LdapDirectory } from './ldap-directory.js';
import { Dn } from './ldap-dn.js';
import { ldapClaims } from './ldap-provider.js';

export class LdapAccounts implements AccountDirectory {
  constructor(private readonly directory: LdapDirectory) {}

  async user(name: string): Promise<DirectoryAccount | null> {
    const dn = Dn.parse(name);
    // A login name may look like a DN; one below the bases of users is meant as one.
    const isDn = dn !== null && this.directory.isUserDn(dn);
    const user = isDn ? await this.directory.userByDn(name) : await this.directory.findUser(name);
    if (user === null) return null;
    const login = isDn ? user.login : name;
    const groups = await this.directory.groupsOf(login, user.actualDn);
    return { dn: user.dn.text, groups, claims: ldapClaims(user, login) };
  }

  async group(dn: string): Promise<string | null> {
    return (await this.directory.groupByDn(dn))?.dn.text ?? null;
  }

  normalise(dn: string): string | null {
    return Dn.parse(dn)?.text ?? null;
  }

  readable(dn: string): string {
    return Dn.parse(dn)?.readable ?? dn;
  }

  isUserDn(dn: string): boolean {
    const parsed = Dn.parse(dn);
    return parsed !== null && this.directory.isUserDn(parsed);
  }

  check(): Promise<void> {
    return this.directory.check();
  }
}
