/**
 * Question: what does a request with temporary credentials of a user with three policies cost, beside the same one
 * of root? Their token is one more signed header of 300 bytes, and their policies are looked up and decided upon.
 *
 * Estimate: a signature over 300 bytes more is 0.5 µs, a decision over three policies and a session policy 2 µs; a
 * request takes 60: a few per cent. It must be no more than 1.3 times slower. In CPU time of the server, since the
 * generator may be what is slow.
 *
 * Result: docs/performance.md.
 */
import { createHash } from 'node:crypto';
import { createPayloadCipher } from '../../src/admin/index.js';
import { systemClock } from '../../src/base/index.js';
import { keyDerivation } from '../../src/native/index.js';
import { Plan, type LoadFigures, type LoadTarget } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import { createHeaderSigner } from '../load/sign.js';
import { startGranary } from '../path/servers.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';
import type { Workspace } from '../workspace.js';

export const sessionName = 'path.get.4KiB.session.c64';

const bucket = 'benchmark';
const objectBytes = 4096;
const objectCount = 1000;
const connections = 64;
const patternStep = 4093;

interface Call {
  readonly method: string;
  readonly path: string;
  /** Encoded and sorted. */
  readonly query?: string;
  readonly body?: Uint8Array | string;
  readonly service?: 'sts';
}

async function send(target: LoadTarget, { method, path, query = '', body = '', service }: Call): Promise<string> {
  const payloadHash = createHash('sha256').update(body).digest('hex');
  const signer = { ...target, ...(service !== undefined && { service }) };
  const headers = createHeaderSigner(signer, new Date())({ method, path, query, payloadHash });
  const type = service === undefined ? 'application/octet-stream' : 'application/x-www-form-urlencoded';
  const url = `http://${target.host}${path}${query === '' ? '' : `?${query}`}`;
  const { Host: _, ...rest } = headers;
  const answer = await fetch(url, { method, headers: { ...rest, 'content-type': type }, body: Buffer.from(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text.slice(0, 500)}`);
  return text;
}

const policy = (...statements: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const allow = (actions: readonly string[], resource: string) => ({
  Effect: 'Allow',
  Action: actions,
  Resource: [`arn:aws:s3:::${resource}`],
});

/** As people write them: what one may do, where, and what is forbidden to all. */
const policies = {
  'bench-reading': policy(allow(['s3:GetObject', 's3:ListBucket', 's3:GetBucketLocation'], `${bucket}*`)),
  'bench-home': policy(allow(['s3:*'], `${bucket}/home/\${aws:username}/*`)),
  'bench-guard': policy({
    ...allow(['s3:DeleteBucket', 's3:PutBucketPolicy'], '*'),
    Effect: 'Deny',
    Condition: { StringNotEquals: { 'aws:username': 'admin' } },
  }),
};

/** The server as somebody with temporary credentials sees it. */
async function asSession(target: LoadTarget): Promise<LoadTarget> {
  const cipher = createPayloadCipher((...argon2) => keyDerivation.argon2id(...argon2), systemClock);
  const sealed = (value: object) => cipher.seal(target.secretKey, 'bench', Buffer.from(JSON.stringify(value)));
  const admin = '/minio/admin/v3';
  const user = { accessKey: 'bench-user', secretKey: 'secret-of-bench-user' };
  const secret = await sealed({ secretKey: user.secretKey, status: 'enabled' });
  await send(target, { method: 'PUT', path: `${admin}/add-user`, query: `accessKey=${user.accessKey}`, body: secret });
  for (const [name, body] of Object.entries(policies)) {
    await send(target, { method: 'PUT', path: `${admin}/add-canned-policy`, query: `name=${name}`, body });
  }
  const attachment = await sealed({ policies: Object.keys(policies), user: user.accessKey });
  await send(target, { method: 'POST', path: `${admin}/idp/builtin/policy/attach`, body: attachment });
  const form = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    Policy: policy(allow(['s3:GetObject'], `${bucket}/*`)),
  });
  const answer = await send(
    { ...target, ...user },
    { method: 'POST', path: '/', service: 'sts', body: form.toString() },
  );
  const element = (name: string): string => new RegExp(`<${name}>([^<]+)<`).exec(answer)?.[1] ?? '';
  return {
    ...target,
    accessKey: element('AccessKeyId'),
    secretKey: element('SecretAccessKey'),
    sessionToken: element('SessionToken'),
  };
}

const path = (index: number): string => `/${bucket}/${String(index).padStart(6, '0')}`;

function gets(): PlannedRequest[] {
  return Array.from({ length: objectCount }, (_, index) => ({
    method: 'GET',
    path: path(index),
    expectedStatus: 200,
    expectedBytes: objectBytes,
    isPattern: true,
    patternOffset: (index % 250) * patternStep,
  }));
}

function puts(): PlannedRequest[] {
  return Array.from({ length: objectCount }, (_, index) => ({
    method: 'PUT',
    path: path(index),
    bodyBytes: objectBytes,
    expectedStatus: 200,
    patternOffset: (index % 250) * patternStep,
  }));
}

const perSecond = ({ requests, elapsedMicros }: LoadFigures): number => requests / (elapsedMicros / 1e6);
const cpuOf = ({ serverCpuMicros, requests }: LoadFigures): number => (serverCpuMicros ?? Number.NaN) / requests;

export async function sessionRow(
  workspace: Workspace,
  { quick, onProgress }: { readonly quick: boolean; readonly onProgress: (text: string) => void },
): Promise<ReportRow> {
  const rounds = quick ? 4 : 8;
  const server = await startGranary(workspace, 'disk');
  const folder = await workspace.makeFolder('disk', 'plans');
  try {
    const { target } = server;
    onProgress(`${sessionName}: accounts and objects`);
    await send(target, { method: 'PUT', path: `/${bucket}` });
    await (await Plan.write(workspace, target, folder, puts())).run({ connections: 16 });
    const session = await Plan.write(workspace, await asSession(target), folder, gets());
    const root = await Plan.write(workspace, target, folder, gets());
    const load = { connections, loops: true };
    for (const plan of [root, session]) await plan.run({ ...load, seconds: 1 });
    const ours: LoadFigures[] = [];
    const anchors: LoadFigures[] = [];
    // In turns, so that what else the machine does is in both.
    for (let round = 1; round <= rounds; round++) {
      onProgress(`${sessionName}: round ${round} of ${rounds}`);
      anchors.push(await root.run({ ...load, seconds: 1 }));
      ours.push(await session.run({ ...load, seconds: 1 }));
    }
    const value = median(ours.map(cpuOf));
    const anchor = median(anchors.map(cpuOf));
    return {
      ...{ name: sessionName, unit: 'CPU µs/request', value, ratio: anchor / value },
      anchor: { name: 'the same as root (CPU µs/request)', value: anchor },
      opsPerSecond: median(ours.map(perSecond)),
    };
  } finally {
    await server.stop();
    await workspace.removeFolder(folder);
  }
}
