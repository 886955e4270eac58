/** Accounts of a server process, made over its administration API, and their temporary credentials. */
import { createHmac } from 'node:crypto';
import {
  adminClient,
  seal,
  type AdminAnswer,
  type AdminClient,
  type AdminCredentials,
  type Json,
} from './admin-client.js';
import { readStsAnswer, stsRequest, type StsAnswer, type TemporaryCredentials } from './sts-client.js';
import type { ServerProcess } from './server.js';
import { presign, send, sendSigned, type Answer, type Request, type Target } from './wire.js';

export interface AdminCall {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly sealed?: unknown;
}

export interface Accounts {
  readonly root: AdminCredentials;
  /** A user, with a policy of its own when there are statements. */
  createUser(...statements: object[]): Promise<AdminCredentials>;
  /** The policy of such a user from now on. */
  grant(user: AdminCredentials, ...statements: object[]): Promise<void>;
  createKey(owner: AdminCredentials, policy?: object): Promise<AdminCredentials>;
  as(signer: AdminCredentials, call: AdminCall): Promise<AdminAnswer>;
  /** As root; throws for a refusal. */
  must(call: AdminCall): Promise<Json>;
  assume(signer: AdminCredentials, parameters?: Record<string, string>): Promise<StsAnswer>;
  /** Throws for a refusal. */
  session(signer: AdminCredentials, parameters?: Record<string, string>): Promise<TemporaryCredentials>;
  s3(signer: AdminCredentials, request: Request): Promise<Answer>;
  follow(signer: AdminCredentials, request: Request): Promise<Answer>;
  /** A browser's upload, with a policy that the credentials sign. */
  post(signer: AdminCredentials, bucket: string, key: string, content: string): Promise<Answer>;
}

export const document = (...statements: object[]) => ({ Version: '2012-10-17', Statement: statements });
export const policyText = (...statements: object[]) => JSON.stringify(document(...statements));
export const allowAdmin = (...Action: string[]) => ({ Effect: 'Allow', Action });
export const allowS3 = (Action: string | string[], Resource = 'arn:aws:s3:::*') => ({
  Effect: 'Allow',
  Action: [Action].flat(),
  Resource: [Resource],
});

export function accountsOf(server: ServerProcess): Accounts {
  const root = { accessKey: server.accessKey, secretKey: server.secretKey };
  let count = 0;
  const as = (signer: AdminCredentials, { sealed, ...call }: AdminCall) => {
    const client: AdminClient = adminClient(server, signer);
    // Under the caller's own secret.
    const body = sealed === undefined ? {} : { body: seal(signer.secretKey, Buffer.from(JSON.stringify(sealed))) };
    return client({ ...call, ...body });
  };
  const must = async (call: AdminCall): Promise<Json> => {
    const answer = await as(root, call);
    if (answer.status >= 300) throw new Error(`${call.path} answers ${answer.status}: ${answer.message}`);
    return answer.body.length === 0 ? {} : await answer.json();
  };
  const policyOf = ({ accessKey }: AdminCredentials) => `policy-of-${accessKey}`;
  const grant: Accounts['grant'] = async (user, ...statements) => {
    const query = { name: policyOf(user) };
    await must({ method: 'PUT', path: 'add-canned-policy', query, body: policyText(...statements) });
  };
  const target = (signer: AdminCredentials) => ({ ...signer, port: server.port, region: server.region });
  const assume = async (signer: AdminCredentials, parameters: Record<string, string> = {}) => {
    const answer = await send(target(signer), stsRequest({ Action: 'AssumeRole', ...parameters }));
    return readStsAnswer(answer.status, answer.body.toString());
  };
  return {
    root,
    as,
    must,
    grant,
    assume,
    async createUser(...statements) {
      const user = { accessKey: `account${++count}`, secretKey: `secret-of-account${count}` };
      const sealed = { secretKey: user.secretKey, status: 'enabled' };
      await must({ method: 'PUT', path: 'add-user', query: { accessKey: user.accessKey }, sealed });
      if (statements.length === 0) return user;
      await grant(user, ...statements);
      const sealedNames = { policies: [policyOf(user)], user: user.accessKey };
      await must({ method: 'POST', path: 'idp/builtin/policy/attach', sealed: sealedNames });
      return user;
    },
    async createKey(owner, policy) {
      const key = { accessKey: `key${++count}`, secretKey: `secret-of-key${count}` };
      const sealed = { ...key, ...(policy && { policy }) };
      const answer = await as(owner, { method: 'PUT', path: 'add-service-account', sealed });
      if (answer.status !== 200) throw new Error(`no key: ${answer.status} ${answer.message}`);
      return key;
    },
    async session(signer, parameters) {
      const { credentials, text } = await assume(signer, parameters);
      if (credentials === null) throw new Error(text);
      return credentials;
    },
    s3: (signer, request) => send(target(signer), request),
    follow: (signer, request) => {
      const [path = '', query = ''] = presign(target(signer), request).split('?');
      return sendSigned(target(signer), { ...request, path, query }, { host: server.host });
    },
    post(signer, bucket, key, content) {
      const headers = { host: server.host, 'content-type': 'multipart/form-data; boundary=edge' };
      const body = formUpload(target(signer), bucket, key, content);
      return sendSigned(target(signer), { method: 'POST', path: `/${bucket}`, body }, headers);
    },
  };
}

function formUpload(signer: Target, bucket: string, key: string, content: string): string {
  const amzDate = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = [amzDate.slice(0, 8), signer.region, 's3', 'aws4_request'];
  const fields: Record<string, string> = {
    key,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': [signer.accessKey, ...scope].join('/'),
    'x-amz-date': amzDate,
    ...(signer.sessionToken !== undefined && { 'x-amz-security-token': signer.sessionToken }),
  };
  const conditions = [{ bucket }, ...Object.entries(fields).map(([name, value]) => ({ [name]: value }))];
  const policy = JSON.stringify({ expiration: new Date(Date.now() + 600_000).toISOString(), conditions });
  const encoded = Buffer.from(policy).toString('base64');
  let signingKey: Buffer | string = `AWS4${signer.secretKey}`;
  for (const part of scope) signingKey = createHmac('sha256', signingKey).update(part).digest();
  const signature = createHmac('sha256', signingKey).update(encoded).digest('hex');
  const parts = Object.entries({ ...fields, policy: encoded, 'x-amz-signature': signature }).map(
    ([name, value]) => `--edge\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file = 'Content-Disposition: form-data; name="file"; filename="f"';
  return `${parts.join('')}--edge\r\n${file}\r\n\r\n${content}\r\n--edge--\r\n`;
}
