import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'minio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsCli, mustSucceed, type Program } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';

/** Bucket policies as the AWS CLI and MinIO's SDK put them, and anonymous callers by plain HTTP. */
let server: ServerProcess;
let aws: (args: readonly string[]) => Promise<string>;
let tryAws: Program;
let minio: Client;
let work: string;

beforeAll(async () => {
  server = await startServerProcess();
  work = join(server.folder, 'work');
  mkdirSync(work);
  tryAws = awsCli(server);
  aws = mustSucceed(tryAws);
  const { accessKey, secretKey, port, region } = server;
  minio = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey, region });
  await aws(['s3', 'mb', 's3://public']);
  writeFileSync(join(work, 'page'), 'a page');
  await aws(['s3', 'cp', '--only-show-errors', join(work, 'page'), 's3://public/site/index.html']);
});
afterAll(async () => {
  await server.stop();
});

const statement = (Action: readonly string[], path: string, more: object = {}) => ({
  Effect: 'Allow',
  Principal: { AWS: ['*'] },
  Action,
  Resource: [`arn:aws:s3:::public${path}`],
  Sid: '',
  ...more,
});
const document = (...statements: readonly object[]) => ({ Version: '2012-10-17', Statement: statements });
const status = async (path: string, init: RequestInit = {}) => (await fetch(`${server.url}${path}`, init)).status;

/** As `mc anonymous set` writes them. */
const access: Readonly<Record<string, object>> = {
  download: document(statement(['s3:GetBucketLocation', 's3:ListBucket'], ''), statement(['s3:GetObject'], '/*')),
  upload: document(
    statement(['s3:GetBucketLocation', 's3:ListBucketMultipartUploads'], ''),
    statement(['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:ListMultipartUploadParts', 's3:PutObject'], '/*'),
  ),
  public: document(
    statement(['s3:GetBucketLocation', 's3:ListBucket', 's3:ListBucketMultipartUploads'], ''),
    statement(
      ['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:GetObject', 's3:ListMultipartUploadParts', 's3:PutObject'],
      '/*',
    ),
  ),
  'download of a prefix': document(
    statement(['s3:GetBucketLocation'], ''),
    statement(['s3:ListBucket'], '', { Condition: { StringEquals: { 's3:prefix': ['site'] } } }),
    statement(['s3:GetObject'], '/site*'),
  ),
};

describe.each<readonly [name: string, get: number, list: number, put: number, remove: number]>([
  ['download', 200, 200, 403, 403],
  ['upload', 403, 403, 200, 204],
  ['public', 200, 200, 200, 204],
  ['download of a prefix', 200, 403, 403, 403],
])('%s', (name, get, list, put, remove) => {
  test('comes back to MinIO’s SDK as it was put, and opens what it says', async () => {
    const policy = access[name];
    await minio.setBucketPolicy('public', JSON.stringify(policy));
    expect(JSON.parse(await minio.getBucketPolicy('public'))).toEqual(policy);
    expect([
      await status('/public/site/index.html'),
      await status('/public'),
      await status('/public/put', { method: 'PUT', body: 'x' }),
      await status('/public/put', { method: 'DELETE' }),
    ]).toEqual([get, list, put, remove]);
  });
});

describe('the AWS CLI', () => {
  const args = ['--bucket', 'public'];
  const json = async (...command: readonly string[]): Promise<ReturnType<typeof JSON.parse>> =>
    JSON.parse(await aws(['s3api', ...command, ...args, '--output', 'json']));
  const put = (policy: object) => {
    const file = join(work, 'policy.json');
    writeFileSync(file, JSON.stringify(policy));
    return ['s3api', 'put-bucket-policy', ...args, '--policy', `file://${file}`];
  };

  test('puts, gets and deletes a policy, and reads its status', async () => {
    await aws(put(access['download']!));
    const { Policy } = await json('get-bucket-policy');
    expect(JSON.parse(Policy as string)).toEqual(access['download']);
    expect(await json('get-bucket-policy-status')).toEqual({ PolicyStatus: { IsPublic: true } });
    const closed = document(statement(['s3:GetObject'], '/*', { Principal: { AWS: ['alice'] } }));
    await aws(put(closed));
    expect(await json('get-bucket-policy-status')).toEqual({ PolicyStatus: { IsPublic: false } });
    await aws(['s3api', 'delete-bucket-policy', ...args]);
    const gone = await tryAws(['s3api', 'get-bucket-policy', ...args]);
    expect(gone.stderr).toContain('(NoSuchBucketPolicy)');
  });

  test('is told what is wrong with a policy, and where', async () => {
    const wrong = await tryAws(put(document(statement(['s3:GetObject'], '/*', { Effect: 'Maybe' }))));
    expect(wrong.stderr).toMatch(/\(MalformedPolicy\).*Statement\[0\]\.Effect \(line 1, column \d+\): must be "Allow"/);
    const foreign = await tryAws(put(document(statement(['s3:GetObject'], '-other/*'))));
    expect(foreign.stderr).toMatch(/\(MalformedPolicy\).*does not match the bucket "public"/);
  });

  test('without a signature reads and lists what is open, and nothing else', async () => {
    await aws(put(access['download']!));
    const target = join(work, 'copy');
    await aws(['s3', 'cp', '--no-sign-request', '--only-show-errors', 's3://public/site/index.html', target]);
    expect(readFileSync(target, 'utf8')).toBe('a page');
    expect(await aws(['s3', 'ls', '--no-sign-request', '--recursive', 's3://public'])).toContain('site/index.html');
    const upload = await tryAws(['s3', 'cp', '--no-sign-request', target, 's3://public/new']);
    expect(upload.stderr).toContain('(AccessDenied)');
    const all = await tryAws(['s3', 'ls', '--no-sign-request']);
    expect(all.stderr).toContain('(AccessDenied)');
  });
});
