/** The binary attributes by which Active Directory names its objects, as people write them. */

const sidPartsMax = 15;

/** `S-1-5-21-…` (MS-DTYP section 2.4.2.2). Null: not one. */
export function decodeSid(bytes: Buffer): string | null {
  const partCount = bytes[1] ?? 0;
  if (bytes[0] !== 1 || partCount > sidPartsMax || bytes.length !== 8 + partCount * 4) return null;
  const parts = Array.from({ length: partCount }, (_, index) => bytes.readUInt32LE(8 + index * 4));
  // The authority is big-endian, what follows little-endian.
  return ['S', 1, bytes.readUIntBE(2, 6), ...parts].join('-');
}

/** Null: not one. The first three fields are little-endian. */
export function decodeGuid(bytes: Buffer): string | null {
  if (bytes.length !== 16) return null;
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return [
    hex(bytes.readUInt32LE(0), 8),
    hex(bytes.readUInt16LE(4), 4),
    hex(bytes.readUInt16LE(6), 4),
    bytes.toString('hex', 8, 10),
    bytes.toString('hex', 10),
  ].join('-');
}
