/**
 * Temporary credentials over the security token service: asks for them with the keys of a user, lists the buckets
 * with what it got, and prints both.
 *
 * GRANARY_ENDPOINT, GRANARY_ACCESS_KEY and GRANARY_SECRET_KEY say where and for whom.
 */
import { Client } from 'minio';
import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs';

const endpoint = new URL(process.env['GRANARY_ENDPOINT'] ?? 'http://127.0.0.1:9000');
const accessKey = process.env['GRANARY_ACCESS_KEY'] ?? 'minioadmin';
const secretKey = process.env['GRANARY_SECRET_KEY'] ?? 'minioadmin';

/** What the credentials are held down to: they may read, whatever else the user may do. */
const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: ['s3:ListAllMyBuckets', 's3:ListBucket', 's3:GetObject'],
      Resource: ['arn:aws:s3:::*'],
    },
  ],
});

const provider = new AssumeRoleProvider({
  stsEndpoint: endpoint.origin,
  accessKey,
  secretKey,
  durationSeconds: 900,
  policy,
});
const credentials = await provider.getCredentials();
const keys = {
  accessKey: credentials.getAccessKey(),
  secretKey: credentials.getSecretKey(),
  sessionToken: credentials.getSessionToken() ?? '',
};

const client = new Client({
  endPoint: endpoint.hostname,
  port: Number(endpoint.port || (endpoint.protocol === 'https:' ? 443 : 80)),
  useSSL: endpoint.protocol === 'https:',
  region: 'us-east-1',
  ...keys,
});
const buckets = await client.listBuckets();

const shown = { credentials: keys, buckets: buckets.map(({ name }) => name) };
process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
