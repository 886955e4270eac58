/**
 * MINIO_CONFIG_ENV_FILE: lines `KEY=value`, `export KEY="value"`, comments and empty lines.
 * What it sets wins over the process's environment, as in MinIO.
 */
import { readFileSync, statSync } from 'node:fs';
import { limits, StartupError } from '../base/index.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export function parseEnvironmentFile(text: string, path: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  text.split(/\r?\n/).forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(trimmed);
    if (match === null) {
      throw new StartupError(
        `line ${index + 1} of ${path} is not of the form KEY=value`,
        'Correct the line, or put # before it.',
      );
    }
    values[match[1] as string] = unquote((match[2] as string).trim(), path, index + 1);
  });
  return values;
}

/** An outer pair of quotes is removed; without quotes the value goes to the end of the line, # included. */
function unquote(value: string, path: string, lineNumber: number): string {
  const quote = value[0];
  if (quote !== '"' && quote !== "'") return value;
  if (value.length >= 2 && value.endsWith(quote)) return value.slice(1, -1);
  const commented = new RegExp(`^${quote}([^${quote}]*)${quote}\\s*#`).exec(value);
  if (commented !== null) return commented[1] as string;
  throw new StartupError(
    `line ${lineNumber} of ${path} has a quote that does not end with the value`,
    'Close the quote at the end of the value.',
  );
}

/** Null when there is no such file: images name one that need not exist. */
export function readEnvironmentFile(path: string): Readonly<Record<string, string>> | null {
  const text = readSmallFile(path, 'the environment file');
  return text === null ? null : parseEnvironmentFile(text, path);
}

/** The text of a file that the operator named, bounded; null when it does not exist. */
export function readSmallFile(path: string, what: string): string | null {
  try {
    const { size } = statSync(path);
    if (size > limits.configFileBytesMax) {
      throw new StartupError(
        `${what} ${path} has ${size} bytes`,
        `Name a file of at most ${limits.configFileBytesMax} bytes.`,
      );
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new StartupError(
      `cannot read ${what} ${path}: ${code ?? String(error)}`,
      'Make it readable for this user.',
      error,
    );
  }
}
