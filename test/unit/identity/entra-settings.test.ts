import { expect, test } from 'vitest';
import { entraEndpoints, isObjectId } from '../../../src/identity/index.js';
import { entraEndpointsOf } from '../../../src/wiring/providers/entra.js';

/** Where the sign-in service and Graph of a tenant are. */
const configUrl = (host: string) => `https://${host}/organizations/v2.0/.well-known/openid-configuration`;

test('each cloud has its own, and what is named goes before', () => {
  const worldwide = { loginUrl: 'https://login.microsoftonline.com', graphUrl: 'https://graph.microsoft.com' };
  expect(entraEndpoints(configUrl('login.microsoftonline.com'), {})).toEqual(worldwide);
  expect(entraEndpoints(configUrl('login.microsoftonline.us'), {})).toEqual({
    loginUrl: 'https://login.microsoftonline.us',
    graphUrl: 'https://graph.microsoft.us',
  });
  expect(entraEndpoints(configUrl('login.partner.microsoftonline.cn'), {})).toEqual({
    loginUrl: 'https://login.partner.microsoftonline.cn',
    graphUrl: 'https://microsoftgraph.chinacloudapi.cn',
  });
  // The client secret goes to no address that only a setting names.
  for (const url of [configUrl('login.microsoftonline.com.example'), 'http://login.microsoftonline.us/x', '']) {
    expect(entraEndpoints(url, {})).toEqual(worldwide);
  }
  const graphUrl = 'https://dod-graph.microsoft.us';
  expect(entraEndpoints(configUrl('login.microsoftonline.us'), { graphUrl })).toMatchObject({ graphUrl });
});

test('addresses in the environment are those of services, under TLS unless on this machine', () => {
  const settings = { _MINIO_AZURE_LOGIN_URL: 'https://one.example/', _MINIO_AZURE_GRAPH_URL: 'http://127.0.0.1:9' };
  const endpoints = { loginUrl: 'https://one.example', graphUrl: 'http://127.0.0.1:9' };
  expect(entraEndpointsOf({ settings })).toEqual(endpoints);
  const own = { ...settings, _GRANARY_AZURE_LOGIN_URL: 'https://two.example' };
  expect(entraEndpointsOf({ settings: own })).toEqual({ ...endpoints, loginUrl: 'https://two.example' });
  expect(entraEndpointsOf({})).toEqual({});
  for (const url of ['http://graph.example', 'https://a:b@graph.example', 'https://graph.example/v1', 'ftp://x', 'x']) {
    expect(() => entraEndpointsOf({ settings: { _MINIO_AZURE_GRAPH_URL: url } })).toThrow('_MINIO_AZURE_GRAPH_URL');
  }
});

test('object ids have one form', () => {
  expect(isObjectId('0D6A1C9E-95b1-4c5e-8b87-0a7c1b9a3d52')).toBe(true);
  for (const text of ['', 'Readers', '0d6a1c9e-95b1-4c5e-8b87-0a7c1b9a3d5', '{0d6a1c9e-95b1-4c5e-8b87-0a7c1b9a3d52}']) {
    expect(isObjectId(text)).toBe(false);
  }
});
