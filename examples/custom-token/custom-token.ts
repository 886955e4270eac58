/**
 * Temporary credentials for a token that only an identity plugin understands: takes the token to
 * AssumeRoleWithCustomToken, and shows the credentials and the buckets that they see. With `plugin` as its first
 * word it is such a plugin itself, to try this with.
 */
import { parseFlags } from '../common/flags.js';
import { assumeRole, describe } from '../common/sts.js';
import { runPlugin } from './plugin.js';

async function assume(): Promise<void> {
  const flags = parseFlags('custom-token', {
    'sts-ep': { meaning: 'STS endpoint', otherwise: 'http://localhost:9000' },
    token: { meaning: 'Token that the identity plugin knows', otherwise: '' },
    'role-arn': { meaning: 'Role of the plugin; there is only one to be meant', otherwise: '' },
    duration: { meaning: 'Seconds that the credentials last, 900 at least', otherwise: '' },
  });
  const { token, duration } = flags;
  const roleArn = flags['role-arn'];
  const credentials = await assumeRole(flags['sts-ep'], 'AssumeRoleWithCustomToken', {
    Token: token,
    ...(roleArn !== '' && { RoleArn: roleArn }),
    ...(duration !== '' && { DurationSeconds: duration }),
  });
  process.stdout.write(`${await describe(flags['sts-ep'], credentials)}\n`);
}

try {
  if (process.argv[2] === 'plugin') await runPlugin(process.argv.slice(3));
  else await assume();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
