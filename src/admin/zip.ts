/**
 * ZIP files as the transfers of this API use them: a few members, deflated, no encryption, no ZIP64.
 * What is read comes from a client: every length and offset in it is checked, and so is how much it grows to.
 */
import { crc32, deflateRaw, inflateRaw } from 'node:zlib';
import { promisify } from 'node:util';
import { adminError } from './errors.js';

export interface ZipMember {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ZipLimits {
  readonly members: number;
  /** All members together, as they were before. */
  readonly bytes: number;
}

const deflate = promisify(deflateRaw);
const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const localBytes = 30;
const centralBytes = 46;
const endBytes = 22;
const commentBytesMax = 65_535;
const version = 20;
const utf8Names = 0x0800;
const stored = 0;
const deflated = 8;
/** 1980-01-01, the first day there is: the same content gives the same file. */
const dosDate = 0x0021;

export async function writeZip(members: readonly ZipMember[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of members) {
    const nameBytes = Buffer.from(name);
    const packed = await deflate(bytes);
    const header = Buffer.alloc(localBytes);
    header.writeUInt32LE(localSignature, 0);
    writeMember(header, 4, { bytes, packed, nameBytes });
    const entry = Buffer.alloc(centralBytes);
    entry.writeUInt32LE(centralSignature, 0);
    entry.writeUInt16LE(version, 4);
    writeMember(entry, 6, { bytes, packed, nameBytes });
    entry.writeUInt32LE(offset, 42);
    parts.push(header, nameBytes, packed);
    directory.push(entry, nameBytes);
    offset += localBytes + nameBytes.length + packed.length;
  }
  const end = Buffer.alloc(endBytes);
  end.writeUInt32LE(endSignature, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(
    directory.reduce((sum, { length }) => sum + length, 0),
    12,
  );
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** The fields that both headers of a member have, in the same order. */
function writeMember(
  header: Buffer,
  at: number,
  { bytes, packed, nameBytes }: { bytes: Uint8Array; packed: Buffer; nameBytes: Buffer },
): void {
  header.writeUInt16LE(version, at);
  header.writeUInt16LE(utf8Names, at + 2);
  header.writeUInt16LE(deflated, at + 4);
  header.writeUInt16LE(dosDate, at + 8);
  header.writeUInt32LE(crc32(bytes), at + 10);
  header.writeUInt32LE(packed.length, at + 14);
  header.writeUInt32LE(bytes.length, at + 18);
  header.writeUInt16LE(nameBytes.length, at + 22);
}

/** In order; folders are left out. Throws XMinioAdminInvalidRequest for whatever is no such file. */
export async function readZip(file: Uint8Array, limits: ZipLimits): Promise<ZipMember[]> {
  const zip = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const { count, start } = findDirectory(zip);
  if (count > limits.members) throw broken(`has more than ${limits.members} members`);
  const members: ZipMember[] = [];
  let left = limits.bytes;
  for (let index = 0, at = start; index < count; index++) {
    if (at + centralBytes > zip.length || zip.readUInt32LE(at) !== centralSignature) throw broken('is cut');
    const nameEnd = at + centralBytes + zip.readUInt16LE(at + 28);
    if (nameEnd > zip.length) throw broken('is cut');
    const name = zip.toString('utf8', at + centralBytes, nameEnd);
    if (!name.endsWith('/')) {
      const bytes = await unpack(zip, at, left);
      left -= bytes.length;
      members.push({ name, bytes });
    }
    at = nameEnd + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return members;
}

function findDirectory(zip: Buffer): { count: number; start: number } {
  const first = Math.max(0, zip.length - endBytes - commentBytesMax);
  for (let at = zip.length - endBytes; at >= first; at--) {
    if (zip.readUInt32LE(at) === endSignature) {
      return { count: zip.readUInt16LE(at + 10), start: zip.readUInt32LE(at + 16) };
    }
  }
  throw broken('has no directory');
}

async function unpack(zip: Buffer, at: number, bytesMax: number): Promise<Buffer> {
  const flags = zip.readUInt16LE(at + 8);
  const method = zip.readUInt16LE(at + 10);
  const crc = zip.readUInt32LE(at + 16);
  const packedBytes = zip.readUInt32LE(at + 20);
  const plainBytes = zip.readUInt32LE(at + 24);
  const local = zip.readUInt32LE(at + 42);
  if ((flags & 1) !== 0) throw broken('is encrypted');
  if (plainBytes > bytesMax) throw broken('is too large');
  if (local + localBytes > zip.length || zip.readUInt32LE(local) !== localSignature) throw broken('is cut');
  const start = local + localBytes + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  if (start + packedBytes > zip.length) throw broken('is cut');
  const packed = zip.subarray(start, start + packedBytes);
  let plain: Buffer;
  if (method === stored) plain = packed;
  else if (method === deflated) plain = await inflateBounded(packed, plainBytes);
  else throw broken('is packed in an unknown way');
  if (plain.length !== plainBytes || crc32(plain) !== crc) throw broken('is damaged');
  return plain;
}

async function inflateBounded(packed: Buffer, plainBytes: number): Promise<Buffer> {
  try {
    return await inflate(packed, { maxOutputLength: Math.max(plainBytes, 1) });
  } catch (error) {
    if (error instanceof Error) throw broken('is damaged');
    throw error;
  }
}

function broken(how: string) {
  return adminError('XMinioAdminInvalidRequest', `The ZIP file ${how}.`);
}
