/** Addresses and ranges of IPv4 and IPv6. IPv4 in IPv6 form counts as IPv4. */

/** Big-endian 16-bit groups: two for IPv4, eight for IPv6. */
type Address = readonly number[];

export interface AddressRange {
  readonly groups: Address;
  readonly prefixBits: number;
}

function parseIpv4(text: string): Address | null {
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (found === null) return null;
  const bytes = found.slice(1).map(Number);
  // A leading zero is octal to some readers.
  if (bytes.some((byte, index) => byte > 255 || String(byte) !== found[index + 1])) return null;
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return [a * 256 + b, c * 256 + d];
}

function parseGroups(text: string): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const words = text.split(':');
  for (const [index, word] of words.entries()) {
    if (index === words.length - 1 && word.includes('.')) {
      const tail = parseIpv4(word);
      if (tail === null) return null;
      groups.push(...tail);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(word)) groups.push(Number.parseInt(word, 16));
    else return null;
  }
  return groups;
}

function parseIpv6(text: string): Address | null {
  // 45 characters is the longest spelling; a zone (`%eth0`) says nothing about the address.
  const bare = text.replace(/%.*$/s, '');
  if (bare.length > 45) return null;
  const halves = bare.split('::');
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  if (halves.length === 2 && (halves[0] ?? '').includes('.')) return null;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

const isMapped = (groups: Address): boolean =>
  groups.length === 8 && groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);

export function parseAddress(text: string): Address | null {
  if (!text.includes(':')) return parseIpv4(text);
  const groups = parseIpv6(text);
  return groups !== null && isMapped(groups) ? groups.slice(6) : groups;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or a single address. */
export function parseRange(text: string): AddressRange | null {
  const [address = '', prefix, ...rest] = text.split('/');
  const raw = address.includes(':') ? parseIpv6(address) : parseIpv4(address);
  if (raw === null || rest.length > 0) return null;
  const widest = raw.length * 16;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return null;
  const bits = prefix === undefined ? widest : Number(prefix);
  if (bits > widest) return null;
  // A range of mapped addresses is one of IPv4.
  if (isMapped(raw) && bits >= 96) return { groups: raw.slice(6), prefixBits: bits - 96 };
  return { groups: raw, prefixBits: bits };
}

export function isInRange(address: Address, { groups, prefixBits }: AddressRange): boolean {
  if (address.length !== groups.length) return false;
  for (let index = 0, bits = prefixBits; bits > 0; index++, bits -= 16) {
    const shift = Math.max(0, 16 - bits);
    if ((address[index] ?? 0) >>> shift !== (groups[index] ?? 0) >>> shift) return false;
  }
  return true;
}
