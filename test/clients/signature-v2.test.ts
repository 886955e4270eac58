import { createHash, createHmac } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsCli, mustSucceed, python, runProgram, s3cmd, type Program } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { patternBytes } from '../support/tree.js';

/** SigV2, as clients that are years old and presigners of today still use it. */
let server: ServerProcess;
let aws: (args: readonly string[]) => Promise<string>;
let work: string;

const domain = 's3.granary.test';

beforeAll(async () => {
  server = await startServerProcess({ environment: { MINIO_DOMAIN: domain } });
  work = join(server.folder, 'work');
  mkdirSync(work);
  aws = mustSucceed(awsCli(server));
  await aws(['s3', 'mb', 's3://files']);
});
afterAll(async () => {
  await server.stop();
});

const curl: Program = (args, options) =>
  runProgram('curl', ['--silent', '--show-error', ...args], join(server.folder, 'home'), options);

const code = (text: string) => /<Code>([^<]*)</.exec(text)?.[1];

describe('aws s3 presign, as it does by default', () => {
  const key = 'a b+c/ü&=?#.txt';

  beforeAll(async () => {
    writeFileSync(join(work, 'object'), 'by its URL\n');
    await aws(['s3', 'cp', '--quiet', join(work, 'object'), `s3://files/${key}`]);
  });

  const presign = async (...more: string[]) => (await aws(['s3', 'presign', `s3://files/${key}`, ...more])).trim();

  test('curl reads the object', async () => {
    const url = await presign();
    expect(url).toMatch(/AWSAccessKeyId=.*Signature=.*Expires=/);
    expect((await curl([url])).stdout).toBe('by its URL\n');
    const { stdout } = await curl(['--range', '3-5', '--include', url]);
    expect(stdout).toMatch(/^HTTP\/1\.1 206[^]*its$/);
  });

  test('nobody else reads, writes or changes anything with it', async () => {
    const url = await presign();
    const refusals: [string[], string][] = [
      [['--request', 'PUT', '--data-binary', 'x', url], 'SignatureDoesNotMatch'],
      [['--request', 'DELETE', url], 'SignatureDoesNotMatch'],
      [[url.replace('.txt?', '.txT?')], 'SignatureDoesNotMatch'],
      [[`${url}&versionId=null`], 'SignatureDoesNotMatch'],
      [[`${url}&response-content-type=text/html`], 'SignatureDoesNotMatch'],
      [[`${url}&x-amz-meta-a=1`], 'SignatureDoesNotMatch'],
      [['--header', 'x-amz-meta-a: 1', url], 'SignatureDoesNotMatch'],
      [
        [url.replace(/Expires=(\d+)/, (_, seconds: string) => `Expires=${Number(seconds) + 1}`)],
        'SignatureDoesNotMatch',
      ],
      [[url.replace(`AWSAccessKeyId=${server.accessKey}`, 'AWSAccessKeyId=nobody')], 'InvalidAccessKeyId'],
      [[url.replace(/&Signature=[^&]*/, '')], 'AccessDenied'],
      [[url.replace(/Expires=\d+/, 'Expires=1141889120')], 'AccessDenied'],
    ];
    for (const [args, expected] of refusals) expect(code((await curl(args)).stdout), args.join(' ')).toBe(expected);
    expect((await curl([url])).stdout).toBe('by its URL\n');
  });

  test('it expires', async () => {
    const url = await presign('--expires-in', '1');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const { stdout } = await curl([url]);
    expect(code(stdout)).toBe('AccessDenied');
    expect(stdout).toMatch(/<Message>Request has expired<.*<Expires>20.*<ServerTime>20/);
  });
});

test('boto3 with signature_version s3: calls, and URLs of both styles', async () => {
  const script = `
import boto3, os, urllib.request
from botocore.config import Config
from botocore.exceptions import ClientError

def client(**options):
    options.setdefault('s3', {'addressing_style': 'path'})
    return boto3.client('s3', endpoint_url=os.environ['GRANARY_ENDPOINT'], config=Config(signature_version='s3', **options))

s3 = client()
key = 'x y/\\u00e9+&=?#%~.bin'
body = bytes(range(256)) * 1000
s3.create_bucket(Bucket='boto')
s3.put_object(Bucket='boto', Key=key, Body=body, Metadata={'a': 'b  c', 'z': '1'}, ContentType='text/plain; charset=utf-8')
got = s3.get_object(Bucket='boto', Key=key)
assert got['Body'].read() == body and got['Metadata'] == {'a': 'b  c', 'z': '1'}, got
assert s3.get_object(Bucket='boto', Key=key, ResponseContentDisposition='attachment; filename="a b+c.txt"')['ContentDisposition'] == 'attachment; filename="a b+c.txt"'
assert [one['Key'] for one in s3.list_objects_v2(Bucket='boto', Prefix='x y/')['Contents']] == [key]
assert 'boto' in [one['Name'] for one in s3.list_buckets()['Buckets']]
assert s3.get_bucket_location(Bucket='boto')['LocationConstraint'] is None

upload = {'Bucket': 'boto', 'Key': 'parts', 'UploadId': s3.create_multipart_upload(Bucket='boto', Key='parts')['UploadId']}
parts = []
for number, data in ((1, b'1' * 5242880), (2, b'2')):
    done = s3.upload_part(**upload, PartNumber=number, Body=data)
    parts.append({'PartNumber': number, 'ETag': done['ETag'], 'ChecksumCRC32': done['ChecksumCRC32']})
assert len(s3.list_parts(**upload)['Parts']) == 2
assert s3.list_multipart_uploads(Bucket='boto')['Uploads'][0]['Key'] == 'parts'
s3.complete_multipart_upload(**upload, MultipartUpload={'Parts': parts})
s3.copy_object(Bucket='boto', Key='copy', CopySource={'Bucket': 'boto', 'Key': key})
assert s3.head_object(Bucket='boto', Key='copy')['ContentLength'] == len(body)

def fetch(url, **options):
    return urllib.request.urlopen(urllib.request.Request(url, **options))

url = s3.generate_presigned_url('get_object', {'Bucket': 'boto', 'Key': key, 'ResponseContentType': 'text/html; a+b'})
assert 'Signature=' in url and 'X-Amz-' not in url
answer = fetch(url)
assert answer.read() == body and answer.headers['content-type'] == 'text/html; a+b'
url = s3.generate_presigned_url('put_object', {'Bucket': 'boto', 'Key': 'by url', 'Metadata': {'color': 'light blue'}, 'ContentType': 'image/x-y', 'StorageClass': 'REDUCED_REDUNDANCY'})
fetch(url, method='PUT', data=b'hey', headers={'Content-Type': 'image/x-y'})
head = s3.head_object(Bucket='boto', Key='by url')
assert (head['Metadata'], head['ContentType'], head['StorageClass'], head['ContentLength']) == ({'color': 'light blue'}, 'image/x-y', 'REDUCED_REDUNDANCY', 3), head
try:
    fetch(url, method='PUT', data=b'hey', headers={'Content-Type': 'text/html'})
    raise AssertionError('a content type that was not signed')
except urllib.error.HTTPError as error:
    assert b'SignatureDoesNotMatch' in error.read()
default = boto3.client('s3', endpoint_url=os.environ['GRANARY_ENDPOINT'])
assert fetch(default.generate_presigned_url('get_object', {'Bucket': 'boto', 'Key': 'by url'})).read() == b'hey'

for wrong, expected in (({'aws_secret_access_key': 'wrong-secret', 'aws_access_key_id': os.environ['AWS_ACCESS_KEY_ID']}, 'SignatureDoesNotMatch'),
                        ({'aws_secret_access_key': 'wrong-secret', 'aws_access_key_id': 'nobody'}, 'InvalidAccessKeyId')):
    try:
        boto3.client('s3', endpoint_url=os.environ['GRANARY_ENDPOINT'], config=Config(signature_version='s3'), **wrong).list_buckets()
        raise AssertionError('refused: ' + expected)
    except ClientError as error:
        assert error.response['Error']['Code'] == expected, error

names = [{'Key': one['Key']} for one in s3.list_objects(Bucket='boto')['Contents']]
assert len(s3.delete_objects(Bucket='boto', Delete={'Objects': names})['Deleted']) == 4
s3.delete_bucket(Bucket='boto')
virtual = client(s3={'addressing_style': 'virtual'})
print(boto3.client('s3', endpoint_url='http://${domain}', config=Config(signature_version='s3', s3={'addressing_style': 'virtual'})).generate_presigned_url('get_object', {'Bucket': 'files', 'Key': 'virtual host'}))
`;
  await aws(['s3api', 'put-object', '--bucket', 'files', '--key', 'virtual host', '--body', import.meta.filename]);
  const url = new URL((await mustSucceed(python(server))(['-c', script])).trim());
  expect(url.hostname).toBe(`files.${domain}`);
  const sameHost = await curl(['--connect-to', `::${server.host}`, url.href]);
  expect(sameHost.stdout).toBe(readFileSync(import.meta.filename, 'utf8'));
  url.hostname = `other.${domain}`;
  expect(code((await curl(['--connect-to', `::${server.host}`, url.href])).stdout)).toBe('SignatureDoesNotMatch');
});

test('s3cmd --signature-v2', async () => {
  const tool = s3cmd(server);
  const run = mustSucceed((args, options) => tool(['--signature-v2', ...args], options));
  const body = patternBytes(16 * 1024 * 1024 + 7, 3);
  writeFileSync(join(work, 'big'), body);
  await run(['mb', 's3://by-s3cmd']);
  await run([
    'put',
    '--quiet',
    '--multipart-chunk-size-mb=5',
    '--add-header=x-amz-meta-a: b c',
    join(work, 'big'),
    's3://by-s3cmd/x y+ü',
  ]);
  await run(['get', '--quiet', 's3://by-s3cmd/x y+ü', join(work, 'big-again')]);
  expect(readFileSync(join(work, 'big-again')).equals(body)).toBe(true);
  await run(['cp', 's3://by-s3cmd/x y+ü', 's3://by-s3cmd/copy']);
  expect(await run(['ls', 's3://by-s3cmd'])).toMatch(/by-s3cmd\/copy\n.*by-s3cmd\/x y\+ü/);
  expect(await run(['info', 's3://by-s3cmd/x y+ü'])).toMatch(/x-amz-meta-a:\s+b c/);
  const url = (await run(['signurl', 's3://by-s3cmd/copy', '+60'])).trim();
  expect((await curl(['--output', join(work, 'by-url'), url])).code).toBe(0);
  expect(readFileSync(join(work, 'by-url')).equals(body)).toBe(true);
  await run(['rb', '--recursive', '--force', 's3://by-s3cmd']);
});

describe('a body in aws-chunked framing', () => {
  const put = (headers: Record<string, string>, body: string) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const date = new Date().toUTCString();
      const amz = Object.keys(headers).filter((name) => name.startsWith('x-amz-'));
      const lines = amz.sort().map((name) => `${name}:${headers[name] ?? ''}\n`);
      const stringToSign = `PUT\n\n\n${date}\n${lines.join('')}/files/framed`;
      const signature = createHmac('sha1', server.secretKey).update(stringToSign).digest('base64');
      const authorization = `AWS ${server.accessKey}:${signature}`;
      const call = httpRequest(`${server.url}/files/framed`, {
        method: 'PUT',
        headers: { ...headers, date, authorization, 'transfer-encoding': 'chunked' },
      });
      call.once('error', reject);
      call.once('response', (response) => {
        let text = '';
        response.on('data', (data: Buffer) => (text += data.toString()));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      call.end(body);
    });
  const content = 'framed content';
  const sha256 = createHash('sha256').update(content).digest('base64');
  const headers = {
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(content.length),
    'x-amz-trailer': 'x-amz-checksum-sha256',
  };
  const framed = (trailer: string) => `e\r\n${content}\r\n0\r\nx-amz-checksum-sha256:${trailer}\r\n\r\n`;

  test('is stored without it, once its trailer proves right', async () => {
    expect(await put(headers, framed(sha256))).toEqual({ status: 200, text: '' });
    const head = await aws(['s3api', 'head-object', '--bucket', 'files', '--key', 'framed', '--output', 'json']);
    expect(JSON.parse(head)).toMatchObject({ ContentLength: content.length });
    expect(JSON.parse(head)).not.toHaveProperty('ContentEncoding');
    expect(await aws(['s3', 'cp', '--quiet', 's3://files/framed', '-'])).toBe(content);
    const wrong = await put(headers, framed(createHash('sha256').update('other').digest('base64')));
    expect([wrong.status, code(wrong.text)]).toEqual([400, 'BadDigest']);
    expect(await aws(['s3', 'cp', '--quiet', 's3://files/framed', '-'])).toBe(content);
  });
});
