import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accountsOf } from '../support/accounts.js';
import { makeAuthority, makeCertificate } from '../support/certificates.js';
import { freePort } from '../support/free-port.js';
import { startServerProcess } from '../support/server.js';

/** The examples `custom-token` and `certificate`, as their pages have them. */
const script = join(import.meta.dirname, '../../scripts/example.mjs');
const run = (...flags: string[]) =>
  spawnSync(process.execPath, [script, ...flags], { encoding: 'utf8', timeout: 60_000 });

function shown(stdout: string): unknown {
  // Above it is what the compiler may say.
  return JSON.parse(stdout.slice(stdout.indexOf('{')));
}
const credentials = {
  AccessKeyID: expect.stringMatching(/^[0-9A-Z]{20}$/) as string,
  SecretAccessKey: expect.stringMatching(/^.{40}$/) as string,
  SessionToken: expect.stringContaining('.') as string,
  SignerType: 1,
};

test('custom-token is a plugin, and a program that goes by it', async () => {
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const flags = ['custom-token', 'plugin', '-listen', listen, '-users', 'ann=token-of-ann', '-auth', 'Bearer TOKEN'];
  const plugin = spawn(process.execPath, [script, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  plugin.stdout.on('data', (data: Buffer) => (printed += data.toString()));
  const ended = new Promise((resolve) => plugin.once('close', resolve));
  const server = await startServerProcess({
    driveCount: 1,
    environment: {
      MINIO_IDENTITY_PLUGIN_URL: `http://${listen}/auth`,
      MINIO_IDENTITY_PLUGIN_ROLE_POLICY: 'readonly,consoleAdmin',
      MINIO_IDENTITY_PLUGIN_TOKEN: 'Bearer TOKEN',
    },
  });
  try {
    const accounts = accountsOf(server);
    await accounts.s3(accounts.root, { method: 'PUT', path: '/photos' });
    const deadline = Date.now() + 60_000;
    while (!printed.includes(`listening on http://${listen}/`)) {
      if (Date.now() > deadline) throw new Error(`no plugin: ${printed}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const known = run('custom-token', '-sts-ep', server.url, '--token=token-of-ann', '-duration', '900');
    expect(known.stderr).toBe('');
    expect(shown(known.stdout)).toEqual({ buckets: ['photos'], credentials });
    const unknown = run('custom-token', '-sts-ep', server.url, '-token', 'token-of-bob');
    expect([unknown.status, unknown.stderr]).toEqual([1, 'AccessDenied: The token is not known.\n']);
  } finally {
    plugin.kill('SIGTERM');
    await Promise.all([ended, server.stop()]);
  }
}, 180_000);

test('certificate goes by the certificate that it connects with', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-example-'));
  const authority = makeAuthority(folder, 'authority');
  const own = makeCertificate(folder, '/CN=server', { authority, usage: 'serverAuth', days: 30 });
  const client = makeCertificate(folder, '/CN=consoleAdmin', { authority });
  const certs = join(folder, 'certs');
  mkdirSync(join(certs, 'CAs'), { recursive: true });
  copyFileSync(own.certFile, join(certs, 'public.crt'));
  copyFileSync(own.keyFile, join(certs, 'private.key'));
  copyFileSync(authority.certFile, join(certs, 'CAs', 'authority.crt'));
  const server = await startServerProcess({
    driveCount: 1,
    environment: { MINIO_CERTS_DIR: certs, MINIO_IDENTITY_TLS_ENABLE: 'on' },
  });
  try {
    const to = ['-sts-ep', `https://${server.host}`, '-cacert', authority.certFile];
    const known = run('certificate', ...to, '-cert', client.certFile, '-key', client.keyFile);
    expect(known.stderr).toBe('');
    expect(shown(known.stdout)).toEqual({ buckets: [], credentials });
    const stranger = makeCertificate(folder, '/CN=consoleAdmin');
    const unknown = run('certificate', ...to, '-cert', stranger.certFile, '-key', stranger.keyFile);
    expect([unknown.status, unknown.stderr.split(':')[0]]).toEqual([1, 'InvalidClientCertificate']);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}, 180_000);
