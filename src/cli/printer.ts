/**
 * How the command speaks: banner and help on standard output; warnings and errors on standard error;
 * with --json every line is one object.
 */
import { StartupError } from '../base/index.js';
import type { Environment } from '../config/index.js';
import { paintFor, printable, type Output, type Paint } from './terminal.js';

export class Printer {
  readonly #out: Output;
  readonly #err: Output;
  readonly #isJson: boolean;
  readonly #errPaint: Paint;
  /** For text on standard output. */
  readonly paint: Paint;

  constructor(streams: { readonly out: Output; readonly err: Output }, environment: Environment, isJson: boolean) {
    this.#out = streams.out;
    this.#err = streams.err;
    this.#isJson = isJson;
    this.paint = paintFor(streams.out, environment);
    this.#errPaint = paintFor(streams.err, environment);
  }

  /** Text for people, or the record that says the same. */
  show(text: string, record: Readonly<Record<string, unknown>>): void {
    this.#out.write(this.#isJson ? line('info', record) : text);
  }

  note(message: string, record: Readonly<Record<string, unknown>>): void {
    this.#err.write(this.#isJson ? line('info', { ...record, message }) : `${printable(message)}\n`);
  }

  warn(message: string): void {
    this.#err.write(
      this.#isJson ? line('warn', { message }) : `${this.#errPaint.yellow('WARNING:')} ${printable(message)}\n`,
    );
  }

  /** One line of cause, one of remedy. */
  fail(error: unknown, isDebug: boolean): void {
    const { cause, remedy } = explain(error);
    const stack = isDebug && error instanceof Error ? fullStack(error) : null;
    if (this.#isJson) {
      this.#err.write(line('error', { event: 'failed', message: cause, remedy, ...(stack === null ? {} : { stack }) }));
      return;
    }
    this.#err.write(`${this.#errPaint.red('ERROR:')} ${printable(cause)}\n       ${printable(remedy)}\n`);
    if (stack !== null) this.#err.write(`${stack}\n`);
  }
}

function line(level: string, record: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ level, time: new Date().toISOString(), ...record })}\n`;
}

function explain(error: unknown): { readonly cause: string; readonly remedy: string } {
  if (error instanceof StartupError) return { cause: error.message, remedy: sentence(error.remedy) };
  const text = error instanceof Error ? error.message : String(error);
  return {
    cause: `the server could not start: ${text.split('\n', 1)[0] as string}`,
    remedy: 'This is a fault of the program. Run it again with --debug and report what it prints.',
  };
}

/** Remedies are written in many places; a reader sees one style. */
function sentence(text: string): string {
  const start = text.startsWith('granary ') ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[a-z0-9)"]$/.test(start) && !/[/=:]\S*$/.test(start) ? `${start}.` : start;
}

function fullStack(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\nCaused by: ${fullStack(error.cause)}` : own;
}
