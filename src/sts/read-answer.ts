/** What `answer.ts` writes, read back: for callers within this process, who ask as any client does. */
import type { ExchangeResponse } from '../exchange/index.js';

export type StsOutcome =
  | { readonly isGranted: true; readonly accessKey: string; readonly expiresMs: number }
  | { readonly isGranted: false; readonly status: number; readonly code: string; readonly message: string };

/** Requires: the answer is one of this room. */
export function readAnswer({ status, body }: ExchangeResponse): StsOutcome {
  const document = body.kind === 'bytes' ? Buffer.from(body.bytes).toString('utf8') : '';
  if (status === 200) {
    const expiresMs = Date.parse(textOf(document, 'Expiration'));
    return { isGranted: true, accessKey: textOf(document, 'AccessKeyId'), expiresMs };
  }
  return { isGranted: false, status, code: textOf(document, 'Code'), message: textOf(document, 'Message') };
}

/** Of an element without children that is there once. */
function textOf(document: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(document)?.[1] ?? '';
  return text.replace(/&(?:#x([0-9A-F]{1,6})|(amp|lt|gt|quot));/g, (whole, code?: string, word?: string) => {
    if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
    return { amp: '&', lt: '<', gt: '>', quot: '"' }[word ?? ''] ?? whole;
  });
}
