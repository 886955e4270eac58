import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { kernels } from '../../../src/native/index.js';
import { createFormVerifier } from '../../../src/signature/form.js';
import type { VerifyOptions } from '../../../src/signature/signature.js';
import { deriveKey, exampleCredential, hmac, optionsFor, refusalOf } from './support.js';

const verify = createFormVerifier(kernels);
const options = optionsFor(exampleCredential);

/** The example "Browser-Based Upload using HTTP POST" of the documentation of Amazon S3. */
const documented: Readonly<Record<string, string>> = {
  policy:
    'eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2N' +
    'GV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcm' +
    'VhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N' +
    '1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFt' +
    'ei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogI' +
    'CAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0' +
    'VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEE' +
    'yNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9',
  'x-amz-algorithm': 'AWS4-HMAC-SHA256',
  'x-amz-credential': 'AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request',
  'x-amz-date': '20151229T000000Z',
  'x-amz-signature': '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e',
};

const check = (fields: Readonly<Record<string, string>>, changes: Partial<VerifyOptions> = {}) =>
  verify((name) => fields[name], { ...options, ...changes });
const refused = (fields: Readonly<Record<string, string>>, changes: Partial<VerifyOptions> = {}) =>
  refusalOf(() => check(fields, changes));
const without = (fields: Readonly<Record<string, string>>, name: string) =>
  Object.fromEntries(Object.entries(fields).filter(([one]) => one !== name));

const signatureV2 = (policy: string, secretKey = exampleCredential.secretKey) =>
  createHmac('sha1', secretKey).update(policy).digest('base64');
const { accessKey } = exampleCredential;
const policy = 'any text: it is signed as it was sent';
const formV2 = { policy, awsaccesskeyid: accessKey, signature: signatureV2(policy) };

describe('a form', () => {
  it('without policy and signature is anonymous', () => {
    expect(check({ key: 'k' })).toEqual({ kind: 'anonymous', payload: { kind: 'unsigned' } });
  });

  it('with a policy needs a signature, and one alone', () => {
    expect(refused({ policy })).toMatchObject({ code: 'InvalidArgument', detail: { ArgumentName: 'signature' } });
    expect(refused({ ...documented, ...formV2 }).code).toBe('InvalidArgument');
  });
});

describe('SigV4', () => {
  it('verifies the documented example', () => {
    expect(check(documented)).toEqual({
      kind: 'form-v4',
      accessKey,
      region: 'us-east-1',
      signedAtMs: Date.UTC(2015, 11, 29),
      payload: { kind: 'unsigned' },
    });
  });

  it.each(Object.keys(documented))('needs %s', (name) => {
    for (const fields of [without(documented, name), { ...documented, [name]: '' }]) {
      expect(refused(fields)).toMatchObject({ code: 'InvalidArgument', detail: { ArgumentName: name } });
    }
  });

  it.each([
    ['policy', 'e30=', 'SignatureDoesNotMatch'],
    ['x-amz-signature', '0'.repeat(64), 'SignatureDoesNotMatch'],
    ['x-amz-signature', 'x', 'SignatureDoesNotMatch'],
    ['x-amz-algorithm', 'AWS4-ECDSA-P256-SHA256', 'InvalidArgument'],
    ['x-amz-credential', 'AKIAIOSFODNN7EXAMPLE', 'InvalidArgument'],
    ['x-amz-credential', 'NOBODY/20151229/us-east-1/s3/aws4_request', 'InvalidAccessKeyId'],
    ['x-amz-credential', `${accessKey}/20151229/us-east-1/sts/aws4_request`, 'AuthorizationQueryParametersError'],
    ['x-amz-credential', `${accessKey}/20151230/us-east-1/s3/aws4_request`, 'InvalidArgument'],
    ['x-amz-date', '20151230T000000Z', 'InvalidArgument'],
    ['x-amz-date', '20151229', 'InvalidArgument'],
    ['x-amz-security-token', 'token', 'InvalidTokenId'],
  ])('with %s %s is refused', (name, value, code) => {
    expect(refused({ ...documented, [name]: value }).code).toBe(code);
  });

  it('tells the region that is right', () => {
    expect(refused(documented, { region: 'eu-west-1' })).toMatchObject({
      code: 'AuthorizationQueryParametersError',
      detail: { Region: 'eu-west-1' },
    });
    expect(check(documented, { region: '' }).kind).toBe('form-v4');
  });

  it('never tells the right signature', () => {
    const signature = hmac(deriveKey(exampleCredential.secretKey, '20151229', 'us-east-1', 's3'), 'e30=').toString(
      'hex',
    );
    expect(check({ ...documented, policy: 'e30=', 'x-amz-signature': signature }).kind).toBe('form-v4');
    const refusal = refused({ ...documented, policy: 'e30=' });
    expect(inspect(refusal)).not.toContain(signature);
  });
});

describe('SigV2', () => {
  it('verifies', () => {
    expect(check(formV2)).toEqual({
      kind: 'form-v2',
      accessKey,
      region: '',
      signedAtMs: null,
      payload: { kind: 'unsigned' },
    });
  });

  it.each([
    ['policy', 'e30=', 'SignatureDoesNotMatch'],
    ['signature', signatureV2(policy, 'other'), 'SignatureDoesNotMatch'],
    ['signature', 'AAAA', 'SignatureDoesNotMatch'],
    ['awsaccesskeyid', 'NOBODY', 'InvalidAccessKeyId'],
    ['awsaccesskeyid', '', 'InvalidArgument'],
    ['x-amz-security-token', 'token', 'InvalidTokenId'],
  ])('with %s %s is refused', (name, value, code) => {
    expect(refused({ ...formV2, [name]: value }).code).toBe(code);
  });
});

describe('temporary credentials', () => {
  it('need their token', () => {
    const temporary = optionsFor({ ...exampleCredential, sessionToken: 'TOKEN' });
    for (const form of [documented, formV2]) {
      expect(refused(form, { lookup: temporary.lookup }).code).toBe('InvalidTokenId');
      const withToken = { ...form, 'x-amz-security-token': 'TOKEN' };
      expect(check(withToken, { lookup: temporary.lookup })).toMatchObject({ accessKey });
    }
  });
});
