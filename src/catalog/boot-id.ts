import { readFileSync } from 'node:fs';

/** Names this run of the kernel; without one, every start counts as the first after a power loss. */
export function bootId(unknown: () => string): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux: an id that never comes back makes the index be rebuilt after an unclean stop.
    return unknown();
  }
}
