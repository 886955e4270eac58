/** Answers of this protocol: credentials, and refusals. */
import type { Refusal } from '../base/index.js';
import type { ExchangeRequest, ExchangeResponse } from '../exchange/index.js';
import type { CreatedCredentials } from '../identity/index.js';
import { describeRefusal } from './errors.js';
import { stsDocument, type XmlElement } from './xml.js';

const xmlType = ['Content-Type', 'application/xml'] as const;
/** The document holds a secret. */
const notToBeKept = ['Cache-Control', 'no-store'] as const;
const retryAfterSeconds = '60';

export interface CredentialsAnswer {
  /** `AssumeRole`: the names of the elements around begin with it. */
  readonly action: string;
  readonly request: Pick<ExchangeRequest, 'id'>;
  readonly credentials: CreatedCredentials;
  /** Elements in front of the credentials and behind them, as the action has them. */
  readonly before?: readonly XmlElement[];
  readonly after?: readonly XmlElement[];
}

/** Clients of this API expect the element, and nothing in it. */
export const assumedRoleUser: XmlElement = [
  'AssumedRoleUser',
  [
    ['Arn', ''],
    ['AssumeRoleId', ''],
  ],
];

export function credentialsAnswer(answer: CredentialsAnswer): ExchangeResponse {
  const { action, request, credentials, before = [], after = [] } = answer;
  const { accessKey, secretKey, sessionToken, expiresMs } = credentials;
  const bytes = stsDocument(`${action}Response`, [
    [
      `${action}Result`,
      [
        ...before,
        [
          'Credentials',
          [
            ['AccessKeyId', accessKey],
            ['SecretAccessKey', secretKey],
            ['SessionToken', sessionToken],
            ['Expiration', timeText(expiresMs ?? 0)],
          ],
        ],
        ...after,
      ],
    ],
    ['ResponseMetadata', [['RequestId', request.id]]],
  ]);
  return { status: 200, headers: [xmlType, notToBeKept], body: { kind: 'bytes', bytes } };
}

/** `2026-11-24T02:40:00Z`; credentials end at a full second. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '');
}

export function refusalAnswer(refusal: Refusal, { id }: Pick<ExchangeRequest, 'id'>): ExchangeResponse {
  const { code, status, message } = describeRefusal(refusal);
  const bytes = stsDocument('ErrorResponse', [
    [
      'Error',
      [
        ['Type', ''],
        ['Code', code],
        ['Message', message],
      ],
    ],
    ['RequestId', id],
  ]);
  const headers: (readonly [string, string])[] = [xmlType];
  if (status === 503) headers.push(['Retry-After', retryAfterSeconds]);
  return { status, headers, body: { kind: 'bytes', bytes } };
}
