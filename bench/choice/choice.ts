/** Two ways to do the same, measured in turns. */
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';

export interface ChoiceOptions {
  readonly wants: (name: string) => boolean;
  readonly onProgress: (text: string) => void;
  readonly onFailure: (name: string, error: unknown) => void;
}

/** What one run of a way came to. */
export interface Run {
  readonly perSecond: number;
  /** Of one operation, or of one byte. */
  readonly cpu: number;
}

export interface Choice {
  readonly name: string;
  readonly units: { readonly rate: string; readonly cpu: string };
  /** What is not chosen. */
  readonly otherName: string;
  readonly rounds: number;
  readonly chosen: () => Promise<Run>;
  readonly other: () => Promise<Run>;
}

export function choiceRows(
  { name, units, otherName }: Pick<Choice, 'name' | 'units' | 'otherName'>,
  chosen: readonly Run[],
  other: readonly Run[],
): ReportRow[] {
  const rate = median(chosen.map((run) => run.perSecond));
  const otherRate = median(other.map((run) => run.perSecond));
  const cpu = median(chosen.map((run) => run.cpu));
  const otherCpu = median(other.map((run) => run.cpu));
  return [
    {
      ...{ name, unit: units.rate, value: rate, ratio: rate / otherRate },
      anchor: { name: `${otherName} (${units.rate})`, value: otherRate },
    },
    {
      ...{ name: `${name}.cpu`, unit: units.cpu, value: cpu, ratio: otherCpu / cpu },
      anchor: { name: `${otherName} (${units.cpu})`, value: otherCpu },
    },
  ];
}

export async function measureChoice(choice: Choice, onProgress: (text: string) => void): Promise<ReportRow[]> {
  const chosen: Run[] = [];
  const other: Run[] = [];
  for (let round = 1; round <= choice.rounds; round++) {
    onProgress(`${choice.name}: round ${round} of ${choice.rounds}`);
    chosen.push(await choice.chosen());
    other.push(await choice.other());
  }
  return choiceRows(choice, chosen, other);
}
