import type { ExchangeResponse } from '../exchange/index.js';

/** What the front itself has to say; everything else comes from the protocols. */
export type FrontRefusal =
  'InternalError' | 'SlowDown' | 'RequestHeaderSectionTooLarge' | 'InvalidContentLength' | 'UnsupportedTransferCoding';

const refusals: Record<FrontRefusal, { status: number; code: string; message: string }> = {
  InternalError: {
    status: 500,
    code: 'InternalError',
    message: 'We encountered an internal error. Please try again.',
  },
  SlowDown: { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' },
  RequestHeaderSectionTooLarge: {
    status: 431,
    code: 'RequestHeaderSectionTooLarge',
    message: 'Your request URL and headers together exceed the maximum allowed size.',
  },
  InvalidContentLength: {
    status: 400,
    code: 'InvalidRequest',
    message: 'The length of the request body is not stated in a way that can be relied on.',
  },
  UnsupportedTransferCoding: {
    status: 501,
    code: 'NotImplemented',
    message: 'A header you provided implies functionality that is not implemented: Transfer-Encoding.',
  },
};

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** S3 error XML. The path is the client's own text: escaped, and cut where it is of no more use. */
export function refusalAnswer(refusal: FrontRefusal, requestId: string, rawPath: string): ExchangeResponse {
  const { status, code, message } = refusals[refusal];
  const resource = rawPath
    .slice(0, 1024)
    .replace(/[\u0000-\u001f\ufffe\uffff]/g, '')
    .replace(/[&<>"']/g, (found) => escapes[found]!);
  return {
    status,
    headers: [
      ['Content-Type', 'application/xml'],
      ['x-amz-request-id', requestId],
    ],
    body: {
      kind: 'bytes',
      bytes:
        `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>` +
        `<Resource>${resource}</Resource><RequestId>${requestId}</RequestId></Error>`,
    },
    close: status !== 500,
  };
}
