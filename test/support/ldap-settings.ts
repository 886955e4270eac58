import type { SearchBase } from '../../src/identity/provider/ldap-directory.js';
import { Dn } from '../../src/identity/provider/ldap-dn.js';

export function resolvedBase(text: string): SearchBase {
  const dn = Dn.parse(text);
  if (dn === null) throw new Error(`no DN: ${text}`);
  return { text, dn };
}
