import { describe, expect, test } from 'vitest';
import {
  identityPluginSubsystem,
  identityTlsSubsystem,
  policyOpaSubsystem,
  policyPluginSubsystem,
  ServerSettings,
} from '../../../src/config/index.js';

/** Settings of plugins and of client certificates, as operators write them. */
const url = 'https://external-auth.example.net:8080/auth';

async function open(environment: Record<string, string> = {}, stored = '') {
  const records = new Map<string, Uint8Array>();
  const options = {
    schema: [identityTlsSubsystem, identityPluginSubsystem, policyPluginSubsystem, policyOpaSubsystem],
    environment,
    records: {
      load: async (visit: (name: string, value: Uint8Array) => void) =>
        records.forEach((value, name) => visit(name, value)),
      write: async (changes: readonly { name: string; value: Uint8Array | null }[]) => {
        for (const { name, value } of changes) if (value !== null) records.set(name, value);
      },
    },
    facts: { sets: [{ driveCount: 1, parityShards: 0 }] },
    clock: { nowMs: () => 0 },
    newId: () => 'id',
    log: () => undefined,
  };
  if (stored !== '') await (await ServerSettings.open({ ...options, environment: {} })).set(stored);
  return ServerSettings.open(options);
}

describe('identity_plugin', () => {
  const expected = {
    url,
    authToken: 'Bearer TOKEN',
    rolePolicies: ['consoleAdmin'],
    roleId: 'external-auth-provider',
  };

  test('is read from the environment', async () => {
    const settings = await open({
      MINIO_IDENTITY_PLUGIN_URL: url,
      MINIO_IDENTITY_PLUGIN_ROLE_POLICY: 'consoleAdmin',
      MINIO_IDENTITY_PLUGIN_TOKEN: 'Bearer TOKEN',
      MINIO_IDENTITY_PLUGIN_ROLE_ID: 'external-auth-provider',
      MINIO_IDENTITY_PLUGIN_COMMENT: 'External Identity Management using PROVIDER',
    });
    expect(settings.read(identityPluginSubsystem)).toEqual(expected);
  });

  test('is stored as clients send it: without quotes, values to the next key that is known', async () => {
    const settings = await open(
      {},
      `identity_plugin url=${url} role_policy=consoleAdmin token=Bearer TOKEN ` +
        'role_id=external-auth-provider comment=External Identity Management using PROVIDER',
    );
    expect(settings.read(identityPluginSubsystem)).toEqual(expected);
    const shown = settings.get('identity_plugin');
    expect(shown).toContain('comment="External Identity Management using PROVIDER"');
    expect(shown).not.toContain('TOKEN');
    expect(settings.export()).toContain('token="Bearer TOKEN"');
  });

  test('has two names for its token, which must not differ, wherever they are set', async () => {
    const both = { MINIO_IDENTITY_PLUGIN_URL: url, MINIO_IDENTITY_PLUGIN_ROLE_POLICY: 'readonly' };
    const authToken = async (more: Record<string, string>) =>
      (await open({ ...both, ...more })).read(identityPluginSubsystem).authToken;
    expect(await authToken({ MINIO_IDENTITY_PLUGIN_AUTH_TOKEN: 'a' })).toBe('a');
    expect(await authToken({ MINIO_IDENTITY_PLUGIN_TOKEN: 'b' })).toBe('b');
    expect(await authToken({ MINIO_IDENTITY_PLUGIN_TOKEN: 'a', MINIO_IDENTITY_PLUGIN_AUTH_TOKEN: 'a' })).toBe('a');
    await expect(
      authToken({ MINIO_IDENTITY_PLUGIN_TOKEN: 'a', MINIO_IDENTITY_PLUGIN_AUTH_TOKEN: 'b' }),
    ).rejects.toThrow(/auth_token and token are two names of one setting/);
    const settings = await open({}, `identity_plugin url=${url} role_policy=readonly token=a`);
    await expect(settings.set('identity_plugin auth_token=b')).rejects.toThrow(/two names of one setting/);
    await settings.set('identity_plugin auth_token=b token=');
    expect(settings.export()).toContain('auth_token=b');
  });

  test.each([
    ['a URL of another kind', 'url=ftp://a/b role_policy=x'],
    ['a URL with a user', 'url=http://me:secret@a/b role_policy=x'],
    ['no URL at all', 'url=auth role_policy=x'],
    ['no policy', `url=${url}`],
    ['commas for a policy', `url=${url} role_policy=,,`],
    ['a policy and nobody to have it', 'role_policy=readonly'],
    ['a role that no ARN could name', `url=${url} role_policy=x role_id=a/b`],
    ['a token that no header could carry', `url=${url} role_policy=x token=a\u00e9`],
  ])('refuses %s', async (_name, values) => {
    const settings = await open();
    const before = settings.export();
    await expect(settings.set(`identity_plugin ${values}`)).rejects.toThrow(/identity_plugin/);
    expect(settings.export()).toBe(before);
  });

  test('can be off without being forgotten', async () => {
    const settings = await open(
      { MINIO_IDENTITY_PLUGIN_ENABLE: 'off' },
      `identity_plugin url=${url} role_policy=readonly`,
    );
    expect(settings.read(identityPluginSubsystem).url).toBe('');
  });
});

describe('policy_plugin', () => {
  test('goes by two names; the way back in stands in the environment', async () => {
    const older = await open({ MINIO_POLICY_OPA_URL: url, MINIO_POLICY_OPA_AUTH_TOKEN: 'Bearer x' });
    expect(older.read(policyOpaSubsystem)).toEqual({ url, authToken: 'Bearer x' });
    const newer = await open({ MINIO_POLICY_PLUGIN_URL: url, MINIO_POLICY_PLUGIN_AUTH_TOKEN: 'Bearer x' });
    expect(newer.read(policyPluginSubsystem)).toEqual({ url, authToken: 'Bearer x' });
    const stored = `policy_plugin url=${url}`;
    expect((await open({}, stored)).read(policyPluginSubsystem).url).toBe(url);
    expect((await open({ MINIO_POLICY_PLUGIN_ENABLE: 'off' }, stored)).read(policyPluginSubsystem).url).toBe('');
  });

  test('does not promise HTTP/2', async () => {
    expect((await open({ MINIO_POLICY_PLUGIN_ENABLE_HTTP2: 'off' })).read(policyPluginSubsystem).url).toBe('');
    await expect(open({ MINIO_POLICY_PLUGIN_ENABLE_HTTP2: 'on' })).rejects.toThrow(/HTTP\/1\.1/);
  });
});

test('identity_tls is off until it is turned on', async () => {
  expect((await open()).read(identityTlsSubsystem)).toEqual({ isEnabled: false, skipsVerification: false });
  const on = await open({ MINIO_IDENTITY_TLS_ENABLE: 'on', MINIO_IDENTITY_TLS_SKIP_VERIFY: 'on' });
  expect(on.read(identityTlsSubsystem)).toEqual({ isEnabled: true, skipsVerification: true });
});
