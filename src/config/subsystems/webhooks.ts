/** `logger_webhook` and `audit_webhook`: where log lines and audit entries are sent. */
import { limits } from '../../base/index.js';
import { readSmallFile } from '../environment-file.js';
import { durationKey, numberKey, parsedKey } from '../setting-key.js';
import { defineSubsystem, type Values } from '../subsystem.js';

export interface WebhookSettings {
  readonly target: string;
  readonly endpoint: string;
  /** Sent as it is in the Authorization header; empty: none. */
  readonly authToken: string;
  /** Contents of the PEM files, both or none. */
  readonly clientCert: string;
  readonly clientKey: string;
  readonly batchSize: number;
  readonly queueSize: number;
  /** Attempts after the first; 0: until it is taken. */
  readonly retriesMax: number;
  readonly retryIntervalMs: number;
  readonly timeoutMs: number;
}

function parseEndpoint(text: string): string | undefined {
  if (text === '') return text;
  if (text.length > 2048 || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  // Credentials in it would be shown by `get`: they belong into auth_token.
  const isPlain = url.username === '' && url.password === '';
  return isPlain && (url.protocol === 'http:' || url.protocol === 'https:') ? url.href : undefined;
}

/** Read with the setting: a file that is not there is told to whoever sets it. */
const pemFile = {
  parse: (path: string): string | undefined => {
    if (path === '') return '';
    try {
      const text = readSmallFile(path, 'the file');
      return text !== null && text.includes('-----BEGIN') ? text : undefined;
    } catch {
      // Not to be read by this user, or a folder: like one that is not there.
      return undefined;
    }
  },
  expects: 'a PEM file that the server can read',
};

const keys = {
  endpoint: parsedKey('url', 'HTTP(s) endpoint e.g. "http://localhost:8080/minio/logs/server"', {
    parse: parseEndpoint,
    expects: 'an http:// or https:// URL without a user name',
    isRequired: true,
  }),
  auth_token: parsedKey('string', 'opaque string or JWT authorization token', {
    parse: (text) => (text.length <= 8192 && /^[\x20-\x7e]*$/.test(text) ? text : undefined),
    expects: 'a header value of at most 8192 characters',
    isSecret: true,
  }),
  client_cert: parsedKey('path', 'mTLS certificate for webhook authentication', pemFile),
  client_key: parsedKey('path', 'mTLS certificate key for webhook authentication', pemFile),
  batch_size: numberKey('number of events per HTTP send to webhook target', {
    initial: 1,
    min: 1,
    max: limits.webhook.batchMax,
  }),
  queue_size: numberKey('configure channel queue size for webhook targets', {
    initial: 100_000,
    min: 1,
    max: limits.webhook.queueMax,
  }),
  max_retry: numberKey('maximum retry count before we start dropping logged event(s), 0 for no limit', {
    initial: 0,
    min: 0,
    max: 1_000_000,
  }),
  retry_interval: durationKey('sleep between each retries', { initial: '3s', minMs: 100, maxMs: 60_000 }),
  http_timeout: durationKey('defines the maximum duration for each http request', {
    initial: '5s',
    minMs: 100,
    maxMs: 300_000,
  }),
};

function subsystem(name: string, description: string) {
  return defineSubsystem({
    name,
    description,
    hasTargets: true,
    takesEffect: 'at once',
    keys,
    absentKeys: ['proxy', 'queue_dir'],
    check: ({ client_cert, client_key, batch_size, queue_size }: Values<typeof keys>) => {
      if ((client_cert === '') !== (client_key === ''))
        return 'client_cert and client_key are set together, or neither';
      return batch_size > queue_size ? 'batch_size exceeds queue_size' : null;
    },
    read: (values: Values<typeof keys>, _facts, target): WebhookSettings => ({
      target,
      endpoint: values.endpoint,
      authToken: values.auth_token,
      clientCert: values.client_cert,
      clientKey: values.client_key,
      batchSize: values.batch_size,
      queueSize: values.queue_size,
      retriesMax: values.max_retry,
      retryIntervalMs: values.retry_interval,
      timeoutMs: values.http_timeout,
    }),
  });
}

export const loggerWebhookSubsystem = subsystem('logger_webhook', 'send server logs to webhook endpoints');
export const auditWebhookSubsystem = subsystem('audit_webhook', 'send audit logs to webhook endpoints');
