/**
 * The signature of a browser's form upload: over the policy in the form, not over the request. SigV4 and SigV2.
 * What the policy says is checked where the form is read.
 */
import { Refusal } from '../base/index.js';
import type { Kernels } from '../native/index.js';
import { parseAmzDate } from './amz-date.js';
import { checkSessionToken, findCredential, mismatch, nonEmpty } from './checks.js';
import { findScopeProblem, scopeText, splitCredential } from './credential-scope.js';
import type { Authentication, VerifyForm, VerifyOptions } from './signature.js';
import { isSignatureV2 } from './v2.js';

export type FormKernels = Pick<Kernels, 'createSigningKey' | 'sign' | 'hmacSha1' | 'constantTimeEqual'>;

type Field = Parameters<VerifyForm>[0];

const algorithm = 'AWS4-HMAC-SHA256';
const namesV4 = ['x-amz-signature', 'x-amz-algorithm', 'x-amz-credential', 'x-amz-date', 'policy'] as const;
const namesV2 = ['signature', 'awsaccesskeyid', 'policy'] as const;

export function createFormVerifier(kernels: FormKernels): VerifyForm {
  return (field, options) => {
    const isV4 = ['x-amz-signature', 'x-amz-credential', 'x-amz-algorithm'].some((name) => field(name) !== undefined);
    const isV2 = ['signature', 'awsaccesskeyid'].some((name) => field(name) !== undefined);
    if (isV4 && isV2)
      throw invalidField('x-amz-signature', 'A form has one signature: of AWS4-HMAC-SHA256, or of SigV2.');
    if (isV4) return verifyV4(kernels, field, options);
    // A policy without any signature must not pass for a form without a policy.
    if (isV2 || field('policy') !== undefined) return verifyV2(kernels, field, options);
    return { kind: 'anonymous', payload: { kind: 'unsigned' } };
  };
}

function verifyV4(kernels: FormKernels, field: Field, options: VerifyOptions): Authentication {
  const values = requireFields(field, namesV4);
  if (values['x-amz-algorithm'] !== algorithm) {
    throw invalidField('x-amz-algorithm', `X-Amz-Algorithm only supports "${algorithm}"`);
  }
  const scope = splitCredential(values['x-amz-credential']);
  if (scope === null) {
    const shape = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"';
    throw invalidField('x-amz-credential', `the Credential is mal-formed; expecting ${shape}.`);
  }
  const problem = findScopeProblem(scope, options.region, options.service);
  if (problem !== null) {
    throw new Refusal(
      'AuthorizationQueryParametersError',
      `Error parsing the X-Amz-Credential parameter; ${problem.text}`,
      problem.detail,
    );
  }
  const date = parseAmzDate(values['x-amz-date']);
  if (date === null || !date.amzDate.startsWith(scope.date)) {
    throw invalidField(
      'x-amz-date',
      'X-Amz-Date must be formatted via ISO8601 Long format, on the day of the Credential',
    );
  }
  const credential = findCredential(scope.accessKey, options);
  const key = kernels.createSigningKey(credential.secretKey, scope.date, scope.region, scope.service);
  if (!kernels.constantTimeEqual(kernels.sign(key, values.policy), values['x-amz-signature'])) {
    throw mismatch({ AWSAccessKeyId: credential.accessKey, CredentialScope: scopeText(scope) });
  }
  checkSessionToken(kernels, nonEmpty(field('x-amz-security-token')), credential);
  const { accessKey } = credential;
  return { kind: 'form-v4', accessKey, region: scope.region, signedAtMs: date.ms, payload: { kind: 'unsigned' } };
}

function verifyV2(kernels: FormKernels, field: Field, options: VerifyOptions): Authentication {
  const values = requireFields(field, namesV2);
  const credential = findCredential(values.awsaccesskeyid, options);
  if (!isSignatureV2(kernels, credential.secretKey, values.policy, values.signature)) {
    throw mismatch({ AWSAccessKeyId: credential.accessKey });
  }
  checkSessionToken(kernels, nonEmpty(field('x-amz-security-token')), credential);
  const { accessKey } = credential;
  return { kind: 'form-v2', accessKey, region: '', signedAtMs: null, payload: { kind: 'unsigned' } };
}

function requireFields<Name extends string>(field: Field, names: readonly Name[]): Record<Name, string> {
  const values = {} as Record<Name, string>;
  for (const name of names) {
    const value = field(name);
    if (value === undefined || value === '') {
      throw invalidField(
        name,
        `Bucket POST must contain a field named '${name}'. If it is specified, please check the order of the fields.`,
      );
    }
    values[name] = value;
  }
  return values;
}

function invalidField(name: string, text: string): Refusal<'InvalidArgument'> {
  return new Refusal('InvalidArgument', text, { ArgumentName: name });
}
