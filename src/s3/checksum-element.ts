import type { Checksum } from '../object/index.js';
import type { XmlWriter } from './xml/index.js';

/** `ChecksumCRC32` and its kin. */
export function writeChecksum(xml: XmlWriter, checksum: Checksum | null): void {
  if (checksum !== null) xml.text(`Checksum${checksum.algorithm}`, checksum.value);
}
