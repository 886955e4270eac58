import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from 'minio';
import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountsOf, allowS3, policyText } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { awsCli, mustSucceed, python, runProgram } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';

/** Temporary credentials with clients that nobody here wrote: each gets them, uses them and is held to their policy. */
const root = dirname(dirname(import.meta.dirname));
const bucket = 'sessions';
const sessionPolicy = policyText(
  allowS3(['s3:GetObject', 's3:PutObject'], `arn:aws:s3:::${bucket}/in/*`),
  allowS3('s3:ListBucket', `arn:aws:s3:::${bucket}`),
);

let server: ServerProcess;
let user: AdminCredentials;
let work: string;

beforeAll(async () => {
  server = await startServerProcess();
  const accounts = accountsOf(server);
  user = await accounts.createUser(allowS3('s3:*'));
  await accounts.s3(user, { method: 'PUT', path: `/${bucket}` });
  work = join(server.folder, 'work');
  mkdirSync(work);
}, 60_000);
afterAll(() => server.stop());

describe('AWS CLI', () => {
  interface Assumed {
    readonly Credentials: {
      readonly AccessKeyId: string;
      readonly SecretAccessKey: string;
      readonly SessionToken: string;
      readonly Expiration: string;
    };
  }

  const asUser = () => ({ AWS_ACCESS_KEY_ID: user.accessKey, AWS_SECRET_ACCESS_KEY: user.secretKey });

  async function assume(more: readonly string[] = [], environment: Record<string, string> = asUser()) {
    const role = ['--role-arn', 'arn:xxx:xxx:xxx:xxxx', '--role-session-name', 'any'];
    const args = ['sts', 'assume-role', ...role, ...more, '--output', 'json'];
    const { Credentials } = JSON.parse(await mustSucceed(awsCli(server))(args, { environment })) as Assumed;
    return {
      AWS_ACCESS_KEY_ID: Credentials.AccessKeyId,
      AWS_SECRET_ACCESS_KEY: Credentials.SecretAccessKey,
      AWS_SESSION_TOKEN: Credentials.SessionToken,
      ends: Credentials.Expiration,
    };
  }

  test('gets credentials, and reads and writes with them', async () => {
    const { ends, ...environment } = await assume(['--duration-seconds', '900']);
    const leftMs = Date.parse(ends) - Date.now();
    expect(leftMs).toBeGreaterThan(850_000);
    expect(leftMs).toBeLessThanOrEqual(901_000);
    const aws = mustSucceed(awsCli(server));
    const file = join(work, 'file');
    writeFileSync(file, 'content of the file');
    await aws(['s3', 'cp', file, `s3://${bucket}/cli`], { environment });
    await aws(['s3', 'cp', `s3://${bucket}/cli`, `${file}.copy`], { environment });
    expect(readFileSync(`${file}.copy`, 'utf8')).toBe('content of the file');
    expect(await aws(['s3', 'ls'], { environment })).toContain(bucket);
    const url = (await aws(['s3', 'presign', `s3://${bucket}/cli`], { environment })).trim();
    expect(await (await fetch(url)).text()).toBe('content of the file');
  });

  test('is held to the session policy, and gets no new credentials with temporary ones', async () => {
    const environment = await assume(['--policy', sessionPolicy, '--region', 'eu-west-1']);
    const tryAws = awsCli(server);
    const put = (key: string) =>
      tryAws(['s3api', 'put-object', '--bucket', bucket, '--key', key], { environment: { ...environment } });
    expect(await put('in/cli')).toMatchObject({ code: 0 });
    const refused = await put('out/cli');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('AccessDenied');
    await expect(assume([], environment)).rejects.toThrow('AccessDenied');
    await expect(assume(['--duration-seconds', '31536001'])).rejects.toThrow('InvalidParameterValue');
  });
});

describe('minio (npm)', () => {
  const provider = (policy?: string) =>
    new AssumeRoleProvider({
      stsEndpoint: server.url,
      accessKey: user.accessKey,
      secretKey: user.secretKey,
      ...(policy !== undefined && { policy }),
    });

  // Its types declare the base class once for each of its two builds.
  type Provider = NonNullable<ConstructorParameters<typeof Client>[0]['credentialsProvider']>;

  const clientOf = (own: AssumeRoleProvider) =>
    new Client({
      endPoint: '127.0.0.1',
      port: server.port,
      useSSL: false,
      region: server.region,
      credentialsProvider: own as unknown as Provider,
    });

  test('gets credentials, and reads and writes with them', async () => {
    const client = clientOf(provider());
    await client.putObject(bucket, 'npm', 'content');
    const chunks: Buffer[] = [];
    for await (const chunk of await client.getObject(bucket, 'npm')) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('content');
    expect((await client.listBuckets()).map(({ name }) => name)).toContain(bucket);
    expect(await (await fetch(await client.presignedGetObject(bucket, 'npm', 600))).text()).toBe('content');
  });

  test('is held to the session policy', async () => {
    const client = clientOf(provider(sessionPolicy));
    await client.putObject(bucket, 'in/npm', 'x');
    await expect(client.putObject(bucket, 'out/npm', 'x')).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(client.removeObject(bucket, 'in/npm')).rejects.toMatchObject({ code: 'AccessDenied' });
    const wrong = new AssumeRoleProvider({ stsEndpoint: server.url, ...user, secretKey: 'not-the-secret' });
    await expect(wrong.getCredentials()).rejects.toThrow('AccessDenied');
  });
});

describe('Python', () => {
  const script = join(import.meta.dirname, 'sts-checks.py');
  const list = /^CHECKS = \[\n([^\]]+)\]/m.exec(readFileSync(script, 'utf8'))?.[1] ?? '';
  const names = list.split(',').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  let results: ReadonlyMap<string, string | null>;

  beforeAll(async () => {
    const environment = { AWS_ACCESS_KEY_ID: user.accessKey, AWS_SECRET_ACCESS_KEY: user.secretKey };
    const printed = await mustSucceed(python(server))([script, bucket], { environment });
    const lines = printed.trim().split('\n');
    const found = lines.map((line) => JSON.parse(line) as { readonly check: string; readonly error: string | null });
    results = new Map(found.map(({ check, error }) => [check, error]));
  }, 300_000);

  test('every check ran', () => {
    expect([...results.keys()]).toEqual(names);
    expect(names.length).toBeGreaterThan(5);
  });

  test.each(names)('%s', (name) => {
    expect(results.get(name)).toBe(null);
  });
});

describe('examples/assume-role', () => {
  const output = join(root, 'build', 'examples', 'assume-role');
  afterAll(() => rmSync(output, { recursive: true, force: true }));

  test('prints credentials and what buckets they see', async () => {
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const project = join(root, 'examples', 'assume-role');
    const compiled = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', output], { encoding: 'utf8' });
    expect(compiled.stdout).toBe('');
    const environment = {
      GRANARY_ENDPOINT: server.url,
      GRANARY_ACCESS_KEY: user.accessKey,
      GRANARY_SECRET_KEY: user.secretKey,
    };
    const run = await runProgram(process.execPath, [join(output, 'assume-role.js')], work, { environment });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const shown = JSON.parse(run.stdout) as { credentials: Record<string, string>; buckets: string[] };
    expect(shown.buckets).toEqual([bucket]);
    expect(shown.credentials['accessKey']).toMatch(/^[0-9A-Z]{20}$/);
    // They are real ones, and may read.
    const { accessKey = '', secretKey = '', sessionToken = '' } = shown.credentials;
    const client = new Client({
      endPoint: '127.0.0.1',
      port: server.port,
      useSSL: false,
      accessKey,
      secretKey,
      sessionToken,
    });
    expect((await client.listBuckets()).map(({ name }) => name)).toEqual([bucket]);
    await expect(client.putObject(bucket, 'by-the-example', 'x')).rejects.toMatchObject({ code: 'AccessDenied' });
  });
});
