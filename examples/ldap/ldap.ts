/**
 * Signs in with a login name and a password of the directory (LDAP, Active Directory), gets temporary credentials from
 * the token service, lists the buckets with them and prints both.
 */
import { readFileSync } from 'node:fs';
import { parseFlags } from '../common/flags.js';
import { assumeRole, clientOf, describe } from '../common/sts.js';

const flags = parseFlags('ldap', {
  'sts-ep': { meaning: 'STS endpoint', otherwise: 'http://localhost:9000' },
  u: { meaning: 'AD/LDAP user name', otherwise: '' },
  p: { meaning: 'AD/LDAP password', otherwise: '' },
  e: { meaning: 'for how many seconds the credentials are asked', otherwise: '' },
  s: { meaning: 'file with a session policy', otherwise: '' },
  d: { meaning: 'only show the credentials', otherwise: false },
  b: { meaning: 'bucket to list the objects of', otherwise: '' },
});
const endpoint = flags['sts-ep'];

try {
  const credentials = await assumeRole(endpoint, 'AssumeRoleWithLDAPIdentity', {
    LDAPUsername: flags.u,
    LDAPPassword: flags.p,
    ...(flags.e !== '' && { DurationSeconds: flags.e }),
    ...(flags.s !== '' && { Policy: readFileSync(flags.s, 'utf8') }),
  });
  if (flags.d) {
    process.stdout.write(`${JSON.stringify({ credentials }, null, 2)}\n`);
  } else if (flags.b !== '') {
    const objects: string[] = [];
    for await (const item of clientOf(endpoint, credentials).listObjectsV2(flags.b, '', true)) {
      objects.push((item as { name: string }).name);
    }
    process.stdout.write(`${JSON.stringify({ bucket: flags.b, objects, credentials }, null, 2)}\n`);
  } else {
    process.stdout.write(`${await describe(endpoint, credentials)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
