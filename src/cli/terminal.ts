/** Where the command writes to: colours only for a terminal that wants them. */
export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Columns of the terminal; unknown when it is none. */
  readonly columns: number | null;
}

export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
}

/** https://no-color.org: set to anything but nothing, it turns colours off. */
export function paintFor(output: Output, environment: Readonly<Record<string, string | undefined>>): Paint {
  const noColor = (environment['NO_COLOR'] ?? '') !== '';
  const isOn = output.isTerminal && !noColor && environment['TERM'] !== 'dumb';
  const code = (number: number) => (text: string) => (isOn ? `\u001b[${number}m${text}\u001b[0m` : text);
  return { bold: code(1), dim: code(2), green: code(32), yellow: code(33), red: code(31) };
}

/** Paths and names may hold anything: what would steer a terminal or forge a line is shown escaped. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (char) => {
    const code = char.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}
