/** `storage_class`: parity of new objects, by the class that the client asks for. */
import { parsedKey } from '../setting-key.js';
import { defineSubsystem, type SettingFacts } from '../subsystem.js';

export interface StorageClassSettings {
  readonly standardParity: number;
  readonly reducedParity: number;
}

/** Null: none is said. */
function parseClass(text: string): number | null | undefined {
  if (text === '') return null;
  const match = /^EC:(\d{1,2})$/i.exec(text);
  return match === null ? undefined : Number(match[1]);
}

const reading = { parse: parseClass, expects: 'of the form EC:N' };

function resolve(
  { standard, rrs }: { readonly standard: number | null; readonly rrs: number | null },
  { setParity }: SettingFacts,
): StorageClassSettings {
  const standardParity = standard ?? setParity;
  return { standardParity, reducedParity: rrs ?? Math.min(1, standardParity) };
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
  check: (values, facts) => {
    const { standardParity, reducedParity } = resolve(values, facts);
    // With more parity than data two halves of the drives could each take writes.
    const parityMax = Math.floor(facts.driveCount / 2);
    for (const parity of [standardParity, reducedParity]) {
      if (parity > parityMax)
        return `EC:${parity} needs at least ${parity * 2} drives, and there are ${facts.driveCount}`;
    }
    if (reducedParity > standardParity) return `rrs (EC:${reducedParity}) exceeds standard (EC:${standardParity})`;
    return null;
  },
  read: resolve,
});
