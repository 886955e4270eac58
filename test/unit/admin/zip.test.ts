import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readZip, writeZip } from '../../../src/admin/zip.js';

const bounds = { members: 10, bytes: 100_000 };
const refused = expect.objectContaining({ code: 'XMinioAdminInvalidRequest' });
const members = [
  { name: 'iam-assets/users.json', bytes: Buffer.from('{"alice":{}}'.repeat(500)) },
  { name: 'b-ücket/policy.json', bytes: Buffer.alloc(0) },
];
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'granary-zip-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function python(program: string, ...names: string[]): string {
  return execFileSync('python3', ['-c', program, ...names], { encoding: 'utf8' });
}

describe('zip', () => {
  it('reads what it wrote, and what it wrote is small and always the same', async () => {
    const zip = await writeZip(members);
    expect(await readZip(zip, bounds)).toEqual(members);
    expect(zip.length).toBeLessThan(1000);
    expect(await writeZip(members)).toEqual(zip);
  });

  it("is read by Python's zipfile", async () => {
    const path = join(folder, 'ours.zip');
    writeFileSync(path, await writeZip(members));
    const program =
      'import sys,zipfile;z=zipfile.ZipFile(sys.argv[1]);print(z.testzip(),*[f"{i.filename}={i.file_size}" for i in z.infolist()])';
    expect(python(program, path).trim()).toBe('None iam-assets/users.json=6000 b-ücket/policy.json=0');
  });

  it("reads what Python's zipfile writes, packed or stored, with folders and a comment", async () => {
    const path = join(folder, 'theirs.zip');
    const program = `import sys,zipfile
with zipfile.ZipFile(sys.argv[1],'w') as z:
  z.comment=b'hello'
  z.mkdir('a') if hasattr(z,'mkdir') else z.writestr('a/','')
  z.writestr('a/one','1'*3000,zipfile.ZIP_DEFLATED)
  z.writestr('a/two','22',zipfile.ZIP_STORED)`;
    python(program, path);
    expect(await readZip(readFileSync(path), bounds)).toEqual([
      { name: 'a/one', bytes: Buffer.from('1'.repeat(3000)) },
      { name: 'a/two', bytes: Buffer.from('22') },
    ]);
  });

  it('refuses too many members, and more bytes than are allowed however well they are packed', async () => {
    const zip = await writeZip(members);
    await expect(readZip(zip, { members: 1, bytes: 100_000 })).rejects.toEqual(refused);
    await expect(readZip(zip, { members: 2, bytes: 5999 })).rejects.toEqual(refused);
    expect(await readZip(zip, { members: 2, bytes: 6000 })).toHaveLength(2);
    // The directory understates what comes out.
    const lying = Buffer.from(zip);
    const entry = lying.indexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02]));
    lying.writeUInt32LE(10, entry + 24);
    await expect(readZip(lying, bounds)).rejects.toEqual(refused);
  });

  it('refuses any cut, and never fails otherwise whatever byte is changed', async () => {
    const zip = await writeZip(members);
    for (let length = 0; length < zip.length; length++) {
      await expect(readZip(zip.subarray(0, length), bounds)).rejects.toEqual(refused);
    }
    for (let at = 0; at < zip.length; at++) {
      const changed = Buffer.from(zip);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      const outcome = await readZip(changed, bounds).catch((error: unknown) => error);
      if (!Array.isArray(outcome)) expect(outcome).toEqual(refused);
    }
  });
});
