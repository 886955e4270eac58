/**
 * Question: how many AssumeRoleWithWebIdentity a second does one core answer, with the provider's keys in memory?
 *
 * Estimate: an RS256 signature is checked in 30 µs on a thread of its own, with as much around it for the hop; a
 * session is 50 µs of making and sealing; the commit is shared by all that wait for it. A fifth of a millisecond of CPU
 * each, over all threads: 5,000. It must be 2,000. In CPU time of the server, since the generator may be what is slow.
 *
 * Result: docs/performance.md.
 */
import { readFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startGranary } from '../path/servers.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';
import type { Workspace } from '../workspace.js';

export const webIdentityName = 'sts.web-identity';

const clientId = 'granary';
const perSecondMin = 2000;
const connections = 64;
const accountCount = 256;
/** Code that runs a few thousand times before it is fast. */
const warmUpMs = 6000;
const roundMs = 2500;
/** Of /proc: USER_HZ. */
const tickMicros = 10_000;

/** A provider as far as this server looks at it, and tokens of many people. */
async function startProvider() {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const key = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' };
  const server = createServer(({ url }, response) => {
    const document = url === '/keys' ? { keys: [key] } : { issuer, jwks_uri: `${issuer}/keys` };
    response.end(JSON.stringify(document));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tokens = await Promise.all(
    Array.from({ length: accountCount }, (_, index) =>
      new SignJWT({ policy: 'readwrite', email: `user-${index}@example.org`, groups: ['one', 'two', 'three'] })
        .setProtectedHeader({ alg: 'RS256', kid: 'bench' })
        .setIssuer(issuer)
        .setAudience(clientId)
        .setSubject(`user-${index}`)
        .setExpirationTime('2h')
        .sign(privateKey),
    ),
  );
  return { issuer, tokens, close: () => server.close() };
}

async function cpuMicrosOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold anything: state, then numbers; the 12th and 13th are user and system time.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMicros;
}

/** Answers once a round is over; every answer must be credentials. */
async function ask(port: number, bodies: readonly string[], untilMs: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let count = 0;
  const one = (body: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
      const sent = request({ host: '127.0.0.1', port, path: '/', method: 'POST', agent, headers }, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve();
          else reject(new Error(`the token service answers ${answer.statusCode ?? 0}: ${text.slice(0, 300)}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const work = async (first: number): Promise<void> => {
    for (let index = first; performance.now() < untilMs; index++, count++) {
      await one(bodies[index % bodies.length] ?? '');
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => work(index * 7)));
  agent.destroy();
  return count;
}

export async function webIdentityRow(workspace: Workspace, onProgress: (text: string) => void): Promise<ReportRow> {
  const provider = await startProvider();
  const server = await startGranary(workspace, 'disk', {
    MINIO_IDENTITY_OPENID_CONFIG_URL: `${provider.issuer}/discovery`,
    MINIO_IDENTITY_OPENID_CLIENT_ID: clientId,
  });
  try {
    const { port, pid } = server.target;
    if (pid === null) throw new Error('the server has no process id');
    const bodies = provider.tokens.map((WebIdentityToken) =>
      new URLSearchParams({ Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', WebIdentityToken }).toString(),
    );
    onProgress(`${webIdentityName}: warm-up`);
    await ask(port, bodies, performance.now() + warmUpMs);
    const [ofCore, elapsed]: [number[], number[]] = [[], []];
    for (let round = 1; round <= 4; round++) {
      onProgress(`${webIdentityName}: round ${round} of 4`);
      const [cpuBefore, startMs] = [await cpuMicrosOf(pid), performance.now()];
      const count = await ask(port, bodies, startMs + roundMs);
      ofCore.push((count / ((await cpuMicrosOf(pid)) - cpuBefore)) * 1e6);
      elapsed.push(count / ((performance.now() - startMs) / 1000));
    }
    const value = median(ofCore);
    return {
      ...{ name: webIdentityName, unit: 'calls/s of one core', value, ratio: value / perSecondMin },
      anchor: { name: 'the least that is asked for (calls/s)', value: perSecondMin },
      opsPerSecond: median(elapsed),
      cpuMicrosPerOp: 1e6 / value,
    };
  } finally {
    await server.stop();
    provider.close();
  }
}
