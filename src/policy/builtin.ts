/** The policies that are there without having been made. */
import { parsePolicy } from './parse.js';
import type { Policy } from './policy.js';

interface Grant {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: readonly string[];
  readonly Resource?: readonly string[];
}

const everyResource = ['arn:aws:s3:::*'];

const documents: Readonly<Record<string, readonly Grant[]>> = {
  readwrite: [{ Effect: 'Allow', Action: ['s3:*'], Resource: everyResource }],
  readonly: [
    { Effect: 'Allow', Action: ['s3:GetBucketLocation', 's3:GetObject'], Resource: everyResource },
    { Effect: 'Deny', Action: ['admin:CreateUser'] },
  ],
  writeonly: [{ Effect: 'Allow', Action: ['s3:PutObject'], Resource: everyResource }],
  diagnostics: [
    {
      Effect: 'Allow',
      Action: [
        'admin:Profiling',
        'admin:ServerTrace',
        'admin:ConsoleLog',
        'admin:ServerInfo',
        'admin:TopLocksInfo',
        'admin:OBDInfo',
        'admin:BandwidthMonitor',
        'admin:Prometheus',
      ],
      Resource: everyResource,
    },
  ],
  consoleAdmin: [
    { Effect: 'Allow', Action: ['admin:*'] },
    { Effect: 'Allow', Action: ['kms:*'] },
    { Effect: 'Allow', Action: ['s3:*'], Resource: everyResource },
  ],
};

export const builtInPolicyNames: readonly string[] = Object.keys(documents);

/** Parsed anew at each call: keep them. */
export function buildBuiltInPolicies(): ReadonlyMap<string, Policy> {
  return new Map(
    Object.entries(documents).map(([name, statements]) => {
      const text = JSON.stringify({ Version: '2012-10-17', Statement: statements });
      return [name, parsePolicy(text, 'identity')];
    }),
  );
}
