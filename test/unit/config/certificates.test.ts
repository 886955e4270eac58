import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkCertificates, readAuthorities } from '../../../src/config/certificates.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-certificates-'));
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, name));
    const files = ['-keyout', join(folder, name, 'private.key'), '-out', join(folder, name, 'public.crt')];
    const made = spawnSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '30',
        '-subj',
        '/CN=localhost',
        ...files,
      ],
      { encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(made.stderr);
    chmodSync(join(folder, name, 'private.key'), 0o600);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('authorities', () => {
  test('are the certificates of the folder CAs, none without it, and nothing else may lie there', () => {
    const pem = readFileSync(join(folder, 'one', 'public.crt'), 'utf8');
    expect(readAuthorities(join(folder, 'one'))).toEqual([]);
    mkdirSync(join(folder, 'with-authorities', 'CAs'), { recursive: true });
    const file = join(folder, 'with-authorities', 'CAs', 'company.crt');
    writeFileSync(file, pem);
    expect(readAuthorities(join(folder, 'with-authorities'))).toEqual([pem]);
    writeFileSync(file, 'not a certificate');
    expect(() => readAuthorities(join(folder, 'with-authorities'))).toThrow(`${file} is not a PEM certificate`);
  });

  test('that cannot be looked for are no fault of the program', () => {
    const endless = join(folder, 'endless');
    symlinkSync(endless, endless);
    expect(() => readAuthorities(endless)).toThrow('the certs folder cannot be looked into: ELOOP');
  });
});

const day = 24 * 3_600_000;

/** A copy of the first pair in which `change` was made. */
function changed(name: string, change: (folder: string) => void): string {
  const place = join(folder, name);
  cpSync(join(folder, 'one'), place, { recursive: true });
  change(place);
  return place;
}

describe('checkCertificates', () => {
  test('a pair is taken', () => {
    const one = join(folder, 'one');
    expect(checkCertificates(one, true, Date.now())).toEqual({
      files: { certificateFile: join(one, 'public.crt'), keyFile: join(one, 'private.key') },
      warnings: [],
    });
  });

  test('warns before it expires, and refuses afterwards', () => {
    const one = join(folder, 'one');
    expect(checkCertificates(one, true, Date.now() + 20 * day)?.warnings).toEqual([
      expect.stringContaining('expires on'),
    ]);
    expect(checkCertificates(one, true, Date.now() - day)?.warnings).toEqual([
      expect.stringContaining('not valid before'),
    ]);
    expect(() => checkCertificates(one, true, Date.now() + 31 * day)).toThrow(/expired on/);
  });

  test('warns of a key that everybody can read', () => {
    const open = changed('open', (place) => chmodSync(join(place, 'private.key'), 0o644));
    expect(checkCertificates(open, true, Date.now())?.warnings).toEqual([expect.stringContaining('chmod o-r')]);
  });

  test.each<[string, (place: string) => void, RegExp]>([
    ['half a pair', (place) => rmSync(join(place, 'private.key')), /private\.key is missing/],
    ['the other half', (place) => rmSync(join(place, 'public.crt')), /public\.crt is missing/],
    ['no certificate', (place) => writeFileSync(join(place, 'public.crt'), 'hello'), /not a PEM certificate/],
    ['no key', (place) => writeFileSync(join(place, 'private.key'), 'hello'), /not a PEM private key/],
    ['an empty certificate', (place) => writeFileSync(join(place, 'public.crt'), ''), /not a PEM certificate/],
    [
      'a locked key',
      (place) => writeFileSync(join(place, 'private.key'), '-----BEGIN ENCRYPTED PRIVATE KEY-----\n'),
      /protected by a password/,
    ],
    [
      'the key of another',
      (place) => writeFileSync(join(place, 'private.key'), readFileSync(join(folder, 'two', 'private.key'))),
      /is not the private key of/,
    ],
    [
      'a folder in place of the file',
      (place) => {
        rmSync(join(place, 'public.crt'));
        mkdirSync(join(place, 'public.crt'));
      },
      /cannot read the certificate/,
    ],
    [
      'a huge file',
      (place) => writeFileSync(join(place, 'public.crt'), Buffer.alloc(1024 * 1024 + 1)),
      /1048577 bytes/,
    ],
  ])('%s is refused', (name, change, message) => {
    const place = changed(name, change);
    expect(() => checkCertificates(place, true, Date.now())).toThrow(message);
  });
});
