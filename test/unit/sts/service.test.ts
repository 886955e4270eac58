import { beforeAll, describe, expect, it } from 'vitest';
import { createStsHandler, type StsHandler } from '../../../src/wiring/sts-handler.js';
import { rootOnly } from '../../../src/dispatch/index.js';
import { silentLogger } from '../../../src/telemetry/index.js';
import { exchangeRequest, type RequestShape } from '../../support/exchange.js';
import { iamWorld } from '../../support/memory-iam.js';

const form = { 'content-type': 'application/x-www-form-urlencoded' };

describe('what belongs to the service', () => {
  let handler: StsHandler;
  beforeAll(async () => {
    const { iam } = await iamWorld();
    handler = createStsHandler({
      iam,
      providers: { openid: null, ldap: null, plugin: null, certificate: null },
      credentials: iam.credentials,
      fixedSeconds: null,
      domains: ['s3.test'],
      hostId: 'host',
      isAllowed: rootOnly,
      observer: { observe: () => undefined },
      log: silentLogger,
    });
  });

  it.each<[string, RequestShape, boolean]>([
    ['a form at the root', { method: 'POST', target: '/', headers: form }, true],
    [
      'with a character set',
      { method: 'POST', target: '/', headers: { 'content-type': `${form['content-type']}; charset=utf-8` } },
      true,
    ],
    ['an action in the query', { method: 'POST', target: '/?Version=2011-06-15&Action=AssumeRole' }, true],
    ['no form and no action', { method: 'POST', target: '/' }, false],
    [
      'an upload at the root',
      { method: 'POST', target: '/', headers: { 'content-type': 'multipart/form-data; boundary=x' } },
      false,
    ],
    ['a form at a bucket', { method: 'POST', target: '/bucket', headers: form }, false],
    ['a form at an object', { method: 'POST', target: '/bucket/key?uploads', headers: form }, false],
    ['an action at a bucket', { method: 'POST', target: '/bucket?Action=AssumeRole' }, false],
    ['another method', { method: 'PUT', target: '/', headers: form }, false],
    ['a list of buckets', { method: 'GET', target: '/?Action=AssumeRole' }, false],
    [
      'a bucket in the host',
      { method: 'POST', target: '/?delete', headers: { ...form, host: 'bucket.s3.test:9000' } },
      false,
    ],
    ['the host without a bucket', { method: 'POST', target: '/', headers: { ...form, host: 's3.test:9000' } }, true],
  ])('%s', (_, shape, expected) => {
    expect(handler.isFor(exchangeRequest(shape))).toBe(expected);
  });
});
