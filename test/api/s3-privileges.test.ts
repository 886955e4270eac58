import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findAction } from '../../src/policy/index.js';
import { operations } from '../../src/s3/service.js';
import { accountsOf, document, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { sendSigned, type Answer, type Request } from '../support/wire.js';

/**
 * Who may: every operation of S3. Without one of its actions it is refused, whatever else is granted; with exactly
 * these, on exactly its bucket or object, it is done. An operation without a row fails.
 */
let server: ServerProcess;
let accounts: Accounts;
let nobody: AdminCredentials;
let exact: AdminCredentials;
let uploadId = '';

const root = (): AdminCredentials => ({ accessKey: server.accessKey, secretKey: server.secretKey });
const asRoot = async (request: Request): Promise<Answer> => {
  const answer = await accounts.s3(root(), request);
  if (answer.status >= 300)
    throw new Error(`${request.method} ${request.path}: ${answer.status} ${answer.body.toString()}`);
  return answer;
};

beforeAll(async () => {
  server = await startServerProcess();
  accounts = accountsOf(server);
  nobody = await accounts.createUser();
  exact = await accounts.createUser({ Effect: 'Deny', Action: 's3:*', Resource: '*' });
  await asRoot({ method: 'PUT', path: '/home' });
  await asRoot({ method: 'PUT', path: '/source' });
  await asRoot({ method: 'PUT', path: '/source/k', body: 'source' });
}, 60_000);
afterAll(() => server.stop());

/** An action, and the bucket or object it is needed on. */
type Need = readonly [action: string, on: string];

interface Row {
  readonly needs: readonly Need[];
  readonly request: () => Request;
  /** By root, before each attempt. */
  readonly prepare?: () => Promise<unknown>;
  /** Instead of a signed request. */
  readonly send?: (as: AdminCredentials) => Promise<Answer>;
}

const md5 = (text: string) => createHash('md5').update(text).digest('base64');
const object =
  (method: string, query = '', more: Partial<Request> = {}) =>
  (): Request => ({
    method,
    path: '/home/k',
    ...(query !== '' && { query }),
    ...more,
  });
const bucket = (method: string, query = '', more: Partial<Request> = {}) =>
  object(method, query, { path: '/home', ...more });
const putObject = () => asRoot({ method: 'PUT', path: '/home/k', body: 'content' });
const putPolicy = () => asRoot({ method: 'PUT', path: '/home', query: 'policy', body: closedPolicy });
const putSpare = async () => {
  await accounts.s3(root(), { method: 'PUT', path: '/spare' });
};
/** Says nothing about those who ask here. */
const closedPolicy = JSON.stringify(
  document({ Effect: 'Deny', Principal: { AWS: 'somebody' }, Action: 's3:*', Resource: 'arn:aws:s3:::home/*' }),
);
const deletion = '<Delete><Object><Key>k</Key></Object></Delete>';
const versionDeletion = '<Delete><Object><Key>k</Key><VersionId>null</VersionId></Object></Delete>';
const copyOf = (source: string) => ({ headers: { 'x-amz-copy-source': source } });

/** An upload with one part, and what is asked about it. */
async function putUpload(): Promise<void> {
  const started = await asRoot({ method: 'POST', path: '/home/k', query: 'uploads' });
  uploadId = /<UploadId>([^<]+)</.exec(started.body.toString())?.[1] ?? '';
  await asRoot({ method: 'PUT', path: '/home/k', query: `partNumber=1&uploadId=${uploadId}`, body: 'part' });
}
const part = (number: number) => `partNumber=${number}&uploadId=${uploadId}`;
const completion = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"${createHash('md5').update('part').digest('hex')}"</ETag></Part></CompleteMultipartUpload>`;

/** A form, signed by its policy. */
function postForm({ accessKey, secretKey }: AdminCredentials): Promise<Answer> {
  const amzDate = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const day = amzDate.slice(0, 8);
  const fields: Record<string, string> = {
    key: 'form',
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${accessKey}/${day}/${server.region}/s3/aws4_request`,
    'x-amz-date': amzDate,
  };
  const conditions = [...Object.entries(fields).map(([name, value]) => ({ [name]: value })), { bucket: 'home' }];
  const expiration = new Date(Date.now() + 60_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const hmac = (key: Uint8Array | string, text: string) => createHmac('sha256', key).update(text).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${secretKey}`, day), server.region), 's3'), 'aws4_request');
  const all = { ...fields, policy, 'x-amz-signature': hmac(key, policy).toString('hex'), file: 'content' };
  const parts = Object.entries(all).map(
    ([name, value]) =>
      `--line\r\nContent-Disposition: form-data; name="${name}"${name === 'file' ? '; filename="f"' : ''}\r\n\r\n${value}\r\n`,
  );
  const body = `${parts.join('')}--line--\r\n`;
  const target = { ...root(), port: server.port, region: server.region };
  const headers = { host: server.host, 'content-type': 'multipart/form-data; boundary=line' };
  return sendSigned(target, { method: 'POST', path: '/home', body }, headers);
}

const rows: Readonly<Record<string, Row>> = {
  'service GET': { needs: [['s3:ListAllMyBuckets', '']], request: () => ({ method: 'GET', path: '/' }) },
  'bucket GET': { needs: [['s3:ListBucket', 'home']], request: bucket('GET') },
  'bucket HEAD': { needs: [['s3:ListBucket', 'home']], request: bucket('HEAD') },
  'bucket PUT': {
    needs: [['s3:CreateBucket', 'spare']],
    request: bucket('PUT', '', { path: '/spare' }),
    prepare: () => accounts.s3(root(), { method: 'DELETE', path: '/spare' }),
  },
  'bucket DELETE': {
    needs: [['s3:DeleteBucket', 'spare']],
    request: bucket('DELETE', '', { path: '/spare' }),
    prepare: putSpare,
  },
  'bucket POST': { needs: [['s3:PutObject', 'home/form']], request: bucket('POST'), send: postForm },
  'bucket GET ?list-type=2': { needs: [['s3:ListBucket', 'home']], request: bucket('GET', 'list-type=2') },
  'bucket GET ?location': { needs: [['s3:GetBucketLocation', 'home']], request: bucket('GET', 'location') },
  'bucket GET ?policy': {
    needs: [['s3:GetBucketPolicy', 'home']],
    request: bucket('GET', 'policy'),
    prepare: putPolicy,
  },
  'bucket PUT ?policy': {
    needs: [['s3:PutBucketPolicy', 'home']],
    request: bucket('PUT', 'policy', { body: closedPolicy }),
  },
  'bucket DELETE ?policy': {
    needs: [['s3:DeleteBucketPolicy', 'home']],
    request: bucket('DELETE', 'policy'),
    prepare: putPolicy,
  },
  'bucket GET ?policyStatus': { needs: [['s3:GetBucketPolicyStatus', 'home']], request: bucket('GET', 'policyStatus') },
  'bucket GET ?uploads': { needs: [['s3:ListBucketMultipartUploads', 'home']], request: bucket('GET', 'uploads') },
  'bucket GET ?versioning': { needs: [['s3:GetBucketVersioning', 'home']], request: bucket('GET', 'versioning') },
  'bucket PUT ?versioning': {
    needs: [['s3:PutBucketVersioning', 'spare']],
    request: bucket('PUT', 'versioning', {
      path: '/spare',
      body: '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>',
    }),
    prepare: putSpare,
  },
  'bucket GET ?versions': { needs: [['s3:ListBucketVersions', 'home']], request: bucket('GET', 'versions') },
  'bucket POST ?delete': {
    needs: [['s3:DeleteObject', 'home/k']],
    request: bucket('POST', 'delete', { body: deletion, headers: { 'content-md5': md5(deletion) } }),
    prepare: putObject,
  },
  'object GET': { needs: [['s3:GetObject', 'home/k']], request: object('GET'), prepare: putObject },
  'object HEAD': { needs: [['s3:GetObject', 'home/k']], request: object('HEAD'), prepare: putObject },
  'object PUT': { needs: [['s3:PutObject', 'home/k']], request: object('PUT', '', { body: 'new' }) },
  'object DELETE': { needs: [['s3:DeleteObject', 'home/k']], request: object('DELETE'), prepare: putObject },
  'object PUT +copy': {
    needs: [
      ['s3:PutObject', 'home/k'],
      ['s3:GetObject', 'source/k'],
    ],
    request: object('PUT', '', copyOf('/source/k')),
  },
  'object POST ?uploads': { needs: [['s3:PutObject', 'home/k']], request: object('POST', 'uploads') },
  'object GET ?tagging': {
    needs: [['s3:GetObjectTagging', 'home/k']],
    request: object('GET', 'tagging'),
    prepare: putObject,
  },
  'object GET ?uploadId': {
    needs: [['s3:ListMultipartUploadParts', 'home/k']],
    request: () => object('GET', `uploadId=${uploadId}`)(),
    prepare: putUpload,
  },
  'object PUT ?uploadId': {
    needs: [['s3:PutObject', 'home/k']],
    request: () => object('PUT', part(2), { body: 'part' })(),
    prepare: putUpload,
  },
  'object PUT ?uploadId +copy': {
    needs: [
      ['s3:PutObject', 'home/k'],
      ['s3:GetObject', 'source/k'],
    ],
    request: () => object('PUT', part(2), copyOf('/source/k'))(),
    prepare: putUpload,
  },
  'object POST ?uploadId': {
    needs: [['s3:PutObject', 'home/k']],
    request: () => object('POST', `uploadId=${uploadId}`, { body: completion })(),
    prepare: putUpload,
  },
  'object DELETE ?uploadId': {
    needs: [['s3:AbortMultipartUpload', 'home/k']],
    request: () => object('DELETE', `uploadId=${uploadId}`)(),
    prepare: putUpload,
  },
};

/** Parameters and headers that ask for another action. */
const variants: Readonly<Record<string, Row>> = {
  'a version that is read': {
    needs: [['s3:GetObjectVersion', 'home/k']],
    request: object('GET', 'versionId=null'),
    prepare: putObject,
  },
  'the head of a version': {
    needs: [['s3:GetObjectVersion', 'home/k']],
    request: object('HEAD', 'versionId=null'),
    prepare: putObject,
  },
  'a version that is deleted': {
    needs: [['s3:DeleteObjectVersion', 'home/k']],
    request: object('DELETE', 'versionId=null'),
    prepare: putObject,
  },
  'a version that is deleted among many': {
    needs: [['s3:DeleteObjectVersion', 'home/k']],
    request: bucket('POST', 'delete', { body: versionDeletion, headers: { 'content-md5': md5(versionDeletion) } }),
    prepare: putObject,
  },
  'the tags of a version': {
    needs: [['s3:GetObjectVersionTagging', 'home/k']],
    request: object('GET', 'tagging&versionId=null'),
    prepare: putObject,
  },
  'a version that is copied': {
    needs: [
      ['s3:PutObject', 'home/k'],
      ['s3:GetObjectVersion', 'source/k'],
    ],
    request: object('PUT', '', copyOf('/source/k?versionId=null')),
  },
  'a bucket that is deleted with its objects': {
    needs: [
      ['s3:DeleteBucket', 'spare'],
      ['s3:ForceDeleteBucket', 'spare'],
    ],
    request: bucket('DELETE', '', { path: '/spare', headers: { 'x-minio-force-delete': 'true' } }),
    prepare: putSpare,
  },
};

const resourceOf = (on: string) => `arn:aws:s3:::${on === '' ? '*' : on}`;
const grantOf = ([action, on]: Need, elsewhere = '') => ({
  Effect: 'Allow',
  Action: [action],
  Resource: [on === '' || elsewhere === '' ? resourceOf(on) : resourceOf(on.replace(/^[a-z]+/, elsewhere))],
});
const codeOf = ({ code, headers }: Answer) => code ?? headers['x-minio-error-code'] ?? null;

function check(name: string, { needs, request, prepare, send }: Row): void {
  const ask = async (as: AdminCredentials) => {
    await prepare?.();
    return await (send === undefined ? accounts.s3(as, request()) : send(as));
  };
  const mustBeDenied = async (answer: Answer) => {
    expect(codeOf(answer), `${answer.status} ${answer.body.toString()}`).toBe('AccessDenied');
    // The answer of DeleteObjects is a list.
    expect(answer.status).toBe(name === 'bucket POST ?delete' || name.includes('among many') ? 200 : 403);
  };

  test('is refused to a user without a policy', async () => {
    await mustBeDenied(await ask(nobody));
  });

  test('is refused to callers who did not sign', async () => {
    if (send !== undefined) return;
    await prepare?.();
    const { headers = {}, ...rest } = request();
    const target = { ...root(), port: server.port, region: server.region };
    await mustBeDenied(await sendSigned(target, rest, { host: server.host, ...headers }));
  });

  test.each(needs)('is refused without %s on %s, whatever else is granted', async (action, on) => {
    // Without the list of all there are still those that may be listed: see below.
    const others = on === '' ? 's3:PutObject' : '*';
    const all = { Effect: 'Allow', Action: others, Resource: '*' };
    await accounts.grant(exact, all, { Effect: 'Deny', Action: action, Resource: resourceOf(on) });
    await mustBeDenied(await ask(exact));
  });

  test('is refused with these actions on another bucket', async () => {
    if (needs.some(([, on]) => on === '')) return;
    await accounts.grant(exact, ...needs.map((need) => grantOf(need, 'elsewhere')));
    await mustBeDenied(await ask(exact));
  });

  test('is done with exactly these actions', async () => {
    await accounts.grant(exact, ...needs.map((need) => grantOf(need)));
    const answer = await ask(exact);
    expect([codeOf(answer), answer.status < 300], `${answer.status} ${answer.body.toString()}`).toEqual([null, true]);
  });

  test('names actions that there are, on what they act on', () => {
    for (const [action, on] of needs) {
      const scope = on === '' ? 'service' : on.includes('/') ? 'object' : 'bucket';
      expect(findAction(action)?.scope).toBe(scope);
    }
  });
}

describe.each(Object.entries(rows))('%s', check);
describe.each(Object.entries(variants))('%s', check);

test('every operation has a row', () => {
  const names = Object.entries(operations).flatMap(([shape, table]) =>
    Object.keys(table).map((one) => `${shape} ${one}`),
  );
  expect(Object.keys(rows).sort()).toEqual(names.sort());
});

describe('ListBuckets without s3:ListAllMyBuckets', () => {
  const list = async () => {
    const answer = await accounts.s3(exact, { method: 'GET', path: '/' });
    return answer.status === 200
      ? [...answer.body.toString().matchAll(/<Name>([^<]+)</g)].map(([, name]) => name)
      : codeOf(answer);
  };
  test.each<readonly [what: string, statements: readonly object[], expected: readonly string[] | string]>([
    ['those that may be listed', [grantOf(['s3:ListBucket', 'home'])], ['home']],
    ['those that may be located', [grantOf(['s3:GetBucketLocation', 'source'])], ['source']],
    ['through what is in them', [grantOf(['s3:*', 'home/*'])], ['home']],
    [
      'none of those that are denied',
      [grantOf(['s3:*', '*']), { ...grantOf(['s3:*', 'source*']), Effect: 'Deny' }],
      ['home'],
    ],
    ['nothing: refused', [grantOf(['s3:PutObject', 'home/k'])], 'AccessDenied'],
  ])('shows %s', async (_what, statements, expected) => {
    await accounts.s3(root(), { method: 'DELETE', path: '/spare' });
    const allButAll = { Effect: 'Deny', Action: 's3:ListAllMyBuckets', Resource: '*' };
    await accounts.grant(exact, ...(statements as []), allButAll);
    expect(await list()).toEqual(expected);
  });
});

describe('a copy and its conditions', () => {
  test('the source is one name to policies, however it is spelled', async () => {
    const all = { Effect: 'Allow', Action: 's3:*', Resource: '*' };
    const condition = { StringEquals: { 's3:x-amz-copy-source': 'source/k' } };
    await accounts.grant(exact, all, { Effect: 'Deny', Action: 's3:PutObject', Resource: '*', Condition: condition });
    for (const source of ['source/k', '/source/k', '/source/%6b', 'sourc%65/k']) {
      expect(codeOf(await accounts.s3(exact, { method: 'PUT', path: '/home/copy', ...copyOf(source) }))).toBe(
        'AccessDenied',
      );
    }
    expect((await accounts.s3(exact, { method: 'PUT', path: '/home/copy', body: 'x' })).status).toBe(200);
  });
});

describe('a bucket that is created', () => {
  test('in the region that the policy asks for', async () => {
    const location = (region: string) =>
      `<CreateBucketConfiguration><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`;
    const create = (body: string) => accounts.s3(exact, { method: 'PUT', path: '/located', body });
    const only = (region: string) =>
      accounts.grant(exact, {
        ...grantOf(['s3:CreateBucket', '*']),
        Condition: { StringEquals: { 's3:LocationConstraint': region } },
      });
    await only('eu-west-1');
    expect(codeOf(await create(location('us-east-1')))).toBe('AccessDenied');
    expect(codeOf(await create(''))).toBe('AccessDenied');
    await only('us-east-1');
    expect((await create(location('us-east-1'))).status).toBe(200);
    await asRoot({ method: 'DELETE', path: '/located' });
    expect((await create('')).status).toBe(200);
    await asRoot({ method: 'DELETE', path: '/located' });
  });
});
