/** Rows as a table for people and as JSON for machines, and the line that shows what is going on. */
import type { BenchRow } from './row.js';

export interface ReportRow extends BenchRow {
  /** Requests a second, and their bytes. */
  readonly opsPerSecond?: number;
  readonly bytesPerSecond?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly maxMs?: number;
  /** Of the server's process, the client excluded. */
  readonly cpuMicrosPerOp?: number;
  /** Share of its core that the load generator used: near 1 it is the limit, and the figure a floor. */
  readonly clientBusy?: number;
  /** What a reader should know about this run of it. */
  readonly note?: string;
}

/** Exactly the fields that are documented, in their order. */
export function toJson(rows: readonly ReportRow[]): string {
  const plain = rows.map(({ name, unit, value, anchor, ratio, ...rest }) => ({
    name,
    unit,
    value: rounded(value),
    anchor: { name: anchor.name, value: rounded(anchor.value) },
    ratio: rounded(ratio),
    ...Object.fromEntries(
      Object.entries(rest).map(([key, one]) => [key, typeof one === 'number' ? rounded(one) : one]),
    ),
  }));
  return `${JSON.stringify(plain, null, 2)}\n`;
}

/** Five digits are more than any of this is worth. */
function rounded(value: number): number {
  return Number(value.toPrecision(5));
}

/** Three digits, no exponent. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 10_000) return `${Math.round(value / 1000)}k`;
  if (size >= 100) return String(Math.round(value));
  if (size >= 10) return value.toFixed(1);
  return size >= 0.1 || size === 0 ? value.toFixed(2) : value.toPrecision(2);
}

const columns: readonly { readonly title: string; readonly cell: (row: ReportRow) => string; readonly left?: true }[] =
  [
    { title: 'name', cell: ({ name }) => name, left: true },
    { title: 'value', cell: ({ value }) => figure(value) },
    { title: 'unit', cell: ({ unit }) => unit, left: true },
    { title: 'ratio', cell: ({ ratio }) => (Number.isFinite(ratio) ? ratio.toFixed(2) : '–') },
    { title: 'op/s', cell: ({ opsPerSecond }) => optional(opsPerSecond) },
    { title: 'MB/s', cell: ({ bytesPerSecond }) => optional(bytesPerSecond, 1e6) },
    { title: 'p50 ms', cell: ({ p50Ms }) => optional(p50Ms) },
    { title: 'p99 ms', cell: ({ p99Ms }) => optional(p99Ms) },
    { title: 'CPU µs/op', cell: ({ cpuMicrosPerOp }) => optional(cpuMicrosPerOp) },
    {
      title: 'client',
      cell: ({ clientBusy }) => (clientBusy === undefined ? '' : `${Math.round(clientBusy * 100)} %`),
    },
    { title: 'anchor', cell: ({ anchor }) => `${figure(anchor.value)} ${anchor.name}`, left: true },
  ];

function optional(value: number | undefined, unit = 1): string {
  return value === undefined ? '' : figure(value / unit);
}

export function toTable(rows: readonly ReportRow[]): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)));
  const used = columns.map((_, index) => index < 4 || cells.some((line) => line[index] !== ''));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => (line[index] ?? '').length)),
  );
  const line = (texts: readonly string[]) =>
    columns
      .flatMap(({ left }, index) => {
        if (used[index] !== true) return [];
        const text = texts[index] ?? '';
        const width = widths[index] ?? 0;
        return [left === true ? text.padEnd(width) : text.padStart(width)];
      })
      .join('  ')
      .trimEnd();
  const notes = rows.flatMap(({ name, note }) => (note === undefined ? [] : [`${name}: ${note}`]));
  return [
    line(columns.map(({ title }) => title)),
    ...cells.map(line),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
  ].join('\n');
}

/** On a terminal one line that is rewritten, elsewhere a line per step. */
export class Progress {
  readonly #start = performance.now();
  #last = '';

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(text: string): void {
    if (text === this.#last) return;
    this.#last = text;
    const seconds = Math.round((performance.now() - this.#start) / 1000);
    const line = `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}  ${text}`;
    if (this.stream.isTTY) this.stream.write(`\r\x1b[K${line.slice(0, Math.max(20, (this.stream.columns ?? 80) - 1))}`);
    else this.stream.write(`${line}\n`);
  }

  /** A line that stays. */
  say(text: string): void {
    this.clear();
    this.stream.write(`${text}\n`);
  }

  clear(): void {
    if (this.stream.isTTY) this.stream.write('\r\x1b[K');
    this.#last = '';
  }
}
