/**
 * What browsers keep for the server: encrypted and authenticated under the deployment's data key, bound to its
 * purpose and to a time. Nothing is held in memory for those who only began to sign in, and any server of a
 * deployment can go on with it.
 */
import { z } from 'zod';
import type { Clock } from '../base/index.js';
import { SealError, type RecordSeal } from '../identity/index.js';

const envelope = z.strictObject({ expiresMs: z.number().int().nonnegative(), value: z.unknown() });

export class SealedValues<Value> {
  constructor(
    private readonly purpose: string,
    private readonly schema: z.ZodType<Value>,
    private readonly seal: RecordSeal,
    private readonly clock: Pick<Clock, 'nowMs'>,
  ) {}

  async write(value: Value, expiresMs: number): Promise<string> {
    // What is sealed before the data key is durable could not be opened after a crash.
    await this.seal.ready();
    const bytes = Buffer.from(JSON.stringify({ expiresMs, value }), 'utf8');
    return Buffer.from(this.seal.seal(this.purpose, bytes)).toString('base64url');
  }

  /** Null: not ours, changed, made for another purpose, or over. */
  read(text: string): { readonly value: Value; readonly expiresMs: number } | null {
    let opened: Buffer;
    try {
      opened = this.seal.open(this.purpose, Buffer.from(text, 'base64url'));
    } catch (error) {
      if (error instanceof SealError) return null;
      throw error;
    }
    const outer = envelope.safeParse(JSON.parse(opened.toString('utf8')));
    if (!outer.success || outer.data.expiresMs <= this.clock.nowMs()) return null;
    const inner = this.schema.safeParse(outer.data.value);
    return inner.success ? { value: inner.data, expiresMs: outer.data.expiresMs } : null;
  }
}
