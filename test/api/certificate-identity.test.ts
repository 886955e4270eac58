import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policyText } from '../support/accounts.js';
import { chainOf, makeAuthority, makeCertificate, type Issued } from '../support/certificates.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { claimsOf, formOf, readStsAnswer, type StsAnswer, type TemporaryCredentials } from '../support/sts-client.js';
import { sign, type Request } from '../support/wire.js';

/** AssumeRoleWithCertificate on the port of S3, for clients with good certificates, bad ones and none. */
let folder: string;
let authority: Issued;
let server: ServerProcess;
let skipping: ServerProcess;

interface Shown {
  /** PEM, leaf first. */
  readonly cert: string;
  readonly keyFile: string;
}

const shown = (leaf: Issued, ...more: Issued[]): Shown => ({ cert: chainOf(leaf, ...more), keyFile: leaf.keyFile });
const leafOf = (subject: string, options: Parameters<typeof makeCertificate>[2] = {}) =>
  makeCertificate(folder, subject, { authority, ...options });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-tls-'));
  authority = makeAuthority(folder, 'authority');
  const own = makeCertificate(folder, '/CN=server', { usage: 'serverAuth', days: 30 });
  const certs = join(folder, 'certs');
  mkdirSync(join(certs, 'CAs'), { recursive: true });
  copyFileSync(own.certFile, join(certs, 'public.crt'));
  copyFileSync(own.keyFile, join(certs, 'private.key'));
  copyFileSync(authority.certFile, join(certs, 'CAs', 'authority.crt'));
  const environment = { MINIO_CERTS_DIR: certs, MINIO_IDENTITY_TLS_ENABLE: 'on' };
  const start = (more: Record<string, string>) =>
    startServerProcess({ driveCount: 1, environment: { ...environment, ...more } });
  [server, skipping] = await Promise.all([start({}), start({ MINIO_IDENTITY_TLS_SKIP_VERIFY: 'on' })]);
  for (const each of [server, skipping]) {
    const body = policyText({ Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::files/*' });
    const request = { method: 'PUT', path: '/minio/admin/v3/add-canned-policy', query: 'name=files', body };
    expect((await signed(each, each, request)).status).toBe(200);
    expect((await signed(each, each, { method: 'PUT', path: '/files' })).status).toBe(200);
  }
}, 120_000);
afterAll(async () => {
  await Promise.all([server.stop(), skipping.stop()]);
  rmSync(folder, { recursive: true });
});

function send(
  to: ServerProcess,
  { method, path, query, body = '' }: Request,
  headers: Record<string, string>,
  client?: Shown,
): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        ...{ host: '127.0.0.1', port: to.port, method, path: query === undefined ? path : `${path}?${query}` },
        ...{ headers: { ...headers, 'content-length': Buffer.byteLength(body) }, agent: false },
        rejectUnauthorized: false,
        ...(client && { cert: client.cert, key: readFileSync(client.keyFile) }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function signed(
  to: ServerProcess,
  { accessKey, secretKey, sessionToken }: { accessKey: string; secretKey: string; sessionToken?: string },
  request: Request,
) {
  const target = { port: to.port, region: 'us-east-1', accessKey, secretKey, ...(sessionToken && { sessionToken }) };
  return send(to, request, sign(target, request).headers);
}

async function assume(client?: Shown, parameters: Record<string, string> = {}, to = server): Promise<StsAnswer> {
  const query = formOf({ Action: 'AssumeRoleWithCertificate', ...parameters });
  const answer = await send(to, { method: 'POST', path: '/', query }, { host: to.host }, client);
  return readStsAnswer(answer.status, answer.body.toString());
}

const put = (session: TemporaryCredentials, path: string, to = server) =>
  signed(to, session, { method: 'PUT', path, body: 'x' }).then(({ status }) => status);

describe('a client with a certificate', () => {
  test('gets credentials that may what the policy of its name may', async () => {
    const client = shown(leafOf('/O=Ships/CN=files'));
    const answer = await assume(client);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('<AssumeRoleWithCertificateResponse');
    const session = answer.credentials!;
    expect(claimsOf(session.sessionToken).payload).toMatchObject({
      sub: 'files',
      parent: 'tls:files',
      aud: ['Ships'],
      iss: 'authority',
    });
    expect(Date.parse(session.expiration) - Date.now()).toBeGreaterThan(3500_000);
    expect(Date.parse(session.expiration) - Date.now()).toBeLessThan(3610_000);
    expect(await put(session, '/files/a')).toBe(200);
    expect(await put(session, '/other/a')).toBe(403);
  });

  test('may ask in a form, over a connection that already served S3, and for how long', async () => {
    const client = shown(leafOf('/CN=files'));
    const headers = { host: server.host, 'content-type': 'application/x-www-form-urlencoded' };
    const body = formOf({ Action: 'AssumeRoleWithCertificate', DurationSeconds: '900' });
    const answer = await send(server, { method: 'POST', path: '/', body }, headers, client);
    const { credentials } = readStsAnswer(answer.status, answer.body.toString());
    expect(Date.parse(credentials!.expiration) - Date.now()).toBeLessThan(910_000);
    // Not past the certificate, which lasts a day.
    const long = await assume(client, { DurationSeconds: '864000' });
    expect(Date.parse(long.credentials!.expiration) - Date.now()).toBeLessThan(86_400_000);
    expect(await assume(client, { DurationSeconds: '899' })).toMatchObject({ status: 400, code: 'MissingParameter' });
  });

  test('may stand behind ten intermediates and no more, and has to bring them', async () => {
    const chain: Issued[] = [authority];
    for (let depth = 1; depth <= 11; depth++) chain.unshift(makeAuthority(folder, `intermediate${depth}`, chain[0]));
    const behind = (count: number) => {
      const above = chain.slice(11 - count, 11);
      return { leaf: leafOf('/CN=files', { authority: above[0] ?? authority }), above };
    };
    for (const count of [1, 10]) {
      const { leaf, above } = behind(count);
      expect(await assume(shown(leaf, ...above))).toMatchObject({ status: 200 });
    }
    const { leaf, above } = behind(11);
    expect(await assume(shown(leaf, ...above))).toMatchObject({ status: 400, code: 'TooManyIntermediateCAs' });
    expect(await assume(shown(behind(2).leaf))).toMatchObject({ status: 400, code: 'InvalidClientCertificate' });
  }, 60_000);

  test.each<[string, string, () => Shown]>([
    ['of a stranger', 'InvalidClientCertificate', () => shown(leafOf('/CN=files', { authority: makeAuthority(folder, 'authority') }))], // prettier-ignore
    ['of its own', 'InvalidClientCertificate', () => shown(makeCertificate(folder, '/CN=files'))],
    ['for servers', 'InvalidClientCertificate', () => shown(leafOf('/CN=files', { usage: 'serverAuth' }))],
    ['that is over', 'InvalidClientCertificate', () => shown(leafOf('/CN=files', { days: 0 }))],
    ['of an authority', 'MissingParameter', () => shown(makeAuthority(folder, 'files', authority))],
    ['without a name', 'MissingParameter', () => shown(leafOf('/O=Ships'))],
    ['with two names', 'InvalidParameterValue', () => shown(leafOf('/CN=files/CN=consoleAdmin'))],
    ['with a list of names', 'InvalidParameterValue', () => shown(leafOf('/CN=files,consoleAdmin'))],
    ['of no policy', 'AccessDenied', () => shown(leafOf('/CN=nothing'))],
  ])('%s gets nothing but %s', async (_name, code, make) => {
    expect(await assume(make())).toMatchObject({
      status: code === 'AccessDenied' ? 403 : 400,
      code,
      credentials: null,
    });
  });
});

describe('a client without one', () => {
  test('is served all the same, and gets no credentials', async () => {
    expect(await assume()).toMatchObject({ status: 400, code: 'MissingParameter' });
    const body = Buffer.alloc(2_000_000, 3);
    expect((await signed(server, server, { method: 'PUT', path: '/files/large', body })).status).toBe(200);
    const got = await signed(server, server, { method: 'GET', path: '/files/large' });
    expect(got.body.equals(body)).toBe(true);
  });
});

describe('without verification', () => {
  test('anybody who asks gets the rights of any policy, which the start says loudly', async () => {
    const self = shown(makeCertificate(folder, '/CN=files'));
    const { credentials } = await assume(self, {}, skipping);
    expect(await put(credentials!, '/files/a', skipping)).toBe(200);
    expect(await assume(shown(leafOf('/CN=files', { usage: 'serverAuth' })), {}, skipping)).toMatchObject({
      code: 'MissingParameter',
    });
    expect(await assume(shown(leafOf('/CN=nothing')), {}, skipping)).toMatchObject({ code: 'AccessDenied' });
    expect(skipping.output()).toContain('client certificates are NOT verified');
    expect(server.output()).not.toContain('NOT verified');
  });
});

test('curl gets them as it stands in the documents', () => {
  const { certFile, keyFile } = leafOf('/CN=files');
  const query = 'Action=AssumeRoleWithCertificate&Version=2011-06-15&DurationSeconds=3600';
  const { stdout, stderr } = spawnSync(
    'curl',
    ['-sS', '-k', '-X', 'POST', '--cert', certFile, '--key', keyFile, `https://${server.host}/?${query}`],
    { encoding: 'utf8', timeout: 20_000 },
  );
  expect(stderr).toBe('');
  expect(readStsAnswer(200, stdout).credentials).not.toBeNull();
});
