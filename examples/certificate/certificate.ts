/**
 * Temporary credentials for a client certificate: connects with it, calls AssumeRoleWithCertificate, and shows the
 * credentials and the buckets that they see.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { rootCertificates } from 'node:tls';
import { parseFlags } from '../common/flags.js';
import { describe, readCredentials, type Credentials } from '../common/sts.js';

const flags = parseFlags('certificate', {
  'sts-ep': { meaning: 'STS endpoint, with https', otherwise: 'https://localhost:9000' },
  cert: { meaning: 'File of the client certificate, followed by its intermediates', otherwise: 'client.crt' },
  key: { meaning: 'File of its private key', otherwise: 'client.key' },
  cacert: { meaning: "File of the authority of the server's certificate", otherwise: '' },
  duration: { meaning: 'Seconds that the credentials last, 900 at least', otherwise: '' },
});

/** The call itself needs nothing but the connection. */
function assumeRole(agent: Agent): Promise<Credentials> {
  const target = new URL('/', flags['sts-ep']);
  target.searchParams.set('Action', 'AssumeRoleWithCertificate');
  target.searchParams.set('Version', '2011-06-15');
  if (flags.duration !== '') target.searchParams.set('DurationSeconds', flags.duration);
  return new Promise((resolve, reject) => {
    const sent = request(target, { method: 'POST', agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve(readCredentials(response.statusCode ?? 0, Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

try {
  const agent = new Agent({
    cert: readFileSync(flags.cert),
    key: readFileSync(flags.key),
    ...(flags.cacert !== '' && { ca: [...rootCertificates, readFileSync(flags.cacert, 'utf8')] }),
  });
  const credentials = await assumeRole(agent);
  process.stdout.write(`${await describe(flags['sts-ep'], credentials, agent)}\n`);
  agent.destroy();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
