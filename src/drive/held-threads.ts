/**
 * Threads of this process that a drive holds: they wait in the kernel for what does not come, and cannot be ended. Until
 * they come back the process cannot end, nor be replaced by another program. Reads only /proc.
 */
import { readdir, readFile } from 'node:fs/promises';

/** A thread waits for a moment whenever it reads. */
const lookMs = 300;
/**
 * Names of the addon's threads that make calls to drives. A server that is closed has none but those it left behind. These
 * may seem to wait for a signal, and do not end by it: of a file system in user space, which does not answer.
 */
const namesOfOurs = /^(?:(?:log|write|read) \d+\.\d+|drive probe|index|index read|close)$/;

/** Requires: the server is closed. */
export async function isHeldByDrive(threads = '/proc/self/task'): Promise<boolean> {
  const before = await waitingThreads(threads);
  if (before.size === 0) return false;
  await new Promise((resolve) => setTimeout(resolve, lookMs));
  return [...(await waitingThreads(threads))].some((thread) => before.has(thread));
}

/** Ours, and those in state D, proc_pid_stat(5): an uninterruptible wait. */
async function waitingThreads(folder: string): Promise<Set<string>> {
  const threads = await readdir(folder);
  const states = await Promise.all(
    threads.map(async (thread) => {
      // Gone meanwhile, or not Linux.
      const stat = await readFile(`${folder}/${thread}/stat`, 'utf8').catch(() => '');
      const nameEnd = stat.lastIndexOf(')');
      const isOurs = namesOfOurs.test(stat.slice(stat.indexOf('(') + 1, nameEnd));
      return { thread, isHeld: isOurs || stat.charAt(nameEnd + 2) === 'D' };
    }),
  );
  return new Set(states.flatMap(({ thread, isHeld }) => (isHeld ? [thread] : [])));
}
