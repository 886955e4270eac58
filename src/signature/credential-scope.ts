/** The Credential of a signature: access key and scope, split and checked against this endpoint. */
import { limits } from '../base/index.js';

export interface CredentialScope {
  readonly accessKey: string;
  /** `YYYYMMDD`, as sent. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
}

const scopeTerminator = 'aws4_request';
const dateText = /^\d{8}$/;
const regionText = /^[\x21-\x7e]+$/;

/** The access key may contain slashes itself: the last four parts are the scope. Null when there are fewer. */
export function splitCredential(credential: string): CredentialScope | null {
  const parts = credential.split('/');
  if (parts.length < 5) return null;
  const [date, region, service, terminator] = parts.slice(-4) as [string, string, string, string];
  return { accessKey: parts.slice(0, -4).join('/'), date, region, service, terminator };
}

/** What is wrong with a scope: the end of the error text, and elements of the answer. */
export interface ScopeProblem {
  readonly text: string;
  readonly detail: Readonly<Record<string, string>>;
}

/** Texts quote what the client sent, so they are kept short. */
export function quote(text: string): string {
  return text.length > 64 ? text.slice(0, 64) + '…' : text;
}

function isRegionRight(sent: string, expected: string): boolean {
  // `US` is the old name of us-east-1.
  return expected === '' || sent === expected || (sent === 'US' && expected === 'us-east-1');
}

/** Null when the scope is one of this endpoint: date well formed, region, service and terminator right. */
export function findScopeProblem(scope: CredentialScope, region: string, service: string): ScopeProblem | null {
  if (scope.accessKey === '') {
    return { text: 'a non-empty Access Key (AKID) must be provided in the credential.', detail: {} };
  }
  if (!dateText.test(scope.date)) {
    const format = 'This date in the credential must be in the format "yyyyMMdd".';
    return { text: `incorrect date format "${quote(scope.date)}". ${format}`, detail: {} };
  }
  if (!isRegionRight(scope.region, region)) {
    return {
      text: `the region '${quote(scope.region)}' is wrong; expecting '${region}'`,
      detail: { Region: region },
    };
  }
  // Administration clients sign for no region at all; only where any will do.
  if (scope.region.length > limits.regionCharsMax || !(scope.region === '' || regionText.test(scope.region))) {
    return { text: `the region '${quote(scope.region)}' is not a region.`, detail: {} };
  }
  if (scope.service !== service) {
    return {
      text: `incorrect service "${quote(scope.service)}". This endpoint belongs to "${service}".`,
      detail: {},
    };
  }
  if (scope.terminator !== scopeTerminator) {
    return {
      text: `incorrect terminal "${quote(scope.terminator)}". This endpoint uses "${scopeTerminator}".`,
      detail: {},
    };
  }
  return null;
}

export function scopeText(scope: CredentialScope): string {
  return `${scope.date}/${scope.region}/${scope.service}/${scope.terminator}`;
}
