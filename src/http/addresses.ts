/** Addresses are few and requests are many; past this many the memory starts afresh. */
const rememberedMax = 4096;

/** Binary peer addresses as text; IPv4 in IPv6 clothing is shown as IPv4. */
export class AddressTexts {
  readonly #v4 = new Map<number, string>();

  text(address: ArrayBuffer): string {
    const bytes = new Uint8Array(address);
    if (bytes.length === 4) return this.#v4Text(bytes, 0);
    if (bytes.length !== 16) return '';
    return isMapped(bytes) ? this.#v4Text(bytes, 12) : v6Text(bytes);
  }

  #v4Text(bytes: Uint8Array, at: number): string {
    const key = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
    let text = this.#v4.get(key);
    if (text === undefined) {
      text = `${bytes[at]!}.${bytes[at + 1]!}.${bytes[at + 2]!}.${bytes[at + 3]!}`;
      if (this.#v4.size >= rememberedMax) this.#v4.clear();
      this.#v4.set(key, text);
    }
    return text;
  }
}

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 255 && bytes[11] === 255;
}

/** RFC 5952: lower case, no leading zeroes, the longest run of two or more zero groups as `::`. */
function v6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!);
  let runStart = -1;
  let runLength = 1;
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > runLength) {
      runStart = start;
      runLength = end - start;
    }
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (runStart === -1) return hex(groups);
  return `${hex(groups.slice(0, runStart))}::${hex(groups.slice(runStart + runLength))}`;
}

/** node:http gives text; the same form comes out. */
export function plainAddress(text: string): string {
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text;
}
