/** Metrics as data, and as the text that Prometheus reads (version 0.0.4). */

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly value: number;
  readonly labels?: Labels;
}

export interface Metric {
  /** Without the head of its group. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export function metric(type: Metric['type'], name: string, help: string, samples: number | readonly Sample[]): Metric {
  return { type, name, help, samples: typeof samples === 'number' ? [{ value: samples }] : samples };
}

export const gauge = (name: string, help: string, samples: number | readonly Sample[]): Metric =>
  metric('gauge', name, help, samples);

export const counter = (name: string, help: string, samples: number | readonly Sample[]): Metric =>
  metric('counter', name, help, samples);

/** The same with labels on every sample. */
export function labelled(metrics: readonly Metric[], labels: Labels): Metric[] {
  return metrics.map((one) => ({
    ...one,
    samples: one.samples.map((sample) => ({ ...sample, labels: { ...labels, ...sample.labels } })),
  }));
}

/** A metric without samples is left out. Samples of one name stand together, whatever group they come from. */
export function exposition(metrics: readonly Metric[]): string {
  const byName = new Map<string, Metric[]>();
  for (const one of metrics) {
    if (one.samples.length === 0) continue;
    const same = byName.get(one.name) ?? [];
    byName.set(one.name, same);
    same.push(one);
  }
  let text = '';
  for (const [name, same] of byName) {
    const [first] = same;
    if (first === undefined) continue;
    text += `# HELP ${name} ${first.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${first.type}\n`;
    for (const { samples } of same) {
      for (const { value, labels = {} } of samples) text += `${name}${labelText(labels)} ${numberText(value)}\n`;
    }
  }
  return text;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
