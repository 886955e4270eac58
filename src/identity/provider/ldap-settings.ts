/** From the words of the settings to what the directory is asked with; or what is wrong with them, as a sentence. */
import { Dn } from './ldap-dn.js';
import type { LdapSettings, SearchBase } from './ldap-directory.js';
import { FilterTemplate } from './ldap-filter.js';
import type { LdapAddress } from './ldap-stream.js';

/** As `identity_ldap` has it. */
export interface LdapWords {
  readonly serverAddress: string;
  readonly srvRecordName: '' | 'ldap' | 'ldaps' | 'on';
  readonly isInsecure: boolean;
  readonly hasStartTls: boolean;
  readonly skipsVerify: boolean;
  readonly lookupBindDn: string;
  readonly lookupBindPassword: string;
  readonly userBases: string;
  readonly userFilter: string;
  readonly userAttributes: string;
  readonly groupBases: string;
  readonly groupFilter: string;
  readonly followsNested: boolean;
}

const basesMax = 16;
const addressesMax = 16;
const attributesMax = 32;
const hostPattern = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/i;

export type LdapSettingsResult =
  { readonly ok: true; readonly settings: LdapSettings } | { readonly ok: false; readonly wrong: string };

/** Where something is wrong; not seen outside of this file. */
class Wrong extends Error {}

export function readLdapSettings(words: LdapWords, authorities: readonly string[]): LdapSettingsResult {
  try {
    return { ok: true, settings: settingsOf(words, authorities) };
  } catch (error) {
    if (error instanceof Wrong) return { ok: false, wrong: error.message };
    throw error;
  }
}

function settingsOf(words: LdapWords, authorities: readonly string[]): LdapSettings {
  // Whoever asks for both wants it encrypted.
  const security = words.hasStartTls ? 'starttls' : words.isInsecure ? 'none' : 'tls';
  if (words.lookupBindDn === '') throw new Wrong('lookup_bind_dn is required');
  const [hasGroupBase, hasGroupFilter] = [words.groupBases !== '', words.groupFilter !== ''];
  if (hasGroupBase !== hasGroupFilter) {
    throw new Wrong('group_search_base_dn and group_search_filter are set together, or neither');
  }
  return {
    ...placeOf(words, security === 'tls' ? 636 : 389),
    transport: { security, skipVerify: words.skipsVerify, authorities },
    lookupBindDn: words.lookupBindDn,
    lookupBindPassword: words.lookupBindPassword,
    userBases: basesOf(words.userBases, 'user_dn_search_base_dn'),
    userFilter: userFilterOf(words.userFilter),
    userAttributes: attributesOf(words.userAttributes),
    groupBases: hasGroupBase ? basesOf(words.groupBases, 'group_search_base_dn') : [],
    groupFilter: hasGroupFilter ? groupFilterOf(words.groupFilter) : null,
    followsNested: words.followsNested,
  };
}

function placeOf(
  { serverAddress, srvRecordName }: LdapWords,
  usualPort: number,
): Pick<LdapSettings, 'addresses' | 'srvNames'> {
  const texts = listOf(serverAddress, ',');
  if (texts.length === 0) throw new Wrong('server_addr is required');
  if (texts.length > addressesMax) throw new Wrong(`server_addr has ${addressesMax} addresses at most`);
  if (srvRecordName === '') return { addresses: texts.map((text) => addressOf(text, usualPort)), srvNames: null };
  const names = texts.map((text) => {
    if (!hostPattern.test(text)) throw new Wrong(`server_addr: "${text}" is not a domain, as srv_record_name needs it`);
    return srvRecordName === 'on' ? text : `_${srvRecordName}._tcp.${text}`;
  });
  return { addresses: [], srvNames: names };
}

function addressOf(text: string, usualPort: number): LdapAddress {
  const found = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text);
  const host = found?.[1] ?? found?.[2] ?? '';
  const port = found?.[3] === undefined ? usualPort : Number(found[3]);
  const isHost = found?.[1] !== undefined || hostPattern.test(host);
  if (!isHost || port < 1 || port > 65_535) throw new Wrong(`server_addr: "${text}" is not of the form HOST:PORT`);
  return { host, port };
}

function basesOf(text: string, key: string): readonly SearchBase[] {
  const bases = listOf(text, ';').map((one): SearchBase => {
    const dn = Dn.parse(one);
    if (dn === null) throw new Wrong(`${key}: "${one}" is not a DN`);
    return { text: one, dn };
  });
  if (bases.length === 0) throw new Wrong(`${key} is required`);
  if (bases.length > basesMax) throw new Wrong(`${key} has ${basesMax} DNs at most`);
  // Whoever is below two of them would be found twice, and be nobody.
  for (const [index, base] of bases.entries()) {
    const inside = bases.find((other, otherIndex) => otherIndex !== index && base.dn.isWithin(other.dn));
    if (inside !== undefined) throw new Wrong(`${key}: "${base.text}" lies within "${inside.text}"`);
  }
  return bases;
}

function userFilterOf(text: string): FilterTemplate {
  const filter = FilterTemplate.parse(text);
  if (filter === null) throw new Wrong(`user_dn_search_filter: "${text}" is not an LDAP filter`);
  if (!filter.hasLogin) throw new Wrong('user_dn_search_filter must have %s, for the login name');
  if (filter.hasDn) throw new Wrong('user_dn_search_filter may not have %d: the DN is what it looks for');
  return filter;
}

function groupFilterOf(text: string): FilterTemplate {
  const filter = FilterTemplate.parse(text);
  if (filter === null) throw new Wrong(`group_search_filter: "${text}" is not an LDAP filter`);
  if (!filter.hasLogin && !filter.hasDn) {
    throw new Wrong('group_search_filter must have %d, for the DN of the user, or %s, for the login name');
  }
  return filter;
}

function attributesOf(text: string): readonly string[] {
  const names = [...new Set(listOf(text, ','))];
  if (names.length > attributesMax) throw new Wrong(`user_dn_attributes has ${attributesMax} names at most`);
  const odd = names.find((name) => !/^[a-z][a-z0-9-]{0,63}$/i.test(name));
  if (odd !== undefined) throw new Wrong(`user_dn_attributes: "${odd}" is not the name of an attribute`);
  // What nobody may read has no place in a token.
  if (names.some((name) => /^(userpassword|unicodepwd)$/i.test(name))) {
    throw new Wrong('user_dn_attributes may not name passwords');
  }
  return names;
}

function listOf(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
