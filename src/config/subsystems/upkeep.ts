/** `scanner` and `heal`: how fast the server looks after its drives beside serving. */
import { GiB, MiB } from '../../base/index.js';
import { durationKey, parsedKey } from '../setting-key.js';
import { defineSubsystem } from '../subsystem.js';

export interface PaceSettings {
  readonly bytesPerSecondMax: number;
  /** Of the time, above 0 and at most 1. */
  readonly shareMax: number;
}

export interface ScannerSettings {
  readonly pace: PaceSettings;
  /** From the start of one round to that of the next, at least. */
  readonly cycleMsMin: number;
}

type Paces = Readonly<Record<'slowest' | 'slow' | 'default' | 'fast' | 'fastest', PaceSettings>>;

const scanPaces: Paces = {
  slowest: { bytesPerSecondMax: 2 * MiB, shareMax: 0.01 },
  slow: { bytesPerSecondMax: 8 * MiB, shareMax: 0.03 },
  default: { bytesPerSecondMax: 32 * MiB, shareMax: 0.1 },
  fast: { bytesPerSecondMax: 128 * MiB, shareMax: 0.3 },
  fastest: { bytesPerSecondMax: 8 * GiB, shareMax: 1 },
};

/** What is repaired lacks redundancy until then: faster than the scan at every step. */
const healPaces: Paces = {
  slowest: { bytesPerSecondMax: 16 * MiB, shareMax: 0.05 },
  slow: { bytesPerSecondMax: 64 * MiB, shareMax: 0.2 },
  default: { bytesPerSecondMax: 256 * MiB, shareMax: 0.5 },
  fast: { bytesPerSecondMax: 1 * GiB, shareMax: 0.8 },
  fastest: { bytesPerSecondMax: 8 * GiB, shareMax: 1 },
};

function speedKey(description: string, paces: Paces) {
  return parsedKey('string', `${description}, one of: ${Object.keys(paces).join(', ')}`, {
    initial: 'default',
    parse: (text) => (Object.hasOwn(paces, text) ? paces[text as keyof Paces] : undefined),
    expects: `one of ${Object.keys(paces).join(', ')}`,
  });
}

export const scannerSubsystem = defineSubsystem({
  name: 'scanner',
  description: 'manage the scan that verifies everything that is stored',
  takesEffect: 'at once',
  keys: {
    speed: speedKey('scan speed', scanPaces),
    cycle: durationKey('time from the start of one scan to the start of the next', {
      initial: '24h',
      minMs: 60_000,
      maxMs: 365 * 24 * 3_600_000,
    }),
  },
  absentKeys: ['delay', 'max_wait', 'idle_speed', 'alert_excess_versions', 'alert_excess_folders'],
  read: ({ speed, cycle }): ScannerSettings => ({ pace: speed, cycleMsMin: cycle }),
});

export const healSubsystem = defineSubsystem({
  name: 'heal',
  description: 'manage the repair of what is damaged or missing on a drive',
  takesEffect: 'at once',
  keys: { speed: speedKey('repair speed', healPaces) },
  absentKeys: ['bitrotscan', 'max_sleep', 'max_io', 'drive_workers'],
  read: ({ speed }): PaceSettings => speed,
});
