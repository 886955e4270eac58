import { describe, expect, test } from 'vitest';
import { openIdSubsystem, ServerSettings, Settings } from '../../../src/config/index.js';

/** Settings of Microsoft Entra ID: what goes together, and what becomes of those of before. */
const tenant = '0d6a1c9e-95b1-4c5e-8b87-0a7c1b9a3d52';
const other = '9f0a7b7e-4f3e-4a3f-9a7b-6d1f0f6f0c11';
const urlOf = (id: string) => `https://login.microsoftonline.com/${id}/v2.0/.well-known/openid-configuration`;
const base = { config_url: urlOf(tenant), client_id: 'app', client_secret: 'hush', azure_tenant_id: tenant };

function open(environment: Record<string, string> = {}) {
  return ServerSettings.open({
    schema: [openIdSubsystem],
    environment,
    records: { load: () => Promise.resolve(), write: () => Promise.resolve() },
    facts: { sets: [{ driveCount: 1, parityShards: 0 }] },
    clock: { nowMs: () => 0 },
    newId: () => 'id',
    log: () => undefined,
  });
}
const inEnvironment = (values: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`MINIO_IDENTITY_OPENID_${key.toUpperCase()}`, value]),
  );
const read = async (values: Record<string, string>) =>
  (await open(inEnvironment({ ...base, ...values }))).targets(openIdSubsystem).get('_');
const set = async (values: Record<string, string>) => {
  const all = Object.entries({ ...base, ...values }).map(([key, value]) => `${key}=${value}`);
  return (await open()).set(`identity_openid ${all.join(' ')}`);
};

describe('a tenant of Entra ID', () => {
  test('is read, in any case of letters; groups take the place of the claim unless that is named', async () => {
    const tenantId = { azureTenantId: tenant, isAzureOutdated: false };
    expect(await read({})).toMatchObject({ ...tenantId, claimName: 'azure_groups' });
    expect(await read({ azure_tenant_id: tenant.toUpperCase() })).toMatchObject(tenantId);
    expect(await read({ claim_name: 'roles' })).toMatchObject({ ...tenantId, claimName: 'roles' });
    expect(await read({ azure_tenant_id: '' })).toMatchObject({ azureTenantId: '', claimName: 'policy' });
    expect(await read({ config_url: urlOf('organizations') })).toMatchObject(tenantId);
  });

  test.each([
    [{ azure_tenant_id: 'contoso.onmicrosoft.com' }, 'not a tenant id'],
    [{ client_secret: '' }, 'needs client_secret'],
    [{ role_policy: 'readonly' }, 'azure_tenant_id and role_policy exclude each other'],
    [{ vendor: 'keycloak', keycloak_admin_url: 'https://k' }, 'azure_tenant_id and vendor exclude each other'],
    [{ config_url: urlOf(other) }, 'another tenant'],
  ])('does not take %j', async (values, text) => {
    await expect(set(values)).rejects.toThrow(text);
  });

  test('set up as before is read as outdated, and can be mended', async () => {
    expect(await read({ azure_tenant_id: '', azure_use_group_id: 'on' })).toMatchObject({ isAzureOutdated: true });
    expect(await read({ azure_use_group_id: 'on' })).toMatchObject({ isAzureOutdated: true });
    expect(await read({ azure_use_group_id: 'off' })).toMatchObject({ isAzureOutdated: false });
    const settings = await open();
    await settings.set('identity_openid config_url=https://op client_id=app azure_use_group_id=on');
    await settings.set(
      `identity_openid config_url=${urlOf(tenant)} client_secret=x azure_tenant_id=${tenant} azure_use_group_id=`,
    );
  });
});

test('where Entra ID and Graph are elsewhere is passed on from the environment, without a warning', () => {
  const names = { _MINIO_AZURE_LOGIN_URL: 'https://login.example', _GRANARY_AZURE_GRAPH_URL: 'https://graph.example' };
  const settings = new Settings({ ...names, MINIO_IDENTITY_OPENID_AZURE_TENANT_ID: tenant }, []);
  expect(settings.subsystemValues()).toMatchObject(names);
  expect(settings.warnings).toEqual([]);
});
