/**
 * Temporary credentials for a program: it gets an access token from an OpenID provider for itself (the
 * client-credentials flow), takes it to AssumeRoleWithClientGrants, and shows the credentials and the buckets that
 * they see. The access token must be a JWT that says which policies the program has.
 */
import * as openid from 'openid-client';
import { parseFlags } from '../common/flags.js';
import { assumeRole, describe } from '../common/sts.js';

const flags = parseFlags('client-grants', {
  'sts-ep': { meaning: 'STS endpoint', otherwise: 'http://localhost:9000' },
  'config-ep': {
    meaning: 'OpenID discovery document endpoint',
    otherwise: 'http://localhost:8080/auth/realms/demo/.well-known/openid-configuration',
  },
  'idp-ep': { meaning: 'Token endpoint, in place of the discovery document', otherwise: '' },
  cid: { meaning: 'Client ID', otherwise: '' },
  csec: { meaning: 'Client secret', otherwise: '' },
  cscopes: { meaning: 'Client scopes, separated by commas', otherwise: '' },
  resource: { meaning: 'The resource that the token is for, where the provider asks for one', otherwise: '' },
});

const secondsMin = 900;

async function configurationOf(): Promise<openid.Configuration> {
  const tokenEndpoint = flags['idp-ep'];
  const isPlain = (tokenEndpoint === '' ? flags['config-ep'] : tokenEndpoint).startsWith('http:');
  const authentication = openid.ClientSecretBasic(flags.csec);
  if (tokenEndpoint === '') {
    const execute = isPlain ? [openid.allowInsecureRequests] : [];
    return openid.discovery(new URL(flags['config-ep']), flags.cid, undefined, authentication, { execute });
  }
  const server = { issuer: new URL(tokenEndpoint).origin, token_endpoint: tokenEndpoint };
  const configuration = new openid.Configuration(server, flags.cid, undefined, authentication);
  if (isPlain) openid.allowInsecureRequests(configuration);
  return configuration;
}

try {
  const scope = flags.cscopes.split(/[\s,]+/).join(' ');
  const tokens = await openid.clientCredentialsGrant(await configurationOf(), {
    ...(scope !== '' && { scope }),
    ...(flags.resource !== '' && { resource: flags.resource }),
  });
  const credentials = await assumeRole(flags['sts-ep'], 'AssumeRoleWithClientGrants', {
    Token: tokens.access_token,
    DurationSeconds: String(Math.max(tokens.expires_in ?? 0, secondsMin)),
  });
  process.stdout.write(`${await describe(flags['sts-ep'], credentials)}\n`);
} catch (error) {
  process.stderr.write(`${reason(error)}\n`);
  process.exitCode = 1;
}

function reason(error: unknown): string {
  // With 401 a provider may say it in a header alone.
  if (error instanceof openid.WWWAuthenticateChallengeError) return 'invalid_client: see -cid and -csec';
  if (error instanceof openid.ResponseBodyError) return `${error.error} ${error.error_description ?? ''}`.trim();
  if (!(error instanceof Error)) return 'unknown cause';
  // Of a request that did not get through, the cause says why.
  const { code } = (error.cause ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? `${error.message} (${code})` : error.message;
}
