/**
 * Threads of this process that a drive holds: they wait in the kernel for what does not come, and cannot be ended. Until
 * they come back the process cannot end, nor be replaced by another program. Reads only /proc.
 */
import { readdir, readFile } from 'node:fs/promises';

/** A thread waits for a moment whenever it reads. */
const lookMs = 300;

export async function isHeldByDrive(threads = '/proc/self/task'): Promise<boolean> {
  const before = await waitingThreads(threads);
  if (before.size === 0) return false;
  await new Promise((resolve) => setTimeout(resolve, lookMs));
  return [...(await waitingThreads(threads))].some((thread) => before.has(thread));
}

/** In state D, proc_pid_stat(5): an uninterruptible wait. */
async function waitingThreads(folder: string): Promise<Set<string>> {
  const threads = await readdir(folder);
  const states = await Promise.all(
    threads.map(async (thread) => {
      // Gone meanwhile, or not Linux.
      const stat = await readFile(`${folder}/${thread}/stat`, 'utf8').catch(() => '');
      return { thread, state: stat.slice(stat.lastIndexOf(')') + 2).charAt(0) };
    }),
  );
  return new Set(states.flatMap(({ thread, state }) => (state === 'D' ? [thread] : [])));
}
