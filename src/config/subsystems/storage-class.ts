/** `storage_class`: parity of new objects, by the class that the client asks for. */
import { parsedKey } from '../setting-key.js';
import { defineSubsystem, type SetFacts } from '../subsystem.js';

/** What was asked for; null: it is as the set is, see `parityIn`. */
export interface StorageClassSettings {
  readonly standard: number | null;
  readonly reduced: number | null;
}

/** Null: none is said. */
function parseClass(text: string): number | null | undefined {
  if (text === '') return null;
  const match = /^EC:(\d{1,2})$/i.exec(text);
  return match === null ? undefined : Number(match[1]);
}

const reading = { parse: parseClass, expects: 'of the form EC:N' };

/** What new objects of both classes get in a set of that parity. */
export function parityIn(
  { parityShards }: Pick<SetFacts, 'parityShards'>,
  { standard, reduced }: StorageClassSettings,
): { readonly standard: number; readonly reduced: number } {
  const standardParity = standard ?? parityShards;
  return { standard: standardParity, reduced: reduced ?? Math.min(1, standardParity) };
}

function wrongIn(set: SetFacts, asked: StorageClassSettings): string | null {
  const { standard, reduced } = parityIn(set, asked);
  // With more parity than data two halves of the drives could each take writes.
  const parityMax = Math.floor(set.driveCount / 2);
  for (const parity of [standard, reduced]) {
    if (parity > parityMax) {
      return `EC:${parity} needs at least ${parity * 2} drives in every set, and there is one of ${set.driveCount}`;
    }
  }
  if (reduced > standard) return `rrs (EC:${reduced}) exceeds standard (EC:${standard})`;
  return null;
}

export const storageClassSubsystem = defineSubsystem({
  name: 'storage_class',
  description: 'define object level redundancy',
  takesEffect: 'at once',
  keys: {
    standard: parsedKey('string', 'set the parity count for default standard storage class e.g. "EC:4"', reading),
    rrs: parsedKey('string', 'set the parity count for reduced redundancy storage class e.g. "EC:2"', reading),
  },
  absentKeys: ['optimize', 'inline_block'],
  check: ({ standard, rrs }, { sets }) => {
    const wrongs = sets.map((set) => wrongIn(set, { standard, reduced: rrs }));
    return wrongs.find((wrong) => wrong !== null) ?? null;
  },
  read: ({ standard, rrs }) => ({ standard, reduced: rrs }),
});
