/**
 * Log lines: one JSON object per line, or one line for people. Secrets are removed by field name here,
 * so that no caller has to remember it. Used on the main thread; writes are synchronous, which is
 * affordable because request lines are off unless asked for.
 */
import { pino, stdSerializers, type DestinationStream, type Logger as PinoLogger } from 'pino';

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/** What a room needs of a log. `error` belongs in the field `err`; it is written with its causes. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** True when lines of this level are written: for work that only a log line needs. */
  isEnabled(level: Exclude<LogLevel, 'silent'>): boolean;
  /** The same log with these fields on every line. */
  child(fields: LogFields): Logger;
}

export interface LogOptions {
  readonly level?: LogLevel;
  /** `text`: one line for people. */
  readonly format?: 'text' | 'json';
  /** Of `text`: the stack of an error follows its line. Otherwise the line ends with what the error says. */
  readonly stacks?: boolean;
  /** Takes one line, newline included. Standard error when omitted. */
  readonly write?: (line: string) => void;
  /** Takes every line as well, in JSON whatever the format. Must not throw. */
  readonly tap?: (json: string) => void;
}

/** Names of fields that never reach a line, at the top or one level down. */
const secretFields = [
  'secretKey',
  'secretAccessKey',
  'sessionToken',
  'password',
  'token',
  'signature',
  'authorization',
  'Authorization',
  'cookie',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-copy-source-server-side-encryption-customer-key',
];

const redactedPaths = secretFields.flatMap((name) => [`["${name}"]`, `*["${name}"]`]);

export function createLogger(options: LogOptions = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const { tap } = options;
  const writeLine =
    options.format === 'json' ? write : (line: string) => write(logText(parseLogLine(line), options.stacks));
  const destination: DestinationStream = {
    write: (line) => {
      writeLine(line);
      tap?.(line);
    },
  };
  const sink = pino(
    {
      level: options.level ?? 'info',
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.errWithCause },
      redact: { paths: redactedPaths, censor: '[redacted]' },
    },
    destination,
  );
  return wrap(sink);
}

/** For tests and for servers inside another process that want no log. */
export const silentLogger: Logger = createLogger({ level: 'silent' });

function wrap(sink: PinoLogger<never, boolean>): Logger {
  return {
    debug: (message, fields = {}) => sink.debug(fields, message),
    info: (message, fields = {}) => sink.info(fields, message),
    warn: (message, fields = {}) => sink.warn(fields, message),
    error: (message, fields = {}) => sink.error(fields, message),
    isEnabled: (level) => sink.isLevelEnabled(level),
    child: (fields) => wrap(sink.child(fields)),
  };
}

export interface LogEntry {
  readonly level: Exclude<LogLevel, 'silent'>;
  readonly timeMs: number;
  readonly message: string;
  /** Secrets are out already. */
  readonly fields: LogFields;
}

/** Of a line as it is written in JSON. */
export function parseLogLine(json: string): LogEntry {
  const { level, time, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  return { level: level as LogEntry['level'], timeMs: Date.parse(String(time)), message: String(message), fields };
}

/** `2026-01-02T03:04:05.678Z WARN  message key=value err="what it says: and its cause"`; or its stack, indented. */
export function logText({ level, timeMs, message, fields: { err, ...rest } }: LogEntry, stacks = false): string {
  const fields = Object.entries(rest).map(([name, value]) => ` ${name}=${textValue(value)}`);
  const time = new Date(timeMs).toISOString();
  const error = stacks ? stackText(err) : errorText(err);
  return `${time} ${level.toUpperCase().padEnd(5)} ${oneLine(message)}${fields.join('')}${error}\n`;
}

function textValue(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}

/** As pino writes it. */
interface WrittenError {
  readonly type?: string;
  readonly message?: string;
  readonly stack?: string;
  readonly cause?: WrittenError;
}

function errorText(err: unknown): string {
  if (err === undefined || err === null) return '';
  return ` err=${textValue(typeof err === 'object' ? messageOf(err) : err)}`;
}

function messageOf({ type = 'Error', message = '', cause }: WrittenError): string {
  const own = message === '' ? type : message;
  if (typeof cause !== 'object') return own;
  const below = messageOf(cause);
  return own.includes(below) ? own : `${own}: ${below}`;
}

function stackText(err: unknown): string {
  if (typeof err !== 'object' || err === null) return errorText(err);
  const { type = 'Error', message = '', stack }: WrittenError = err;
  const text = stack ?? `${type}: ${message}`;
  return `\n    ${text.replace(/\n\s*/g, '\n    ')}`;
}

/** Control characters in a message must not forge a second line. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
