/** A reader of Prometheus' text format that takes nothing on trust. */

export interface PrometheusSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Throws for what Prometheus would not take: samples apart from their family, doubles, a name that is none. */
export function parsePrometheus(text: string): PrometheusSample[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end');
  const samples: PrometheusSample[] = [];
  const types = new Map<string, string>();
  const seen = new Set<string>();
  let helpOf: string | null = null;
  let current: string | null = null;
  for (const line of text.split('\n').slice(0, -1)) {
    const help = /^# HELP ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (help !== null) {
      helpOf = help[1] ?? null;
      continue;
    }
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge)$/.exec(line);
    if (type !== null) {
      const name = type[1] ?? '';
      if (types.has(name)) throw new Error(`${name} stands in two places`);
      if (helpOf !== name) throw new Error(`${name} has no help`);
      types.set(name, type[2] ?? '');
      current = name;
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not a sample: ${line}`);
    const [, name = '', inside = '', number = ''] = sample;
    if (name !== current) throw new Error(`${name} stands under ${current}`);
    const value = number === '+Inf' ? Infinity : Number(number);
    if (Number.isNaN(value)) throw new Error(`not a number: ${line}`);
    if (types.get(name) === 'counter' && value < 0) throw new Error(`a counter below zero: ${line}`);
    const labels = parseLabels(inside);
    const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    samples.push({ name, labels, value });
  }
  return samples;
}

function parseLabels(inside: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = inside;
  while (rest !== '') {
    const found = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(,(?=.)|$)/.exec(rest);
    if (found === null) throw new Error(`not labels: ${inside}`);
    const [whole, name = '', value = ''] = found;
    if (name in labels) throw new Error(`a label twice: ${inside}`);
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
    rest = rest.slice(whole.length);
  }
  return labels;
}

/** The one sample of that name whose labels include these. */
export function valueOf(
  samples: readonly PrometheusSample[],
  name: string,
  labels: Record<string, string> = {},
): number {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`${found.length} samples of ${name} ${JSON.stringify(labels)}`);
  }
  return found[0].value;
}
